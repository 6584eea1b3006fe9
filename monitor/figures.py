"""The platform's figures as alarms and `/metrics` read them: what each app declared in its `metrics.py`, remembered for a moment.

    figures.titled()                        those that an alarm can watch, by name
    figures.read(["oldest_due_seconds"])    what is known of some now: {"oldest_due_seconds": Figure(...)}

A figure says "no data" (`is_known` is false) while its source is away, has told nothing lately, or takes too long. It is never an error of
the caller, and an old number never stands for a new one.
"""

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from posthaste.lib import metric_readings, metrics
from posthaste.lib.metrics import Histogram, Metric, Samples
from posthaste.lib.process_state import on_reset

KEEP_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Figure:
    """What was read of a metric. `samples` is None where nothing is known; `error` says why if reading it failed."""

    metric: Metric
    samples: Samples | None
    error: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is data; an empty list of samples is data too: there is nothing of the kind."""
        return self.samples is not None

    @property
    def values(self) -> dict[tuple[str, ...], float]:
        """The numbers by the values of the labels, in the order of `metric.labels`; {} where nothing is known."""
        return {labels: number for labels, number in self.samples or () if not isinstance(number, Histogram)}

    def matching(self, wanted: Mapping[str, str]) -> dict[tuple[str, ...], float]:
        """Return the numbers whose labels have the wanted values, such as `{"part": "redis"}`."""
        return {
            labels: number
            for labels, number in self.values.items()
            if all(dict(zip(self.metric.labels, labels, strict=True)).get(name) == value for name, value in wanted.items())
        }


_lock = threading.Lock()
#: The last answers, each with the time at which it was read.
_kept: dict[str, tuple[float, Figure]] = {}


def all_of_them() -> list[Metric]:
    """Return every metric by name."""
    return metrics.metrics()


def titled() -> dict[str, Metric]:
    """Return the metrics that an alarm can watch, by name."""
    return {found.name: found for found in metrics.metrics() if found.title}


def read(
    names: Collection[str] | None = None, *, max_age_seconds: float = KEEP_SECONDS, within_seconds: float | None = None
) -> dict[str, Figure]:
    """Return what is known of some metrics, or of all, none of it older than `max_age_seconds` or, if longer, the metric's own.

    It waits for a reading that is under way, and takes at most as long as two (`metric_readings.ALL_SECONDS`), or `within_seconds` in all:
    what was not read by then is no data. Unknown names are left out.
    """
    asked_at = time.monotonic()
    wanted = {found.name: found for found in metrics.metrics() if names is None or found.name in names}
    if not _lock.acquire(timeout=-1 if within_seconds is None else max(0.0, within_seconds)):
        return {name: Figure(found, None, "Another reading is still under way.") for name, found in wanted.items()}
    try:
        stale = [name for name, found in wanted.items() if not _is_fresh(found, asked_at, max_age_seconds)]
        if stale:
            began = time.monotonic()
            left = None if within_seconds is None else asked_at + within_seconds - began
            for found, what in metric_readings.read_all(stale, within_seconds=left):
                _kept[found.name] = (began, Figure(found, what.samples, what.error))
        return {name: _kept[name][1] for name in wanted if name in _kept}
    finally:
        _lock.release()


def _is_fresh(found: Metric, asked_at: float, max_age_seconds: float) -> bool:
    kept = _kept.get(found.name)
    if kept is None or kept[1].metric is not found:
        return False
    # What could not be read is asked again soon, however costly it is: it may be back.
    keep_seconds = max(max_age_seconds, found.keep_seconds if kept[1].is_known else 0.0)
    return asked_at - kept[0] < keep_seconds


@on_reset
def forget() -> None:
    """Read everything anew at the next question."""
    _kept.clear()
