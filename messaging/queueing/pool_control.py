"""The elastic pools as operators steer them: why each grew or shrank, holding one at a size, and ending a worker.

Decisions are kept in Redis, the last `KEPT` of all pools. A hold is a key that expires, which the pool reads with its figures: a pool that
starts anew is not held. A process is ended by a note that it finds itself (`posthaste.lib.process_notes`), so no broker is needed for it.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from messaging.actions import Action
from posthaste.lib import process_notes, redis
from posthaste.lib.problems import Invalid

KEPT = 100
KEEP_SECONDS = 7 * 86_400
MAX_THREADS = 1_000
MAX_HOLD_SECONDS = 86_400
#: Processes that end when they are told to, finish what they have begun, and are started again by what supervises them.
STOPPABLE = ("send", "aux", "beat")


@dataclass(frozen=True, slots=True)
class Decision:
    """One step of one pool: from how many threads to how many, why, and what the rule looked at.

    `reason` is usage, drain, age, cap, idle, limits or held; see `autoscale.decide`.
    """

    at: float  # seconds since 1970
    instance: str
    before: int
    threads: int
    reason: str
    usage_percent: float
    waiting: int
    drain_seconds: float | None = None
    oldest_seconds: float = 0.0

    @property
    def moment(self) -> datetime:
        """When it was made."""
        return datetime.fromtimestamp(self.at, UTC)


def _decisions() -> str:
    return redis.key("pool-decisions")


def _hold(instance: str) -> str:
    return redis.key("pool-hold", instance)


def exchange(instance: str, decisions: Sequence[Decision]) -> int | None:
    """Tell what a pool decided, and return the size that it is held at; None where it follows its rule. One round trip.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    pipeline = redis.client().pipeline(transaction=False)
    pipeline.get(_hold(instance))
    if decisions:
        pipeline.lpush(_decisions(), *(orjson.dumps(asdict(decision)) for decision in decisions))
        pipeline.ltrim(_decisions(), 0, KEPT - 1)
        pipeline.expire(_decisions(), KEEP_SECONDS)
    held = pipeline.execute()[0]
    return int(held) if held else None


def decisions(limit: int = KEPT) -> list[Decision]:
    """Return the last decisions of all pools, newest first; what another version wrote in a form that is not known is left out.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    found: Any = redis.client().lrange(_decisions(), 0, limit - 1)
    return [decision for decision in map(_read, found) if decision is not None]


def _read(entry: bytes) -> Decision | None:
    try:
        return Decision(**orjson.loads(entry))
    except (TypeError, ValueError):
        return None


def holds(instances: Sequence[str]) -> dict[str, tuple[int, float]]:
    """Return which of these pools are held: the threads, and for how many seconds more.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    pipeline = redis.client().pipeline(transaction=False)
    for instance in instances:
        pipeline.get(_hold(instance))
        pipeline.pttl(_hold(instance))
    answers = pipeline.execute() if instances else []
    return {
        instance: (int(held), max(0, left) / 1000)
        for instance, held, left in zip(instances, answers[::2], answers[1::2], strict=True)
        if held
    }


def hold(*, instance: str, threads: int, seconds: int, by: Actor) -> None:
    """Keep a pool at so many threads for a time, whatever its rule wants.

    Raises:
        Invalid: too few or too many threads, or too long.
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    if not 1 <= threads <= MAX_THREADS:
        raise Invalid.field("threads", _("A number from 1 to {most}.").format(most=MAX_THREADS))
    if not 1 <= seconds <= MAX_HOLD_SECONDS:
        raise Invalid.field("minutes", _("A number from 1 to {most}.").format(most=MAX_HOLD_SECONDS // 60))
    with audit.recorded_first(by=by, action=Action.POOL_HOLD, target=instance, detail={"threads": threads, "seconds": seconds}):
        redis.client().set(_hold(instance), threads, ex=seconds)


def release(*, instance: str, by: Actor) -> None:
    """Let a pool follow its rule again.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    with audit.recorded_first(by=by, action=Action.POOL_RELEASE, target=instance) as entry:
        was_held = redis.client().delete(_hold(instance))
    if not was_held:
        audit.withdraw(entry)


def shut_down(*, kind: str, host: str, pid: int, by: Actor) -> None:
    """Ask a worker or beat to end: it finishes what it has begun, within seconds.

    Raises:
        Invalid: a process of this kind does not end this way.
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    if kind not in STOPPABLE:
        raise Invalid.field("kind", _("Only workers and beat can be shut down here. Restart a server where it is supervised."))
    with audit.recorded_first(by=by, action=Action.INSTANCE_SHUTDOWN, target=f"{kind}:{host}:{pid}", detail={"at": round(time.time())}):
        process_notes.leave(kind=kind, host=host, pid=pid, note=process_notes.SHUTDOWN)
