"""The registry of the platform's figures: each is declared beside the function that reads it, in its app's `metrics.py`.

    @metric("orders_open", help=_("Orders that are not delivered yet."), labels=("country",))
    def orders_open() -> Mapping[str, float]:
        return {"cn": 17, "fr": 4}

A reader gives a number, or numbers by label: by the value of the label, or by a tuple of values where there are several. None, or a
number that is None, means that the figure is not known at this moment; an empty mapping means that there is nothing. A reader takes
milliseconds and bounds what it counts. Readers are called in a thread of their own: one that takes longer than `READER_SECONDS` is left
out.

Metrics with a `title` are what alarms can watch. Where the values of a label are not bounded by the installation (tenants' providers,
hosts of containers that come and go), `fold` makes one number of them for `/metrics`; alarms see each. What several readers ask for is
marked `once_a_reading`, so that one round trip serves all of them. A reading waits for Redis once at most: after a reader has found it
away, the shared client fails at once for those that follow, and so does `must_respond` for a part that was found to be away.

`monitor.figures` calls the readers and remembers the answers for a moment.
"""

import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import wraps
from queue import SimpleQueue
from typing import Any, Literal, TypeVar

import structlog
from django.conf import settings
from django.db import connections
from django.utils.functional import Promise
from django.utils.translation import activate, get_language

from posthaste.lib import redis

log = structlog.get_logger(__name__)

PREFIX = "posthaste_"
NAME = re.compile(r"[a-z][a-z0-9_]*")
#: Longer than the health report waits for a part (3 s); all together less than Prometheus waits by default (10 s).
READER_SECONDS = 4.0
ALL_SECONDS = 8.0

Kind = Literal["gauge", "counter", "histogram"]
Labels = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many observations lay at or below each bound, rising; the last bound is infinite. `total` is the sum of all values."""

    counts: tuple[tuple[float, float], ...]
    total: float


Number = float | Histogram
Reading = Number | Mapping[str, float | None] | Mapping[tuple[str, ...], float | None] | Mapping[str, Histogram] | None
Samples = list[tuple[tuple[str, ...], Number]]
Fold = Callable[[Iterable[float]], float | None]
R = TypeVar("R", bound=Callable[[], Reading])
F = TypeVar("F", bound=Callable[[], Any])


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One figure as it was declared. A gauge goes up and down; a counter only rises, and its name ends in `_total`."""

    name: str  # without the prefix
    kind: Kind
    help: str | Promise
    title: str | Promise  # for people who choose or read an alarm; empty: not for alarms
    unit: str  # as the name says it: seconds, bytes, messages
    labels: tuple[str, ...]
    fold: Fold | None
    keep_seconds: float  # so long an answer serves, because reading takes long
    is_vital: bool  # read before all others, which may take the time that there is
    read: Callable[[], Reading]

    @property
    def full_name(self) -> str:
        """The name under which it is published."""
        return PREFIX + self.name

    def samples(self) -> Samples | None:
        """Read it and return the known numbers, each with the values of its labels; None where it is not known at all.

        Raises:
            Exception: whatever the reader raises.
        """
        reading = self.read()
        if reading is None:
            return None
        if not isinstance(reading, Mapping):
            return [((), reading if isinstance(reading, Histogram) else float(reading))]
        by_labels: Iterable[tuple[Labels, Number | None]] = reading.items()
        found = [
            (
                tuple(map(str, values if isinstance(values, tuple) else (values,))),
                number if isinstance(number, Histogram) else float(number),
            )
            for values, number in by_labels
            if number is not None
        ]
        return found if found or not reading else None

    def folded(self, samples: Samples) -> Samples:
        """Return one number instead of one for each value of the labels, where the declaration says how."""
        if self.fold is None:
            return samples
        numbers = [number for _values, number in samples if not isinstance(number, Histogram)]
        whole = self.fold(numbers)
        return [] if whole is None else [((), whole)]


_metrics: dict[str, Metric] = {}


