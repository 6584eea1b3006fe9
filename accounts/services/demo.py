"""The demo's tenant, people and keys."""

import secrets
from typing import Any

from accounts.models import ApiKey, KeyKind, Member, Tenant, User
from accounts.roles import Role
from accounts.scopes import ADMIN, SCOPES
from accounts.services import people, tenants
from accounts.services.api_keys import digest, issue_api_key
from accounts.services.audit import Actor


def load_access(known: dict[str, Any], *, by: Actor) -> dict[str, Any]:
    """Make the demo's tenant, administrator and key, and return what a person needs to use them.

    `known` is what an earlier run gave: its secrets are kept where they still work.
    """
    tenant = Tenant.objects.filter(slug="demo").first()
    if tenant is None:
        tenant = tenants.create_tenant(tenant=Tenant(slug="demo", name="Demo", is_operator=True), by=by)
    elif not tenant.is_operator:
        tenant.is_operator = True
        tenants.change_tenant(tenant=tenant, fields=["is_operator"], by=by)
    username = known.get("admin", {}).get("username", "admin")
    password = known.get("admin", {}).get("password", "")
    user = User.objects.filter(username=username).first()
    if user is None or not password or not user.check_password(password):
        password = secrets.token_urlsafe(12)
        if user is None:
            user = User(username=username, email="admin@example.com", is_staff=True, is_superuser=True)
            user.set_password(password)
            people.create_user(user=user, by=by)
        else:
            user.set_password(password)
            people.set_password(user=user, by=by)
    if not Member.objects.filter(tenant=tenant, user=user).exists():
        people.add_member(member=Member(tenant=tenant, user=user, role=Role.OWNER), by=by)
    live, sandbox = known.get("api_key", ""), known.get("sandbox_api_key", "")
    return {
        "tenant": tenant,
        "api_key": _key(tenant, live, "Demo", KeyKind.LIVE, list(SCOPES), by),
        "sandbox_api_key": _key(tenant, sandbox, "Demo sandbox", KeyKind.SANDBOX, sorted(set(SCOPES) - {ADMIN}), by),
        "admin": {"username": username, "password": password},
    }


def load_agents(*, tenant: Tenant, by: Actor) -> list[User]:
    """Return the demo's administrator and two members who answer customers, and who sign in with the administrator's password."""
    found = list(User.objects.filter(memberships__tenant=tenant, memberships__role=Role.OWNER).order_by("pk")[:1])
    for username, first, last in (("mei", "Mei", "Chen"), ("tom", "Tom", "Baker")):
        user = User.objects.filter(username=username).first()
        if user is None:
            user = User(username=username, first_name=first, last_name=last, email=f"{username}@example.com", is_staff=True)
            user.set_unusable_password()
            people.create_user(user=user, by=by)
        if found and user.password != found[0].password:  # the same hash: deriving it again would take as long as two sign-ins
            user.password = found[0].password
            people.set_password(user=user, by=by)
        if not Member.objects.filter(tenant=tenant, user=user).exists():
            people.add_member(member=Member(tenant=tenant, user=user, role=Role.OPERATOR), by=by)
        found.append(user)
    return found


def _key(tenant: Tenant, clear: str, name: str, kind: KeyKind, scopes: list[str], by: Actor) -> str:
    if clear and ApiKey.objects.filter(tenant=tenant, digest=digest(clear), revoked_at=None).exists():
        return clear
    return issue_api_key(tenant=tenant, name=name, kind=kind, scopes=scopes, by=by)[1]
