"""The demo's tenant, people and keys."""

import secrets
from typing import Any

from accounts.models import ApiKey, KeyKind, Member, Tenant, User
from accounts.roles import Role
from accounts.scopes import ADMIN, SCOPES
from accounts.services.api_keys import digest, issue_api_key
from accounts.services.audit import Actor


def load_access(known: dict[str, Any]) -> dict[str, Any]:
    """Make the demo's tenant, administrator and key, and return what a person needs to use them.

    `known` is what an earlier run gave: its secrets are kept where they still work.
    """
    tenant, _made = Tenant.objects.update_or_create(
        slug="demo", defaults={"is_operator": True}, create_defaults={"name": "Demo", "is_operator": True}
    )
    username = known.get("admin", {}).get("username", "admin")
    password = known.get("admin", {}).get("password", "")
    user = User.objects.filter(username=username).first()
    if user is None or not password or not user.check_password(password):
        password = secrets.token_urlsafe(12)
        user = user or User(username=username, email="admin@example.com", is_staff=True, is_superuser=True)
        user.set_password(password)
        user.save()
    Member.objects.get_or_create(tenant=tenant, user=user, defaults={"role": Role.OWNER})
    return {
        "tenant": tenant,
        "api_key": _key(tenant, known.get("api_key", ""), "Demo", KeyKind.LIVE, list(SCOPES)),
        "sandbox_api_key": _key(tenant, known.get("sandbox_api_key", ""), "Demo sandbox", KeyKind.SANDBOX, sorted(set(SCOPES) - {ADMIN})),
        "admin": {"username": username, "password": password},
    }


def _key(tenant: Tenant, clear: str, name: str, kind: KeyKind, scopes: list[str]) -> str:
    if clear and ApiKey.objects.filter(tenant=tenant, digest=digest(clear), revoked_at=None).exists():
        return clear
    return issue_api_key(tenant=tenant, name=name, kind=kind, scopes=scopes, by=Actor.command("load_demo"))[1]
