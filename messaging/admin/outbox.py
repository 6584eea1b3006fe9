"""The sandbox outbox: what was taken instead of being sent."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.staff.export import note_export
from accounts.staff.tenant_choice import chosen_tenant
from messaging.channels.channel import label_of
from messaging.channels.sandbox import outbox as stored
from messaging.models import Message
from posthaste.lib import redis
from posthaste.lib.masking import mask_recipient
from posthaste.ui import pages
from posthaste.ui.chips import address, carried, chip
from posthaste.ui.export import as_csv

SHOWN = 50  # a page


def may_view(user: Any) -> bool:
    """Return whether a user may see what was sent."""
    return bool(user.has_perm("messaging.view_message"))


@pages.in_admin("outbox/", name="outbox")
@pages.staff_page(allowed=may_view)
def outbox(request: HttpRequest) -> HttpResponse:
    """Show what the sandbox would have sent."""
    tenant_id, tenants = chosen_tenant(request)
    if tenant_id is None and tenants:
        tenant_id = tenants[0].pk
    found, is_away = [], False
    try:
        found = stored.read(tenant_id=tenant_id, limit=stored.KEEP) if tenant_id else []
    except redis.Unavailable:
        is_away = True
    channels = sorted({entry["channel"] for entry in found})
    query, channel = request.GET.get("q", "").strip()[:200], request.GET.get("channel", "")
    rows = [entry for entry in found if _matches(entry, query=query, channel=channel)]
    if "csv" in request.GET and tenant_id:
        note_export(request, target="outbox", filters=[name for name in ("q", "channel") if request.GET.get(name)])
        return _as_file(rows)
    shown, newer, older = _page_of(request, rows)
    known = set(Message.objects.filter(tenant_id=tenant_id or 0, pk__in=[entry["id"] for entry in shown]).values_list("pk", flat=True))
    for entry in shown:
        entry["sent_at"] = datetime.fromisoformat(entry["at"])
        entry["channel_name"] = label_of(entry["channel"])
        entry["is_kept"] = UUID(entry["id"]) in known
    return pages.page(
        request,
        "admin/messaging/outbox.html",
        title=_("Sandbox outbox"),
        purpose=_("Messages that the sandbox kept instead of sending: the latest 1,000, for seven days."),
        rows=shown,
        newer=newer,
        older=older,
        away=is_away,
        chips=[chip(request, "channel", title=_("Channel"), choices=[(code, label_of(code)) for code in channels])],
        carried=carried(request, but="q"),
        query=query,
        search_help=_("ID, recipient, reference, or words of the content"),
        is_narrowed=bool(query or channel),
        csv_url=address(request, csv="1") if rows else "",
        tenants=tenants,
        tenant_id=tenant_id,
        now=timezone.now(),
    )


def _matches(entry: dict[str, Any], *, query: str, channel: str) -> bool:
    """Return whether a filter lets an entry through. A recipient has to be complete, as it is masked on the page."""
    if channel and entry["channel"] != channel:
        return False
    words = query.casefold()
    exact = (entry["recipient"], entry["reference"], entry["id"], entry["id"].replace("-", ""))
    return not query or query in exact or words in f"{entry['subject']}\n{entry['body']}".casefold()


def _page_of(request: HttpRequest, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str, str]:
    """Return the page behind the entry that the address names (`after` or `before`), and the addresses of the pages beside it."""
    places = {_place(entry): number for number, entry in reversed(list(enumerate(rows)))}
    start = 0
    if (behind := places.get(request.GET.get("after", ""))) is not None:
        start = behind + 1
    elif (ahead := places.get(request.GET.get("before", ""))) is not None:
        start = max(0, ahead - SHOWN)
    shown = rows[start : start + SHOWN]
    newer = address(request, before=_place(shown[0])) if start and shown else ""
    older = address(request, after=_place(shown[-1])) if start + SHOWN < len(rows) else ""
    return shown, newer, older


def _place(entry: dict[str, Any]) -> str:
    return f"{entry['id']}.{entry['attempt']}"


def _as_file(rows: list[dict[str, Any]]) -> HttpResponse:
    heads = [_("Received"), _("Channel"), _("Recipient"), _("Reference"), _("Subject"), _("Content"), _("Message")]
    cells = (
        [
            entry["at"],
            label_of(entry["channel"]),
            mask_recipient(entry["channel"], entry["recipient"]),
            entry["reference"],
            entry["subject"],
            entry["body"],
            entry["id"],
        ]
        for entry in rows
    )
    return as_csv(name="outbox", heads=heads, rows=cells)  # type: ignore[return-value]
