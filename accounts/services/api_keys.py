"""API keys: issue, revoke, recognise."""

import hashlib
import hmac
import ipaddress
import re
import secrets
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actions import Action
from accounts.models import ApiKey, KeyKind, Tenant, User
from accounts.scopes import ADMIN, SCOPES
from accounts.services import access_notices, audit
from accounts.services.audit import Actor
from accounts.services.key_uses import key_uses
from posthaste.lib.problems import Forbidden, Invalid, Unauthenticated
from posthaste.lib.process_state import on_reset

FORM = re.compile(r"ph_(live|test)_([A-Za-z0-9]{8})_([A-Za-z0-9_-]{43})")
CACHE_SECONDS = 2.0  # a revoked key works at most this long


@dataclass(frozen=True, slots=True)
class Caller:
    """The tenant and rights behind a valid API key."""

    key_id: int
    prefix: str
    tenant_id: int
    tenant_slug: str
    is_sandbox: bool
    scopes: frozenset[str]
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    expires_at: datetime | None
    digest: bytes
    is_operator: bool = False

    is_authenticated = True
    is_active = True

    @property
    def reaches_installation(self) -> bool:
        """Whether the installation's configuration is this caller's business, as `places` wants to know it."""
        return self.is_operator

    def may(self, scope: str) -> bool:
        """Return whether the key has the scope (`admin` has all)."""
        return scope in self.scopes or ADMIN in self.scopes

    def must_be_live(self) -> None:
        """Keep a sandbox key from changing anything live.

        Only for what a view can't tell from the method and the row; `HasScope` decides the rest.

        Raises:
            Forbidden: the key is a sandbox key.
        """
        if self.is_sandbox:
            raise live_key_needed()


def live_key_needed() -> Forbidden:
    """Return what a sandbox key is told about a change that only live keys may make."""
    return Forbidden(_("Sandbox keys can't do this because it changes more than the sandbox. Use a live key."))


def digest(secret: str) -> bytes:
    """Return the stored form of a key's secret: SHA-256, as the secret has 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()


def issue_api_key(
    *,
    tenant: Tenant,
    name: str,
    scopes: Iterable[str],
    kind: str = KeyKind.LIVE,
    ip_ranges: Iterable[str] = (),
    expires_at: datetime | None = None,
    created_by: User | None = None,
    by: Actor,
) -> tuple[ApiKey, str]:
    """Make a key and return it with its clear text, which is kept nowhere.

    Raises:
        Invalid: unknown scope, no scope, or an address range that is none.
    """
    wanted = sorted(set(scopes))
    errors = [
        {
            "field": "scopes",
            "code": "unknown",
            "message": _("Unknown scope {scope}. Available: {known}.").format(scope=s, known=", ".join(SCOPES)),
        }
        for s in wanted
        if s not in SCOPES
    ]
    if not wanted:
        errors.append({"field": "scopes", "code": "required", "message": _("At least one scope is required.")})
    ranges = []
    for text in ip_ranges:
        try:
            ranges.append(str(ipaddress.ip_network(text, strict=False)))
        except ValueError:
            errors.append(
                {
                    "field": "ip_ranges",
                    "code": "invalid",
                    "message": _("{text} is not an address range such as 10.0.0.0/8.").format(text=text),
                }
            )
    if expires_at and expires_at <= timezone.now():
        errors.append({"field": "expires_at", "code": "past", "message": _("Must be in the future.")})
    if errors:
        raise Invalid(errors=errors)
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"
    prefix = "".join(secrets.choice(alphabet) for _ in range(8))
    clear = f"ph_{'test' if kind == KeyKind.SANDBOX else 'live'}_{prefix}_{secrets.token_urlsafe(32)}"
    with transaction.atomic():
        key = ApiKey.objects.create(
            tenant=tenant,
            name=name,
            prefix=prefix,
            digest=digest(clear),
            kind=kind,
            scopes=wanted,
            ip_ranges=ranges,
            expires_at=expires_at,
            created_by=created_by,
        )
        detail = {"name": key.name, "kind": str(key.kind), "scopes": key.scopes}
        audit.record(by=by, action=Action.KEY_ISSUE, target=prefix, tenant_id=tenant.pk, detail=detail)
    return key, clear


def revoke_api_key(*, key: ApiKey, now: datetime, by: Actor) -> bool:
    """Revoke the key for ever and return whether it was still valid. Processes notice within two seconds."""
    with transaction.atomic():
        changed = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now)
        if changed:
            audit.record(by=by, action=Action.KEY_REVOKE, target=key.prefix, tenant_id=key.tenant_id)
            access_notices.notify_after_commit()
    _cache.pop(key.prefix, None)
    return bool(changed)


_cache: dict[str, tuple[float, Caller | None]] = {}
_lock = threading.Lock()


def _valid_keys(prefixes: Collection[str]) -> dict[str, Caller]:
    """Read the keys with these prefixes that are neither revoked nor of an inactive tenant."""
    rows = ApiKey.objects.filter(prefix__in=prefixes, revoked_at=None, tenant__is_active=True).select_related("tenant")
    return {row.prefix: _caller_of(row) for row in rows}


def _caller_of(row: ApiKey) -> Caller:
    return Caller(
        key_id=row.pk,
        prefix=row.prefix,
        tenant_id=row.tenant_id,
        tenant_slug=row.tenant.slug,
        is_sandbox=row.kind == KeyKind.SANDBOX,
        scopes=frozenset(row.scopes),
        networks=tuple(ipaddress.ip_network(text) for text in row.ip_ranges),
        expires_at=row.expires_at,
        digest=bytes(row.digest),
        is_operator=row.tenant.is_operator,
    )


@on_reset
def forget_cached_keys() -> None:
    """Empty this process's memory of keys."""
    _cache.clear()