def largest(numbers: Iterable[float]) -> float:
    """Fold: the largest number, 0 where there is none."""
    return max(numbers, default=0.0)


def smallest(numbers: Iterable[float]) -> float | None:
    """Fold: the smallest number; no number where there is none."""
    return min(numbers, default=None)


def metric(
    name: str,
    *,
    kind: Kind = "gauge",
    help: str | Promise,
    title: str | Promise = "",
    unit: str = "",
    labels: tuple[str, ...] = (),
    fold: Fold | None = None,
    keep_seconds: float = 0.0,
    is_vital: bool = False,
) -> Callable[[R], R]:
    """Declare the function below as the reader of a figure. A unit stands at the end of the name, as Prometheus wants it.

    Raises:
        ValueError: the name or a label is not well formed, the name says nothing of the unit, or it is taken.
    """
    if not NAME.fullmatch(name) or name.startswith(PREFIX):
        raise ValueError(f"A metric's name has lower-case letters, digits and _, without the prefix {PREFIX}; {name!r} does not fit.")
    if len({*labels}) < len(labels) or not all(NAME.fullmatch(label) for label in labels):
        raise ValueError(f"The labels of a metric are different names of lower-case letters, digits and _; those of {name} are {labels}.")
    stem = name.removesuffix("_total")
    if (kind == "counter") != name.endswith("_total"):
        raise ValueError(f"The name of a counter, and only of a counter, ends in _total; {name!r} is declared as a {kind}.")
    if unit and not stem.endswith(unit):
        raise ValueError(f"The name of the metric {name!r} must end in its unit, {unit}.")
    if kind != "gauge" and (title or fold):
        raise ValueError(f"Only gauges are for alarms and can be folded; {name!r} is declared as a {kind}.")

    def declare(read: R) -> R:
        if name in _metrics:
            raise ValueError(f"The metric {name} is declared twice.")
        _metrics[name] = Metric(
            name=name,
            kind=kind,
            help=help,
            title=title,
            unit=unit,
            labels=labels,
            fold=fold,
            keep_seconds=keep_seconds,
            is_vital=is_vital,
            read=read,
        )
        return read

    return declare


class _Memory(threading.local):
    """What the thread of a reading has asked for already; None where there is no reading."""

    asked: dict[Any, "Future[Any]"] | None = None
    #: The parts that were found to be away, shared by all threads of a reading: another takes over from one that is left behind.
    away: set[str] | None = None


_memory = _Memory()


def once_a_reading(ask: F) -> F:
    """Let all readers of one reading share an answer, or the error that came instead. Outside a reading, it is a plain call."""

    @wraps(ask)
    def shared() -> Any:
        if _memory.asked is None:
            return ask()
        if ask not in _memory.asked:
            future = _memory.asked[ask] = Future()
            try:
                future.set_result(ask())
            except Exception as error:  # noqa: BLE001 - each reader that asks gets it
                future.set_exception(error)
        return _memory.asked[ask].result()

    return shared  # type: ignore[return-value]


class PartAway(Exception):
    """A part that the reader needs did not respond to an earlier one of the same reading."""


def found_away(parts: Collection[str]) -> None:
    """Let the readers that follow in this reading wait for none of these parts: `redis`, and those that ask `must_respond`."""
    if _memory.away is None:  # outside a reading the thread goes on, and the part may come back
        return
    _memory.away |= {*parts}
    if "redis" in parts:
        redis.wait_no_more()


def must_respond(part: str) -> None:
    """Go on unless the part was found to be away in this reading.

    Raises:
        PartAway: it was.
    """
    if _memory.away and part in _memory.away:
        raise PartAway(f"{part} did not respond a moment ago.")


def metrics() -> list[Metric]:
    """Return all metrics by name."""
    return sorted(_metrics.values(), key=lambda found: found.name)


