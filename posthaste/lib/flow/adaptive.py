"""A rate that follows what the system can do, in small steps between two bounds.

Additive increase and multiplicative decrease by latency (Jacobson and Karels, "Congestion avoidance and control", 1988). It learns
where it had to come down last (the knee) and climbs slowly near it, as CUBIC does. All processes add what they saw to one count a
period in Redis; the process that finds a period over takes the step for all and records why.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from posthaste.lib import redis

KEEP_REASONS = 100
BUSY_FROM = 0.7  # below this share of the limit in use there is no ground to raise it
NEAR_THE_KNEE = 0.9
KNEE_FADES_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Settings:
    """See `AdaptiveLimit` of the flow rules."""

    minimum: float
    maximum: float
    target_latency_ms: float
    step_percent: float
    every_seconds: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What all processes saw in one period."""

    requests: int
    counted: int  # let in, in the unit of the limit
    took_ms: float
    refused: int
    seconds: float

    @property
    def latency_ms(self) -> float:
        return self.took_ms / self.requests if self.requests else 0.0

    @property
    def per_second(self) -> float:
        return self.counted / self.seconds


@dataclass(frozen=True, slots=True)
class Step:
    """A limit, why it is that, and where the knee is."""

    limit: float
    reason: str
    knee: float
    knee_at: float


def step(before: Step, seen: Seen, settings: Settings, *, now: float) -> Step:
    """Return the next limit and its reason: one of "no_traffic", "latency", "room", "near_the_knee", "enough"."""
    limit = min(settings.maximum, max(settings.minimum, before.limit))
    share = settings.step_percent / 100
    if not seen.requests and not seen.refused:
        return Step(limit, "no_traffic", before.knee, before.knee_at)
    if seen.latency_ms > settings.target_latency_ms:
        excess = min(1.0, seen.latency_ms / settings.target_latency_ms - 1)
        lower = max(settings.minimum, limit * (1 - share * max(0.2, excess)))
        # what went through, not what was allowed, is what was too much
        return Step(lower, "latency", min(limit, max(settings.minimum, seen.per_second)), now)
    if not seen.refused and seen.per_second < BUSY_FROM * limit:
        return Step(limit, "enough", before.knee, before.knee_at)
    near = before.knee and now - before.knee_at < KNEE_FADES_SECONDS and limit >= NEAR_THE_KNEE * before.knee
    raised = limit + max(1.0, limit * share * (0.1 if near else 1.0))
    return Step(min(settings.maximum, raised), "near_the_knee" if near else "room", before.knee, before.knee_at)


def _keys() -> tuple[str, str, str]:
    return redis.key("flow", "adaptive"), redis.key("flow", "adaptive", "reasons"), redis.key("flow", "adaptive", "seen")


class Adaptive:
    """A process's view of the common limit."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.limit: float | None = None
        self._clock = clock

    def tick(self, settings: Settings, *, requests: int, counted: int, took_ms: float, refused: int) -> float:
        """Add what this process saw since its last tick, take the step if a period is over, and return the limit.

        `requests` and `took_ms` are those of all resources: the latency is that of the process. `counted` is what the limit let in.

        Raises:
            posthaste.lib.redis.Unavailable: Redis is away; the last limit stays.
        """
        now = self._clock()
        period = int(now / settings.every_seconds)
        state, reasons, seen = _keys()
        client = redis.client()
        pipeline = client.pipeline(transaction=False)
        for name, number in (("requests", requests), ("counted", counted), ("took_ms", round(took_ms)), ("refused", refused)):
            pipeline.hincrby(f"{seen}:{period}", name, number)
        pipeline.expire(f"{seen}:{period}", int(settings.every_seconds * 3) + 5)
        pipeline.get(state)
        pipeline.set(f"{seen}:{period}:turn", 1, nx=True, px=int(settings.every_seconds * 2000))
        pipeline.hgetall(f"{seen}:{period - 1}")
        found, turn, last = pipeline.execute()[-3:]
        before = Step(**json.loads(found)) if found else Step(settings.maximum, "start", 0.0, 0.0)
        if turn:
            numbers = {name.decode(): int(value) for name, value in last.items()}
            observed = Seen(
                requests=numbers.get("requests", 0),
                counted=numbers.get("counted", 0),
                took_ms=numbers.get("took_ms", 0),
                refused=numbers.get("refused", 0),
                seconds=settings.every_seconds,
            )
            after = step(before, observed, settings, now=now)
            body = json.dumps({"limit": after.limit, "reason": after.reason, "knee": after.knee, "knee_at": after.knee_at})
            pipeline = client.pipeline(transaction=False)
            pipeline.set(state, body, ex=86_400)
            if after.limit != before.limit or before.reason != after.reason:
                entry = {
                    "at": now,
                    "limit": round(after.limit, 1),
                    "before": round(before.limit, 1),
                    "reason": after.reason,
                    "latency_ms": round(observed.latency_ms, 1),
                    "per_second": round(observed.per_second, 1),
                    "refused": observed.refused,
                }
                pipeline.lpush(reasons, json.dumps(entry))
                pipeline.ltrim(reasons, 0, KEEP_REASONS - 1)
            pipeline.execute()
            before = after
        self.limit = min(settings.maximum, max(settings.minimum, before.limit))
        return self.limit


def history(limit: int = KEEP_REASONS) -> list[dict[str, Any]]:
    """Return the last steps, newest first: at, limit, before, reason, latency_ms, per_second, refused."""
    return [json.loads(entry) for entry in redis.client().lrange(_keys()[1], 0, limit - 1)]
