"""Who calls: an API key, shown as it is or as a token issued for it, or a member of staff who signed in.

Nacos clients sign in with name and password and then show the token they were given with every call. The password is an API key
(the name does not matter), or that of a member of staff. A token is signed and expires, and does not outlive its key or user: both
are checked with every call, as they were at most two seconds ago.

Clients that do not sign in send name and password with every call. A password of a member of staff is then an attempt to sign in; one
that was right stands for its token for five minutes, so that it is one attempt and not one a call.
"""

import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from django.contrib.auth import authenticate
from django.core import signing
from django.http import HttpRequest, QueryDict
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from accounts.selectors import User, as_staff, get_staff
from accounts.services import rights
from accounts.services.api_keys import CACHE_SECONDS, FORM, Caller, live_key_needed, recall, recognise
from accounts.services.audit import Actor
from accounts.services.sign_in import too_many_attempts
from configcenter.scopes import CONFIG_PUBLISH, CONFIG_READ, CONFIG_WRITE
from posthaste.lib.problems import Forbidden, TooMany, Unauthenticated

TOKEN_SECONDS = 18_000  # as the Nacos server has it
SALT = "configcenter.nacos"
SCOPES = (CONFIG_READ, CONFIG_WRITE, CONFIG_PUBLISH)


@dataclass(frozen=True, slots=True)
class Who:
    """A caller: its name in the audit trail, its tenant (None: staff, for the installation), and what it may do."""

    actor: Actor
    tenant_id: int | None
    reaches_installation: bool
    scopes: frozenset[str]
    is_sandbox: bool = False

    def by(self, ip: str) -> Actor:
        """Return the caller with the address of this call."""
        return replace(self.actor, ip=ip)

    def must(self, *scopes: str) -> None:
        """Let those pass who have all the scopes. A sandbox key only reads, as in the REST API.

        Raises:
            Forbidden: naming the one that is missing, or asking for a live key. A member of staff has no scopes, but a right.
        """
        for scope in scopes:
            if scope not in self.scopes:
                if self.tenant_id is None:
                    raise Forbidden(rights.REFUSAL)
                raise Forbidden(_("This requires the scope {scope}.").format(scope=scope))
        if self.is_sandbox and set(scopes) != {CONFIG_READ}:
            raise live_key_needed()

    def must_reveal(self) -> None:
        """Let those pass who may read encrypted items: a system with its key, and of the staff only those who may edit them.

        Raises:
            Forbidden: a member of staff who only looks on; the console shows them no secrets either.
        """
        if self.tenant_id is None:
            self.must(CONFIG_WRITE)


def _of_key(caller: Caller) -> Who:
    own = frozenset(scope for scope in SCOPES if caller.may(scope))
    return Who(
        actor=Actor.of_key(caller),
        tenant_id=caller.tenant_id,
        reaches_installation=caller.is_operator,
        scopes=own,
        is_sandbox=caller.is_sandbox,
    )


def _of_user(user: User) -> Who:
    checks = ((CONFIG_READ, rights.may_view), (CONFIG_WRITE, rights.may_edit), (CONFIG_PUBLISH, rights.may_publish))
    own = frozenset(scope for scope, may in checks if may(user))
    return Who(actor=Actor.of_user(user), tenant_id=None, reaches_installation=True, scopes=own)


# --- signing in ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Token:
    """A token for a client: the text it shows with every call, and the caller it was issued to."""

    text: str
    who: Who


def sign_in(*, username: str, password: str, ip: str, now: datetime) -> Token:
    """Return a token for an API key, given as the password, or for a member of staff.

    Raises:
        Unauthenticated: neither is known.
        Forbidden: the key may not be used from this address, or the person may not look at the configuration.
        TooMany: so many attempts from this address or for this name.
    """
    if FORM.fullmatch(password.strip()):  # 256 random bits cannot be guessed, so a thousand systems may start at once
        caller = recognise(f"Bearer {password.strip()}", ip=ip, now=now)
        return Token(signing.dumps({"key": caller.prefix, "id": caller.key_id}, salt=SALT), _of_key(caller))
    attempt = _attempt(username, ip)
    if too_many_attempts(attempt):
        raise TooMany(_("Too many attempts to sign in. Try again in a minute."), retry_after_seconds=60)
    user = as_staff(authenticate(attempt, username=username, password=password))
    if user is None:
        raise Unauthenticated(_("Unknown user name or password. Systems sign in with an API key as the password."))
    if not rights.may_view(user):
        raise Forbidden(_("You don't have permission to view the configuration of the installation."))
    return Token(signing.dumps({"user": user.pk, "hash": _fingerprint(user)}, salt=SALT), _of_user(user))


