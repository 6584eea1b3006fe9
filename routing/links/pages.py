"""The pages of safe links. No login: possession of the address is what lets in.

A GET or HEAD uses nothing up and changes nothing but the log: mail scanners and messengers follow every link. What acts, or counts, is
asked first and done by a POST; the page works without a script.
"""

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from accounts.selectors import tenant_by_id
from posthaste.lib.caching import PageClass, page_class
from posthaste.lib.problems import Invalid
from routing.links import handlers, standard, using  # noqa: F401 - standard declares our own purposes
from routing.links.using import Outcome
from routing.models import SafeLink


@page_class(PageClass.NEVER)
@csrf_exempt  # the address authorises the request; there is no session that another site could borrow
@require_http_methods(["GET", "HEAD", "POST"])
def open_link(request: HttpRequest, token: str) -> HttpResponse:
    """Show what a link does, or do it."""
    now = timezone.now()
    link = using.find(token)
    tenant = tenant_by_id(link.tenant_id) if link else None
    if link is None or tenant is None or not tenant.is_active:
        return _refused(request, None, "")
    wrong = using.state(link, now=now)
    handler = handlers.find(link.purpose)
    if wrong is None and (handler is None or not _still_fits(handler, link)):
        wrong = Outcome.UNAVAILABLE
    if wrong is not None or handler is None:
        using.log(link, request, wrong or Outcome.UNAVAILABLE, now=now)
        return _refused(request, wrong, tenant.name)
    if request.method != "POST":
        using.log(link, request, Outcome.SHOWN, now=now)
        if link.max_uses or handler.acts or handler.asks(link):
            page = {**handler.words(link), "sender": tenant.name}
            return _private(render(request, handler.template, page))
        return _private(handler.perform(link, request, now))
    answer: HttpResponse | None = None
    with transaction.atomic():
        if using.take(link, now=now):
            answer = handler.perform(link, request, now)
        using.log(link, request, Outcome.USED if answer is not None else Outcome.USED_UP, now=now)
    return _refused(request, Outcome.USED_UP, tenant.name) if answer is None else _private(answer)


def _still_fits(handler: handlers.Handler, link: SafeLink) -> bool:
    """Return whether what a link is for is still there and still allowed."""
    try:
        handler.check(link.tenant_id, link.target, link.data)
    except Invalid:
        return False
    return True


def _refused(request: HttpRequest, why: Outcome | None, sender: str) -> HttpResponse:
    """Say that a link does not work, and who to ask: 404 for an address that is none of ours, 410 for one that worked once."""
    said: dict[Outcome | None, tuple[str, str]] = {
        None: (_("This link is not valid"), _("It is incomplete. Use the whole link from the message.")),
        Outcome.EXPIRED: (_("This link has expired"), _("Ask {sender} for a new one.")),
        Outcome.USED_UP: (_("This link was used already"), _("Ask {sender} for a new one.")),
        Outcome.REVOKED: (_("This link was taken back"), _("If you still need it, ask {sender}.")),
        Outcome.UNAVAILABLE: (_("This link leads nowhere any more"), _("What it was for is no longer available. Ask {sender}.")),
    }
    title, text = said[why]
    context: dict[str, Any] = {"title": title, "said": text.format(sender=sender)}
    return _private(render(request, "routing/link_said.html", context, status=404 if why is None else 410))


def _private(response: HttpResponse) -> HttpResponse:
    """Keep the secret address from other sites, search engines and caches."""
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Cache-Control"] = "no-store"
    return response
