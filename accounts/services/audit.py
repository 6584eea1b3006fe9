"""The audit trail: who did what, to what, from where."""

from typing import Any

from django.http import HttpRequest

from accounts.models import AuditEntry, User
from accounts.services.api_keys import Caller
from posthaste.lib.addresses import client_ip


def record(
    *,
    actor: str,
    action: str,
    target: object = "",
    tenant_id: int | None = None,
    detail: dict[str, Any] | None = None,
    ip: str | None = None,
) -> AuditEntry:
    """Write one entry; `detail` must hold no secret and no clear recipient."""
    return AuditEntry.objects.create(
        actor=actor[:150], action=action, target=str(target)[:200], tenant_id=tenant_id, detail=detail or {}, ip=ip or None
    )


def record_request(
    request: HttpRequest, *, action: str, target: object = "", tenant_id: int | None = None, detail: dict[str, Any] | None = None
) -> AuditEntry:
    """Write one entry for what a request did: by its API key or its signed-in user."""
    user = getattr(request, "user", None)
    actor = user.actor if isinstance(user, Caller) else f"user:{user.get_username()}" if isinstance(user, User) else "anonymous"
    if tenant_id is None and isinstance(user, Caller):
        tenant_id = user.tenant_id
    return record(actor=actor, action=action, target=target, tenant_id=tenant_id, detail=detail, ip=client_ip(request))
