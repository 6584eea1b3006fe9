"""How much one visitor, and one address, may write: rules of flow control that all processes share, made of the entrance's settings."""

from functools import lru_cache

from django.utils.translation import gettext_lazy as _

from posthaste.lib import redis
from posthaste.lib.flow import gate
from posthaste.lib.flow.limiter import limiter
from posthaste.lib.flow.plan_cache import plan_for
from posthaste.lib.flow.rules import Limits, Rule
from posthaste.lib.problems import TooMany
from routing.entrances.portal.settings import PortalSettings

LINES, SESSIONS = "chat_lines", "chat_sessions"
SPAN_SECONDS = 60
HOUR_SECONDS = 3_600


@lru_cache(maxsize=256)
def _rules(resource: str, per_visitor: int, per_address: int, seconds: int) -> tuple[Rule, ...]:
    """Return the rules of a resource; a visitor's counter is kept for each of them, an address's under a number that hides it."""
    made = [Rule("chat-address", resource, "ip", Limits(in_window=per_address, window_seconds=seconds))]
    if per_visitor:
        made.append(Rule("chat-visitor", resource, "visitor", Limits(in_window=per_visitor, window_seconds=seconds)))
    return tuple(made)


def _enter(
    resource: str, *, entrance_id: str, visitor: str, ip: str, per_visitor: int, per_address: int, seconds: int = SPAN_SECONDS
) -> None:
    prefix = redis.key("flow", limiter.space, "chat", entrance_id, resource)
    plan = plan_for(_rules(resource, per_visitor, per_address, seconds), {"ip": ip, "visitor": visitor}, prefix=prefix)
    try:
        gate.leave(gate.ask_for(plan, cost=1, urgent=False))
    except TooMany as refusal:
        wait = int(refusal.headers.get("Retry-After", "1"))
        said = _("Too much at once. Wait a moment, then go on.") if wait < 60 else _("Too often. Try again in {n} min.")
        raise TooMany(said.format(n=-(-wait // 60)), retry_after_seconds=wait, limited_by=refusal.extra.get("limited_by", "")) from None


def enter_line(settings: PortalSettings, *, entrance_id: str, visitor: str, ip: str) -> None:
    """Count a line or a file of a visitor.

    Raises:
        TooMany: the visitor or the address has written too much within a minute.
    """
    limits = {"per_visitor": settings.lines_per_minute, "per_address": settings.address_per_minute}
    _enter(LINES, entrance_id=entrance_id, visitor=visitor, ip=ip, **limits)


def enter_session(settings: PortalSettings, *, entrance_id: str, ip: str) -> None:
    """Count a new session of an address.

    Raises:
        TooMany: it has begun too many within a minute.
    """
    limits = {"per_visitor": 0, "per_address": settings.sessions_per_minute}
    _enter(SESSIONS, entrance_id=entrance_id, visitor="", ip=ip, **limits)


def enter_hourly(resource: str, *, entrance_id: str, visitor: str, ip: str, per_visitor: int, per_address: int) -> None:
    """Count something that a visitor does now and then, such as having a transcript sent; `visitor` is what is counted beside the address.

    Raises:
        TooMany: it was done too often within an hour.
    """
    limits = {"per_visitor": per_visitor, "per_address": per_address, "seconds": HOUR_SECONDS}
    _enter(resource, entrance_id=entrance_id, visitor=visitor, ip=ip, **limits)
