"""The search of every page: a message or batch by its id, messages by recipient or reference, batches by name, and pages by theirs."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.staff.tenant_admin import own_tenants
from messaging import selectors
from messaging.labels import batch_state
from posthaste.lib.masking import mask_recipient
from posthaste.ui import navigation
from posthaste.ui.pages import at, page, staff_page
from posthaste.ui.templatetags.interface import short_id

MAX_TERM = 200
MAX_FOUND = 8  # of each kind


@at("search/", name="search")
@staff_page(allowed=lambda user: True)
def search(request: HttpRequest) -> HttpResponse:
    """Show what a term finds; the page of the one thing that an id names is opened at once."""
    term = request.GET.get("q", "").replace("\0", "").strip()[:MAX_TERM]
    groups = found(request, term) if term else []
    hits = [hit for group in groups for hit in group["hits"]]
    if len(hits) == 1 and hits[0]["is_exact"] and "X-Panel" not in request.headers:
        return HttpResponseRedirect(hits[0]["url"])
    return page(
        request,
        "monitor/search.html",
        title=_("Search"),
        purpose=_("An exact message or batch ID, recipient or reference; the start of a batch's name; or a page."),
        term=term,
        groups=groups,
    )


def found(request: HttpRequest, term: str) -> list[dict[str, Any]]:
    """Return the hits by kind, of the reader's own tenants: each with address, icon, label, note, and whether an id names it."""
    groups = []
    if request.user.has_perm("messaging.view_message"):
        tenants = own_tenants(request)
        groups.append((_("Messages"), _messages(term, tenants)))
        if request.user.has_perm("messaging.view_batch"):
            groups.append((_("Batches"), _batches(term, tenants)))
    groups.append((_("Pages"), _pages(request, term)))
    return [{"label": label, "hits": hits} for label, hits in groups if hits]


def _messages(term: str, tenants: list[int]) -> list[dict[str, Any]]:
    return [
        {
            "url": reverse("admin:messaging_message_change", args=[message.pk]),
            "icon": message.status,
            "label": short_id(message.pk),
            "note": f"{mask_recipient(message.channel, message.recipient)} · {message.get_status_display()}",
            "at": message.created_at,
            "is_exact": selectors.as_id(term) == message.pk,
        }
        for message in selectors.find_messages(tenants, term=term, limit=MAX_FOUND)
    ]


def _batches(term: str, tenants: list[int]) -> list[dict[str, Any]]:
    now = timezone.now()
    return [
        {
            "url": reverse("admin:messaging_batch_change", args=[batch.pk]),
            "icon": "batches",
            "label": str(batch)[:60],
            "note": batch_state(batch, now=now).label,
            "at": batch.created_at,
            "is_exact": selectors.as_id(term) == batch.pk,
        }
        for batch in selectors.find_batches(tenants, term=term, limit=MAX_FOUND)
    ]


def _pages(request: HttpRequest, term: str) -> list[dict[str, Any]]:
    wanted = term.casefold()
    return [
        {"url": entry["url"], "icon": entry["icon"], "label": entry["label"], "note": group["label"], "at": None, "is_exact": False}
        for group in navigation.for_request(request)
        for entry in group["entries"]
        if wanted in str(entry["label"]).casefold()
    ][:MAX_FOUND]
