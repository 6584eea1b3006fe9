"""Whether what a connection was opened with still holds: for WebSockets, which outlive the request that was checked.

A grant is what the caller showed: an API key, or the session of a signed-in member of staff. All grants of a process are checked
together, with at most four statements however many there are.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.utils.crypto import constant_time_compare

from accounts.models import Member, Tenant, User
from accounts.roles import Role, roles_from
from accounts.services import api_keys
from accounts.services.api_keys import Caller
from posthaste.lib.problems import Problem


@dataclass(frozen=True, slots=True)
class KeyGrant:
    """An API key with a scope, from an address."""

    prefix: str
    key_id: int
    tenant_id: int
    ip: str
    scope: str


@dataclass(frozen=True, slots=True)
class StaffGrant:
    """A session of a member of staff who sees one tenant, or all of them (`tenant_id` None: superusers only)."""

    session_key: str
    user_id: int
    tenant_id: int | None


Grant = KeyGrant | StaffGrant


def grant_of_key(caller: Caller, *, scope: str, ip: str) -> KeyGrant:
    """Return what a recognised caller opens a connection with."""
    return KeyGrant(prefix=caller.prefix, key_id=caller.key_id, tenant_id=caller.tenant_id, ip=ip, scope=scope)


def still_valid(grants: Collection[Grant], *, now: datetime) -> set[Grant]:
    """Return the grants that still hold, read from the database and not from this process's memory of keys."""
    keys = {grant for grant in grants if isinstance(grant, KeyGrant)}
    staff = {grant for grant in grants if isinstance(grant, StaffGrant)}
    return {*_valid_keys(keys, now), *_valid_staff(staff, now)}


def _valid_keys(grants: Collection[KeyGrant], now: datetime) -> set[KeyGrant]:
    if grants:
        api_keys.refresh({grant.prefix for grant in grants})
    return {grant for grant in grants if _holds(grant, now)}


def _holds(grant: KeyGrant, now: datetime) -> bool:
    try:
        return api_keys.recall(prefix=grant.prefix, key_id=grant.key_id, ip=grant.ip, now=now).may(grant.scope)
    except Problem:
        return False


def _valid_staff(grants: Collection[StaffGrant], now: datetime) -> set[StaffGrant]:
    if not grants:
        return set()
    users = User.objects.in_bulk({grant.user_id for grant in grants})
    sessions = _sessions({grant.session_key for grant in grants}, now)
    seen = Member.objects.filter(user_id__in=users, role__in=roles_from(Role.VIEWER), tenant__is_active=True)
    roles = set(seen.values_list("user_id", "tenant_id"))
    tenants = set(Tenant.objects.filter(pk__in={grant.tenant_id for grant in grants}).values_list("pk", flat=True))

    def holds(grant: StaffGrant) -> bool:
        user = users.get(grant.user_id)
        if user is None or not user.is_active or not user.is_staff or not _is_of(sessions.get(grant.session_key, {}), user):
            return False
        if user.is_superuser:
            return grant.tenant_id is None or grant.tenant_id in tenants
        return (grant.user_id, grant.tenant_id) in roles

    return {grant for grant in grants if holds(grant)}


def _sessions(keys: Collection[str], now: datetime) -> dict[str, dict[str, Any]]:
    """Return what is stored in the sessions that were not ended and have not expired, by their keys."""
    model = import_module(settings.SESSION_ENGINE).SessionStore.get_model_class()
    found = model.objects.filter(session_key__in=keys, expire_date__gt=now)
    return {session.session_key: session.get_decoded() for session in found}


def _is_of(session: dict[str, Any], user: User) -> bool:
    """Return whether a session is the user's, and not older than their password."""
    return session.get(SESSION_KEY) == str(user.pk) and constant_time_compare(
        session.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()
    )
