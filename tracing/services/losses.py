"""What tracing had to leave out, counted in Redis: a figure and a notice say that traces are not complete.

One hash: `<kind>` is the number since Redis began to keep it, `<kind>:at` the Unix time of the last loss.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from posthaste.lib import redis

LINES = "lines"  # of traces: they came faster than Redis took them, or it was away
TRACES = "traces"  # not exported: the receiver refused them, or was away for longer than there is room
KINDS = (LINES, TRACES)


@dataclass(frozen=True, slots=True)
class Loss:
    """How many were left out, and when the last one was."""

    number: int = 0
    last_at: datetime | None = None


def key() -> str:
    """Return the key of the counts."""
    return redis.key("trace-losses")


def note(pipeline: Any, kind: str, number: int) -> None:
    """Count what was left out, in the caller's pipeline."""
    if number:
        pipeline.hincrby(key(), kind, number)
        pipeline.hset(key(), f"{kind}:at", int(time.time()))


def so_far() -> dict[str, Loss]:
    """Return the losses by kind.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    stored: Any = redis.client().hgetall(key())
    return {kind: _loss(stored.get(kind.encode()), stored.get(f"{kind}:at".encode())) for kind in KINDS}


def _loss(number: bytes | None, last_at: bytes | None) -> Loss:
    return Loss(int(number or 0), datetime.fromtimestamp(int(last_at), UTC) if last_at else None)
