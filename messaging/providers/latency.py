"""How long providers take: seen by the workers, told to every process through Redis.

What is decided upon it: how many messages one task carries (so that it lasts well under a second and an urgent message
soon finds a free thread), and how many threads a provider can keep busy.
"""

import threading
import time
from typing import Any
from uuid import UUID

from posthaste.lib import redis
from posthaste.lib.process_state import on_reset

WEIGHT = 0.1  # of the latest call in the moving average
FRESH_SECONDS = 2.0
EXPIRE_SECONDS = 86_400


class Latencies:
    """Moving averages of the milliseconds a call takes, by provider."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a process that has just started."""
        self._lock = threading.Lock()
        self._seen: dict[UUID, float] = {}
        self._told: dict[UUID, float] = {}
        self._read_at = -FRESH_SECONDS

    def observe(self, provider_id: UUID, milliseconds: float) -> None:
        """Count in one call."""
        before = self._seen.get(provider_id)
        if before is None:
            before = self.of(provider_id) or milliseconds
        self._seen[provider_id] = before + WEIGHT * (milliseconds - before)

    def publish(self, pipeline: Any, provider_ids: set[UUID]) -> None:
        """Report the others what this process sees, within a pipeline of the caller's."""
        seen = {provider_id.hex: f"{self._seen[provider_id]:.1f}" for provider_id in provider_ids if provider_id in self._seen}
        if seen:
            pipeline.hset(redis.key("latency"), mapping=seen)
            pipeline.expire(redis.key("latency"), EXPIRE_SECONDS)

    def of(self, provider_id: UUID) -> float | None:
        """Return the milliseconds that a call takes at present, None if there has been no call yet."""
        if time.monotonic() - self._read_at > FRESH_SECONDS:
            with self._lock:
                self._read_at = time.monotonic()  # also when Redis is away, so that only one call waits for it
                try:
                    stored: Any = redis.client().hgetall(redis.key("latency"))
                except redis.Unavailable:
                    stored = {}
                self._told.update((UUID(name.decode()), float(value)) for name, value in stored.items())
        return self._told.get(provider_id)


latencies = Latencies()
on_reset(latencies.forget)
