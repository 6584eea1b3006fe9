"""What happens to messages, counted for metrics and alarms: by channel and event, and how long deliveries took.

Two hashes in Redis get the same numbers, in pipelines that are sent anyway: one that only grows, and one a minute that is kept for two
hours. Both are of all tenants together, so their size does not depend on how many there are. Fields:

    e:<channel>:<event>    events
    l:<channel>:<index>    deliveries whose latency lies at or below BOUNDS_MS[index] and above the bound before
    s:<channel>            the sum of these latencies, in milliseconds
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from posthaste.lib import redis
from tracing.services.record import Counted

#: Milliseconds; what took longer than the last one has the index after it.
BOUNDS_MS = (50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000)
KEEP_SECONDS = 7_200


class Totals:
    """Numbers of some time, or those that are not published yet."""

    def __init__(self, numbers: "Counter[str] | None" = None) -> None:
        self.numbers: Counter[str] = Counter() if numbers is None else numbers

    def count(self, channel: str, event: str, number: int = 1) -> None:
        """Count an event."""
        self.numbers[f"e:{channel}:{event}"] += number

    def add(self, events: "Mapping[Counted, int]") -> None:
        """Count events of tenants and channels; the bucket of a latency is left out, `took` counts it exactly."""
        for (_tenant_id, channel, event), number in events.items():
            self.count(channel, event.partition("/")[0], number)

    def took(self, channel: str, latencies_ms: Iterable[int]) -> None:
        """Count deliveries by how long they took from being due."""
        for latency in latencies_ms:
            self.numbers[f"l:{channel}:{bisect_left(BOUNDS_MS, latency)}"] += 1
            self.numbers[f"s:{channel}"] += latency

    def publish(self, pipeline: Any, now: datetime) -> None:
        """Add the numbers to everybody's, in the caller's pipeline, and begin anew."""
        if not self.numbers:
            return
        whole, minute = redis.key("totals"), _minute(int(now.timestamp() // 60))
        for field, number in self.numbers.items():
            pipeline.hincrby(whole, field, number)
            pipeline.hincrby(minute, field, number)
        pipeline.expire(minute, KEEP_SECONDS)
        self.numbers.clear()

    # --- reading ----------------------------------------------------------------------------------------------

    def events(self, event: str) -> int:
        """Return how often an event happened, in all channels."""
        return sum(number for field, number in self.numbers.items() if field.startswith("e:") and field.endswith(f":{event}"))

    def events_of(self, channel: str, event: str) -> int:
        """Return how often an event happened in a channel."""
        return self.numbers[f"e:{channel}:{event}"]

    def histogram(self, channel: str) -> list[int]:
        """Return the number of deliveries for each bound, and for what took longer."""
        return [self.numbers[f"l:{channel}:{index}"] for index in range(len(BOUNDS_MS) + 1)]

    def sum_ms(self, channel: str) -> int:
        """Return how long all deliveries of a channel took together."""
        return self.numbers[f"s:{channel}"]


def percentile_ms(histogram: Iterable[int], percent: float) -> float | None:
    """Estimate a percentile of latencies, as evenly spread within a bound; None where there are none."""
    numbers = list(histogram)
    wanted = sum(numbers) * percent / 100
    if not wanted:
        return None
    below, low = 0, 0.0
    for index, number in enumerate(numbers):
        high = float(BOUNDS_MS[min(index, len(BOUNDS_MS) - 1)])
        if number and below + number >= wanted:
            return low + (high - low) * (wanted - below) / number
        below, low = below + number, high
    return low


def _minute(number: int) -> str:
    return redis.key("totals", number)


def _read(answer: dict[bytes, bytes]) -> "Counter[str]":
    return Counter({field.decode(): int(number) for field, number in answer.items()})


def so_far() -> Totals:
    """Return what was counted since Redis began to keep it.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    answer: Any = redis.client().hgetall(redis.key("totals"))
    return Totals(_read(answer))


def by_minute(minutes: int) -> list[Totals]:
    """Return what was counted in each of the last minutes, the running one last.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    now = int(time.time() // 60)
    pipeline = redis.client().pipeline(transaction=False)
    for number in range(now - minutes + 1, now + 1):
        pipeline.hgetall(_minute(number))
    return [Totals(_read(answer)) for answer in pipeline.execute()]


def together(parts: Iterable[Totals]) -> Totals:
    """Add up the numbers of several times."""
    whole: Counter[str] = Counter()
    for part in parts:
        whole.update(part.numbers)
    return Totals(whole)
