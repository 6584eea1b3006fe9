"""The sandbox outbox: what was taken instead of being sent."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from accounts.staff.tenant_choice import chosen_tenant
from messaging.channels.channel import label_of
from messaging.channels.sandbox import outbox as stored
from posthaste.lib import redis
from posthaste.ui import pages

MAX_ENTRIES = 100


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
    entries, is_away = [], False
    try:
        entries = stored.read(tenant_id=tenant_id, limit=MAX_ENTRIES) if tenant_id else []
    except redis.Unavailable:
        is_away = True
    for entry in entries:
        entry["at"] = datetime.fromisoformat(entry["at"])
        entry["channel_name"] = label_of(entry["channel"])
    return pages.page(
        request,
        "admin/messaging/outbox.html",
        title=_("Sandbox outbox"),
        purpose=_("Messages that the sandbox kept instead of sending: the latest 100 of up to 1,000."),
        entries=entries,
        away=is_away,
        tenants=tenants,
        tenant_id=tenant_id,
    )