def recognise(authorization: str, *, ip: str, now: datetime) -> Caller:
    """Return the caller behind an `Authorization` header.

    Raises:
        Unauthenticated: no key, a wrong, revoked or expired one.
        Forbidden: not from this address.
    """
    scheme, _sep, clear = authorization.partition(" ")
    if scheme.lower() != "bearer" or not clear:
        raise Unauthenticated
    match = FORM.fullmatch(clear.strip())
    if match is None:
        raise Unauthenticated(_("This is not a Posthaste API key. Keys begin with ph_live_ or ph_test_."))
    caller = _known(match[2])
    # Compared even when there is no such key, so that the time tells nothing.
    right = hmac.compare_digest(caller.digest if caller else b"\0" * 32, digest(clear.strip()))
    if caller is None or not right:
        raise Unauthenticated(_("This API key does not exist or has been revoked."))
    return _admit(caller, ip, now)


def recall(*, prefix: str, key_id: int, ip: str, now: datetime) -> Caller:
    """Return the caller who was recognised before and now shows a token of ours instead of the key.

    Raises: as `recognise`: a key that was revoked meanwhile is refused.
    """
    caller = _known(prefix)
    if caller is None or caller.key_id != key_id:
        raise Unauthenticated(_("This API key does not exist or has been revoked."))
    return _admit(caller, ip, now)


def _known(prefix: str) -> Caller | None:
    """Return the caller of a key prefix, at most CACHE_SECONDS old, or None."""
    loaded_at, caller = _cache.get(prefix, (0.0, None))
    if time.monotonic() - loaded_at > CACHE_SECONDS:
        caller = _valid_keys([prefix]).get(prefix)
        _remember({prefix: caller})
    return caller


def _remember(callers: Mapping[str, Caller | None]) -> None:
    with _lock:
        if len(_cache) > 10_000:
            _cache.clear()  # made-up prefixes must not fill the memory
        _cache.update({prefix: (time.monotonic(), caller) for prefix, caller in callers.items()})


def refresh(prefixes: Collection[str]) -> None:
    """Read these keys again, whatever this process remembers of them."""
    found = _valid_keys(prefixes)
    _remember({prefix: found.get(prefix) for prefix in prefixes})


def _admit(caller: Caller, ip: str, now: datetime) -> Caller:
    if caller.expires_at and caller.expires_at <= now:
        raise Unauthenticated(_("This API key has expired."))
    if caller.networks and not any(ipaddress.ip_address(ip) in network for network in caller.networks):
        raise Forbidden(_("This key can't be used from {ip}.").format(ip=ip))
    key_uses.note(caller.key_id, now)
    return caller
