"""Messages that wait for a breaker, and are brought forward as soon as a provider may be called.

A message that finds all breakers open has been fed, claimed and put back: three updates of its row. So it is postponed for a minute or
more, however soon the breaker will be tested, and a job checks every second whether the wait is over: a few messages are brought
forward as trial calls while a breaker is half-open, and all of them once one has closed or another provider is available.

The worker that postpones messages records in Redis what they wait for, after their rows are written; the rows say it in `error_code`. If
that record is lost (Redis lost its memory, the job's process died between two steps), they come back when they are due. While Redis is
away, they are postponed for seconds only.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import structlog
from django.db.models import Q, QuerySet

from messaging.configuration import provider_routing
from messaging.models import BatchStatus, Message, Status
from messaging.providers import breakers as rules
from messaging.providers.cache import provider_cache
from messaging.queueing import forward
from messaging.queueing.publish import kick_feeder
from posthaste.lib import logs, redis
from posthaste.lib.breaker import Phase, breakers
from tracing.services import record

log = structlog.get_logger(__name__)
PREFIX = "breaker:"
MIN_SECONDS, MAX_SECONDS = 60.0, 300.0  # beyond the least only where the breaker will surely be open for longer
AWAY_SECONDS = 15.0  # they cannot be brought forward while Redis is away
SPREAD_SECONDS, SPREAD_SHARE = 1.0, 0.1  # messages that come back without being brought forward do so over a while
MAX_PER_STATEMENT, MAX_PER_LOOK = 5_000, 20_000


@dataclass(frozen=True, slots=True)
class BreakerWait:
    """What messages wait for: the providers of a tenant's channel, or a host that webhooks of the tenant name."""

    tenant_id: int
    channel: str
    is_sandbox: bool
    host: str = ""

    def __str__(self) -> str:
        return f"{self.tenant_id}:{self.channel}:{int(self.is_sandbox)}:{self.host}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `str` wrote."""
        tenant_id, channel, is_sandbox, host = text.split(":", 3)
        return cls(int(tenant_id), channel, is_sandbox == "1", host)


def error_code_for(whose: str) -> str:
    """Return the error code of messages that wait for a provider (its name) or a host."""
    return f"{PREFIX}{whose}"[:60]


def seconds(until_open: float) -> float:
    """Return the seconds to put a message off whose breaker may be tried in `until_open` seconds."""
    if breakers.is_away:
        return min(until_open, AWAY_SECONDS) + random.uniform(0, SPREAD_SECONDS)
    return max(MIN_SECONDS, min(until_open, MAX_SECONDS)) * (1 + random.uniform(0, SPREAD_SHARE))


def _key() -> str:
    return redis.key("breakers", "waits")


def note(pipeline: Any, waits: Iterable[BreakerWait]) -> None:
    """Record within a pipeline what messages wait for. Their rows must have been written before."""
    pipeline.sadd(_key(), *map(str, waits))


def bring_forward(*, now: datetime) -> int:
    """Make messages due whose breaker lets calls through again, and return the number. A job calls it every second."""
    try:
        noted: Any = redis.client().smembers(_key())
        if not noted:
            return 0
        waits = [BreakerWait.read(text.decode()) for text in noted]
        random.shuffle(waits)  # where many tenants wait for one host, another one tries it each time
        tried: set[str] = set()
        moved = [id_ for wait in waits for id_ in _look(wait, tried, now)]
    except redis.Unavailable:
        return 0
    if moved:
        log.info("messages that waited for a breaker brought forward", **logs.traces(moved))
        kick_feeder()
    return len(moved)


def _look(wait: BreakerWait, tried: set[str], now: datetime) -> list[UUID]:
    """Bring forward what may go now, and return it. The note is taken back first: who puts a message off meanwhile makes it anew."""
    names = {rules.of_host(wait.host): wait.host} if wait.host else _providers(wait)
    phases = {name: rules.phase(name) for name in names}
    closed = [name for name, phase in phases.items() if phase == Phase.CLOSED]
    # One that waits for receipts has made its trial calls.
    half_open = {name for name, phase in phases.items() if phase == Phase.HALF_OPEN and breakers.wait_seconds(name) <= 0} - tried
    fails_over = bool(wait.host) or provider_routing.of(wait.tenant_id).fail_over
    is_over = len(closed) == len(phases) or (bool(closed) and fails_over)
    if not is_over and not closed and not half_open:
        return []
    redis.client().srem(_key(), str(wait))
    if is_over:
        moved = _move(_waiting(wait, now, [wait.host] if wait.host else []), MAX_PER_LOOK, now)
        if len(moved) >= MAX_PER_LOOK:
            redis.client().sadd(_key(), str(wait))
        return moved
    # Without fail-over each message waits for the provider that was drawn for it.
    moved = _move(_waiting(wait, now, [names[name] for name in closed]), MAX_PER_LOOK, now) if closed else []
    if half_open:
        tried |= half_open
        few = max(rules.rule(name).trial_calls for name in half_open)
        runs = Q(batch=None) | Q(batch__status=BatchStatus.RUNNING)  # others would not be fed
        whose = [wait.host] if wait.host else [] if fails_over else [names[name] for name in half_open]
        moved += _move_few(_waiting(wait, now, whose).filter(runs), few, now)
    if moved or not fails_over or _waiting(wait, now, []).exists():
        redis.client().sadd(_key(), str(wait))  # others wait still
    return moved


def _providers(wait: BreakerWait) -> dict[str, str]:
    """Return the eligible providers' names by breaker; the built-in sandbox has no breaker."""
    providers = provider_cache.for_message(tenant_id=wait.tenant_id, channel=wait.channel, is_sandbox=wait.is_sandbox)
    return {provider.breaker: provider.name for provider in providers if provider.breaker}


def _waiting(wait: BreakerWait, now: datetime, whose: Iterable[str]) -> "QuerySet[Message]":
    """Return the waiting messages that are not due yet: those of the breakers in `whose`, or all."""
    rows = Message.objects.filter(
        tenant_id=wait.tenant_id, status=Status.PENDING, due_at__gt=now, channel=wait.channel, is_sandbox=wait.is_sandbox
    )
    codes = [error_code_for(name) for name in whose]
    return rows.filter(error_code__in=codes) if codes else rows.filter(error_code__startswith=PREFIX)


def _move(rows: "QuerySet[Message]", limit: int, now: datetime) -> list[UUID]:
    """Make up to `limit` of the rows due, the most urgent first, and return their ids."""
    moved: list[UUID] = []
    while len(moved) < limit:
        step = min(MAX_PER_STATEMENT, limit - len(moved))
        ids = list(rows.order_by("-priority", "due_at").values_list("pk", flat=True)[:step])
        moved += _make_due(ids, now)
        if len(ids) < step:
            break
    return moved


def _move_few(rows: "QuerySet[Message]", few: int, now: datetime) -> list[UUID]:
    """Make a few rows due and return their ids.

    Those with the fewest attempts, so that no message spends all its attempts on trial calls.
    """
    ids: list[UUID] = []
    for attempts in ({"attempts": 0}, {"attempts": 1}, {"attempts__gt": 1}):
        ids += rows.filter(**attempts).order_by().values_list("pk", flat=True)[: few - len(ids)]
        if len(ids) >= few:
            break
    return _make_due(ids, now)


def _make_due(ids: Sequence[UUID], now: datetime) -> list[UUID]:
    """Make rows due that still wait, and return the ids."""
    return forward.make_due(Message.objects.filter(pk__in=ids, status=Status.PENDING), ids, why=record.BREAKER_CLOSED, now=now)