def _attempt(username: str, ip: str) -> HttpRequest:
    """Return the attempt as a Django request, so that failed logins are counted."""
    request = HttpRequest()
    request.method = "POST"
    request.META["REMOTE_ADDR"] = ip
    fields = QueryDict(mutable=True)
    fields["username"] = username[:150]
    request.POST = fields  # type: ignore[assignment]  # the stubs know only what Django has read itself
    return request


def _fingerprint(user: User) -> str:
    """Return a value that changes with the password, so that a new password ends all tokens."""
    return user.get_session_auth_hash()[:24]


# --- every call ----------------------------------------------------------------------------------------------------

_users: dict[int, tuple[float, User | None]] = {}


def forget_cached_users() -> None:
    """Empty this process's memory of members of staff and their passwords."""
    _users.clear()
    _passwords.clear()


def _user(pk: int) -> User | None:
    loaded_at, user = _users.get(pk, (0.0, None))
    if time.monotonic() - loaded_at > CACHE_SECONDS:
        user = get_staff(pk)
        _users[pk] = (time.monotonic(), user)
    return user


PASSWORD_SECONDS = 300.0
MAX_PASSWORDS = 1_000
#: By a keyed digest of name, password and address, as the password itself is not to lie in memory: until when, and the token.
_passwords: dict[bytes, tuple[float, str]] = {}
_digest_key = secrets.token_bytes(32)


def digest(*parts: str) -> bytes:
    """Return a digest under which credentials are remembered in this process."""
    return hashlib.blake2b("\0".join(parts).encode(errors="surrogatepass"), key=_digest_key).digest()


def _of_password(username: str, password: str, ip: str, now: datetime) -> Who:
    if FORM.fullmatch(password.strip()):
        return _of_key(recognise(f"Bearer {password.strip()}", ip=ip, now=now))
    known = digest(username, password, ip)
    until, token = _passwords.get(known, (0.0, ""))
    if time.monotonic() < until:
        try:
            return _of_token(token, ip, now)
        except Unauthenticated:
            del _passwords[known]
    signed_in = sign_in(username=username, password=password, ip=ip, now=now)
    if len(_passwords) >= MAX_PASSWORDS:
        _passwords.clear()
    _passwords[known] = (time.monotonic() + PASSWORD_SECONDS, signed_in.text)
    return signed_in.who


def identify(*, headers: Mapping[str, str], fields: Mapping[str, str], ip: str, now: datetime) -> Who:
    """Return the caller that shows a token (`accessToken`), an API key (`Authorization: Bearer …`), or name and password.

    Raises:
        Unauthenticated: there is none of them, or it is wrong, expired or revoked.
        Forbidden: the key may not be used from this address.
        TooMany: so many attempts with a password from this address or for this name.
    """
    authorization = headers.get("authorization", "")
    token = fields.get("accessToken", "") or headers.get("accesstoken", "")
    if not token and not authorization and fields.get("password"):
        return _of_password(fields.get("username", ""), fields["password"], ip, now)
    if not token:
        scheme, _sep, shown = authorization.partition(" ")
        if scheme.lower() != "bearer" or FORM.fullmatch(shown.strip()):
            return _of_key(recognise(authorization, ip=ip, now=now))
        token = shown.strip()
    return _of_token(token, ip, now)


def _of_token(token: str, ip: str, now: datetime) -> Who:
    try:
        stands_for = signing.loads(token, salt=SALT, max_age=TOKEN_SECONDS)
    except signing.SignatureExpired:
        raise Unauthenticated(_("The token has expired. Sign in again.")) from None
    except signing.BadSignature:
        raise Unauthenticated(_("The token is invalid. Sign in again.")) from None
    if "key" in stands_for:
        return _of_key(recall(prefix=stands_for["key"], key_id=stands_for["id"], ip=ip, now=now))
    user = _user(stands_for["user"])
    if user is None or not constant_time_compare(_fingerprint(user), stands_for["hash"]):
        raise Unauthenticated(_("The token is no longer valid. Sign in again."))
    return _of_user(user)
