"""One point of a chart: what happened in a span, and how full the queue was. The same for what is live and what was rolled up."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tracing.selectors import event_and_bucket
from tracing.services.latency import percentiles
from tracing.services.record import SENT

SHOWN_PERCENTILES = (50, 95, 99)
#: Of what was tried to the end, these did not go well.
BAD = ("failed", "unknown")


@dataclass(frozen=True, slots=True)
class Gauge:
    """The queue and the pools at a moment, or the most of both within a span. `depth` None: no feeder has told."""

    depth: int | None
    capacity: int
    threads: int
    busy: int


class Flow:
    """What happened in a span: events, what was sent by channel, and the latencies of it."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.channels: Counter[str] = Counter()
        self.histogram: Counter[int] = Counter()

    def add(self, channel: str, event: str, number: int, histogram: Mapping[int, int] | None = None) -> None:
        """Add what was counted of a channel; `event` may name the bucket of its latency."""
        name, bucket = event_and_bucket(event)
        self.events[name] += number
        if name == SENT:
            self.channels[channel] += number
            if bucket is not None:
                self.histogram[bucket] += number
        if histogram:
            self.histogram.update(histogram)

    def merge(self, others: "Iterable[Flow]") -> "Flow":
        """Add other spans, and return the sum."""
        for other in others:
            self.events.update(other.events)
            self.channels.update(other.channels)
            self.histogram.update(other.histogram)
        return self

    @property
    def success_rate(self) -> float | None:
        """The percentage sent of what was tried to the end, or None if nothing was."""
        good = self.events[SENT]
        tried = good + sum(self.events[event] for event in BAD)
        return round(100.0 * good / tried, 2) if tried else None

    def latency_ms(self) -> dict[str, int | None]:
        """Return percentiles of the time from due to accepted by the provider, within 6 per cent."""
        names = (f"p{percent}" for percent in SHOWN_PERCENTILES)
        return dict(zip(names, percentiles(self.histogram, SHOWN_PERCENTILES), strict=True))


def point(*, at: int, seconds: float, flow: Flow | None, gauge: Gauge | None) -> dict[str, Any]:
    """Return a span as a chart shows it: its begin (Unix seconds), the seconds that were counted, numbers by event and by channel.

    What is not known is None: `flow` where nothing was counted, `gauge` where nothing was measured.
    """
    return {
        "at": at,
        "seconds": seconds,
        "events": None if flow is None else flow.events,
        "channels": None if flow is None else flow.channels,
        "latency_ms": None if flow is None else flow.latency_ms(),
        "success_rate": None if flow is None else flow.success_rate,
        "depth": gauge.depth if gauge else None,
        "capacity": gauge.capacity if gauge else None,
        "threads": gauge.threads if gauge else None,
        "busy": gauge.busy if gauge else None,
    }
