"""Access tokens: one for each secret of a company, shared by all processes through Redis and renewed by one of them.

A token is good for two hours, and WeCom limits how often one is asked for; so each process asks Redis first, and of those that find none
(or one that WeCom refused) only the one that holds the lock asks WeCom. They lie in Redis encrypted, under a name that has no secret in
it: a hash of company and secret. A new secret has another name, so nothing of an old one is used.

A refusal (a wrong secret, an address that is not trusted) is told to all for a few seconds: WeCom blocks callers that go on asking.

While Redis is away, a process keeps its own. That is right too: WeCom gives the same token to all as long as it is valid.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
import structlog
from cryptography.fernet import InvalidToken

from posthaste.lib import locks, redis
from posthaste.lib.crypto import cipher
from posthaste.lib.process_state import on_reset
from routing.wecom.errors import Cure, WeComError

log = structlog.get_logger(__name__)

EARLY_SECONDS = 300  # so long before its end a token is renewed
LEAST_SECONDS = 30
CALL = "gettoken"
REFUSAL_SECONDS = 10
LOCK_SECONDS = 20.0  # longer than asking takes
WAIT_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """An application's, or those of 微信客服 or 客户联系. `base_url`: of WeCom, or of a private deployment."""

    corp_id: str
    secret: str = field(repr=False)
    base_url: str = "https://qyapi.weixin.qq.com"

    @property
    def name(self) -> str:
        """What tells these credentials from others and shows nothing of them."""
        return hashlib.sha256("\n".join((self.base_url, self.corp_id, self.secret)).encode()).hexdigest()[:32]


#: Returns a token and the seconds it is good for.
Ask = Callable[[], tuple[str, float]]

_own: dict[str, tuple[str, float]] = {}  # by name: a token and its end, by the monotonic clock
_own_lock = threading.Lock()


@on_reset
def forget_own() -> None:
    """Forget what this process keeps for the time without Redis."""
    with _own_lock:
        _own.clear()


def current(*, credentials: Credentials, ask: Ask, refused: str = "") -> str:
    """Return an access token. `refused`: the one that WeCom did not take; it is renewed unless another process has done so.

    Raises:
        WeComError: WeCom gave none, or another process has been asking for one for too long.
    """
    name = credentials.name
    try:
        if found := _shared(name, refused):
            return found
        with locks.simple(f"wecom-token-{name}", lease_seconds=LOCK_SECONDS, wait_seconds=WAIT_SECONDS):
            if found := _shared(name, refused):
                return found
            _raise_known_refusal(name)
            token, seconds = _asked(_noting(ask, name))
            redis.client().set(_key(name), cipher().encrypt(token.encode()), ex=max(1, int(seconds)))
            return token
    except locks.NotAcquired:
        raise WeComError(CALL, 0, "Another process has been asking for an access token for too long.") from None
    except redis.Unavailable:
        log.warning("wecom token without redis", corp_id=credentials.corp_id)
        return _of_this_process(name, ask, refused)


def forget(*, credentials: Credentials) -> None:
    """Forget a token, so that the next call asks for one: for tests of a connection by an administrator."""
    forget_own()
    redis.client().delete(_key(credentials.name), _key(credentials.name, "refusal"))


def _shared(name: str, refused: str) -> str:
    stored = redis.client().get(_key(name))
    if not stored:
        return ""
    try:
        token = cipher().decrypt(stored).decode()
    except InvalidToken:  # encrypted with a key that is gone
        return ""
    return "" if token == refused else token


def _of_this_process(name: str, ask: Ask, refused: str) -> str:
    with _own_lock:
        token, ends_at = _own.get(name, ("", 0.0))
        if token and token != refused and time.monotonic() < ends_at:
            return token
        token, seconds = _asked(ask)
        _own[name] = token, time.monotonic() + seconds
        return token


def _asked(ask: Ask) -> tuple[str, float]:
    token, seconds = ask()
    return token, max(seconds - EARLY_SECONDS, min(seconds, LEAST_SECONDS))


def _noting(ask: Ask, name: str) -> Ask:
    """Return the same question, whose refusal is noted for the others."""

    def noting() -> tuple[str, float]:
        try:
            return ask()
        except WeComError as error:
            if error.cure == Cure.CONFIGURE:
                redis.client().set(_key(name, "refusal"), orjson.dumps([error.code, error.detail]), ex=REFUSAL_SECONDS)
            raise

    return noting


def _raise_known_refusal(name: str) -> None:
    if noted := redis.client().get(_key(name, "refusal")):
        code, detail = orjson.loads(noted)
        raise WeComError(CALL, code, detail)


def _key(name: str, what: str = "token") -> str:
    return redis.key("wecom", what, name)
