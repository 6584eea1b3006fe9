"""The desk at /desk/: the inbox beside the conversation that is open. What it shows, its scripts read from the data addresses."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.staff.tenant_admin import signed_in
from accounts.tenancy import tenants_of
from posthaste import env
from posthaste.ui.pages import at, page, staff_page
from routing.desk.action_texts import keys
from routing.desk.seats import NotAnAgent, seat_of
from routing.desk.texts import texts, views
from routing.models import Conversation

#: Views that stand side by side; the others are behind "more".
VIEWS_SHOWN = 5
REFUSAL = gettext_lazy("An owner of a tenant can add you under Members.")


def may_look(user: Any) -> bool:
    """Return whether a user may see the conversations of any tenant."""
    return bool(user.has_perm("routing.view_conversation"))


@at("desk/", name="desk")
@staff_page(allowed=may_look, refusal=REFUSAL)
def desk(request: HttpRequest) -> HttpResponse:
    """Show the inbox."""
    return _shell(request)


@at("desk/c/<uuid:conversation>/", name="desk-conversation")
@staff_page(allowed=may_look, refusal=REFUSAL)
def desk_conversation(request: HttpRequest, conversation: UUID) -> HttpResponse:
    """Show the inbox with a conversation open; whether the reader may see it, its data address decides."""
    return _shell(request, tenant=_tenant_of(request, conversation))


def _tenant_of(request: HttpRequest, conversation: UUID) -> str:
    """Return the tenant of a conversation where it is another one than that of the reader's own desk, else nothing."""
    user = signed_in(request)
    found = Conversation.objects.filter(pk=conversation, tenant__in=tenants_of(user)).values_list("tenant_id", flat=True).first()
    try:
        is_own = found is None or seat_of(user).tenant_id == found
    except NotAnAgent:
        is_own = False
    return "" if is_own else str(found)


def _shell(request: HttpRequest, tenant: str = "") -> HttpResponse:
    settings = env.load()
    context: dict[str, Any] = {
        "title": _("Desk"),
        "texts": texts(),
        "views": list(views().items())[:VIEWS_SHOWN],
        "key_groups": keys(),
        # Behind a reverse proxy /ws/ is at the same origin; without one it has its own port.
        "ws_port": "" if settings.trusted_proxies else settings.ws_port,
        "tenant": request.GET.get("tenant", "") or tenant,
    }
    return page(request, "desk/desk.html", **context)
