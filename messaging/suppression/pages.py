"""Pages for recipients: the unsubscribe link. No login: possession of the link identifies the recipient (RFC 8058)."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from accounts.services.audit import Actor
from messaging.channels.channel import EMAIL
from messaging.suppression import unsubscribe as links
from posthaste.lib.addresses import client_ip
from posthaste.lib.masking import mask_recipient


@never_cache
@csrf_exempt  # mail programs post here automatically, without cookies; the token authorises the request
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ask (GET), or take the recipient off and say so (POST), or take that back (POST with `undo`).

    A GET changes nothing: programs that look for viruses follow every link in a mail. A POST never redirects (RFC 8058, 3.2).
    """
    link = links.read(token)
    tenant = links.tenant_of(link) if link else None
    if link is None or tenant is None:
        said = _("It is incomplete or too old. Use the link in the e-mail itself, or reply to the sender.")
        if token == links.SAMPLE:
            said = _("This is a sample link from a preview. In the e-mail, each recipient has a link of their own.")
        return _private(
            render(request, "messaging/unsubscribe_unknown.html", {"title": _("This link is not valid"), "said": said}, status=404)
        )
    now = timezone.now()
    undone = False
    if request.method == "POST":
        recipient = Actor.recipient(ip=client_ip(request))
        if "undo" in request.POST:
            undone = links.undo(link, by=recipient)
        else:
            links.unsubscribe(link, by=recipient, now=now)
    listed = links.is_listed(link, now=now)
    context: dict[str, Any] = {
        "title": _("You are unsubscribed") if listed else _("Unsubscribe"),
        "sender": tenant.name,
        "address": mask_recipient(EMAIL, link.recipient),
        "category": link.category,
        "listed": listed,
        "undone": undone,
    }
    return _private(render(request, "messaging/unsubscribe.html", context))


def _private(response: HttpResponse) -> HttpResponse:
    """Keep the secret address from other sites and from search engines."""
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response