class _Reader:
    """A thread that calls readers one after another, until it is told to stop.

    A thread cannot be ended from outside. One whose reader takes too long is told to stop and left behind; it ends when that reader does.
    """

    def __init__(self, away: set[str]) -> None:
        self._away = away
        self._asked: SimpleQueue[tuple[Metric, Future[Samples | None]] | None] = SimpleQueue()
        self._last: Future[Samples | None] | None = None
        threading.Thread(target=self._run, args=(get_language(),), name="metrics", daemon=True).start()

    def ask(self, metric: Metric) -> "Future[Samples | None]":
        """Have a metric read."""
        self._last = Future()
        self._asked.put((metric, self._last))
        return self._last

    def is_busy(self) -> bool:
        """Return whether it still reads what it was asked last."""
        return self._last is not None and not self._last.done()

    def stop(self) -> None:
        """End the thread after what it reads now."""
        self._asked.put(None)

    def _run(self, language: str | None) -> None:
        activate(language or settings.LANGUAGE_CODE)
        _memory.asked, _memory.away = {}, self._away
        try:
            with redis.waiting_once():
                if "redis" in self._away:
                    redis.wait_no_more()
                self._read_on()
        finally:
            connections.close_all()

    def _read_on(self) -> None:
        """Read what is asked, until told to stop."""
        while asked := self._asked.get():
            metric, future = asked
            try:
                samples = metric.samples()
                if any(len(values) != len(metric.labels) for values, _number in samples or ()):
                    raise ValueError(f"{metric.name} has the labels {metric.labels}, and its reader gave others.")
            except Exception as error:  # noqa: BLE001 - one that fails must not take the others down
                future.set_exception(error)
            else:
                future.set_result(samples)


#: Readers that were left behind and still run, by the metric's name: at most one thread a metric.
_left_behind: dict[str, "Future[Samples | None]"] = {}
#: Metrics that could not be read the last time: each is logged once, when it begins to fail.
_failing: set[str] = set()
#: How long each metric took the last time, in seconds. The quick ones are read first, so that slow ones never take their time.
_took: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Read:
    """What a reading found of a metric: `samples`, or None where it is not known, with the error if one was the reason."""

    samples: Samples | None
    error: str = ""


def read_all(names: Collection[str] | None = None) -> Iterator[tuple[Metric, Read]]:
    """Read metrics, all or some, one after the other.

    A reader has `READER_SECONDS`, and all together `ALL_SECONDS`. One that takes longer is not called again until it has returned. Not to
    be called by two threads at once.
    """
    ends_at = time.monotonic() + ALL_SECONDS
    away: set[str] = set()
    reader = _Reader(away)
    try:
        wanted = [found for found in metrics() if names is None or found.name in names]
        for found in sorted(wanted, key=lambda found: (not found.is_vital, _took.get(found.name, 0.0))):
            try:
                samples = _read(reader, found, seconds=min(READER_SECONDS, ends_at - time.monotonic()))
            except Exception as error:  # noqa: BLE001 - one that fails must not take the others down
                if reader.is_busy():
                    reader.stop()
                    reader = _Reader(away)
                text = f"{type(error).__name__}: {error}"[:200]
                if found.name not in _failing:
                    log.warning("metric not read", metric=found.name, error=text)
                _failing.add(found.name)
                yield found, Read(None, text)
            else:
                _failing.discard(found.name)
                yield found, Read(samples)
    finally:
        reader.stop()


def _read(reader: _Reader, metric: Metric, *, seconds: float) -> Samples | None:
    earlier = _left_behind.get(metric.name)
    if earlier and not earlier.done():
        raise TimeoutError("The call before has not returned yet.")
    _left_behind.pop(metric.name, None)
    if seconds <= 0:
        raise TimeoutError(f"No time was left of the {ALL_SECONDS:g} s for all metrics.")
    began = time.monotonic()
    future = reader.ask(metric)
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():  # the reader's own
            raise
        _left_behind[metric.name] = future
        raise TimeoutError(f"The reader took longer than {seconds:.1f} s.") from None
    finally:
        _took[metric.name] = time.monotonic() - began
