"""The registry of the platform's figures: each is declared beside the function that reads it, in its app's `metrics.py`.

    @metric("orders_open", help=_("Orders that are not delivered yet."), labels=("country",))
    def orders_open() -> Mapping[str, float]:
        return {"cn": 17, "fr": 4}

A reader gives a number, or numbers by label: by the value of the label, or by a tuple of values where there are several. None, or a
number that is None, means that the figure is not known at this moment; it is left out. `GET /metrics` calls the readers at most once a
second a process, so a reader takes milliseconds and bounds what it counts. Readers are called in a thread of their own: one that takes
longer than `READER_SECONDS` is left out.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Literal, TypeVar

import structlog
from django.conf import settings
from django.db import connections
from django.utils.functional import Promise
from django.utils.translation import activate, get_language

log = structlog.get_logger(__name__)

PREFIX = "posthaste_"
NAME = re.compile(r"[a-z][a-z0-9_]*")
#: Longer than the health report waits for a component (3 s); all together less than Prometheus waits by default (10 s).
READER_SECONDS = 4.0
ALL_SECONDS = 8.0

Kind = Literal["gauge", "counter"]
Labels = str | tuple[str, ...]
Reading = float | Mapping[str, float | None] | Mapping[tuple[str, ...], float | None] | None
Samples = list[tuple[tuple[str, ...], float]]
R = TypeVar("R", bound=Callable[[], Reading])


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One figure as it was declared. A gauge goes up and down; a counter only rises, and its name ends in `_total`."""

    name: str  # without the prefix
    kind: Kind
    help: str | Promise
    unit: str  # as the name says it: seconds, bytes, messages
    labels: tuple[str, ...]
    read: Callable[[], Reading]

    @property
    def full_name(self) -> str:
        """The name under which it is published."""
        return PREFIX + self.name

    def samples(self) -> Samples:
        """Read it and return the known numbers, each with the values of its labels.

        Raises:
            Exception: whatever the reader raises.
        """
        reading = self.read()
        if not isinstance(reading, Mapping):
            return [] if reading is None else [((), float(reading))]
        by_labels: Iterable[tuple[Labels, float | None]] = reading.items()
        return [
            (tuple(map(str, values if isinstance(values, tuple) else (values,))), float(number))
            for values, number in by_labels
            if number is not None
        ]


_metrics: dict[str, Metric] = {}


def metric(name: str, *, kind: Kind = "gauge", help: str | Promise, unit: str = "", labels: tuple[str, ...] = ()) -> Callable[[R], R]:
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

    def declare(read: R) -> R:
        if name in _metrics:
            raise ValueError(f"The metric {name} is declared twice.")
        _metrics[name] = Metric(name=name, kind=kind, help=help, unit=unit, labels=labels, read=read)
        return read

    return declare


def metrics() -> list[Metric]:
    """Return all metrics by name."""
    return sorted(_metrics.values(), key=lambda found: found.name)


class _Reader:
    """A thread that calls readers one after another, until it is told to stop.

    A thread cannot be ended from outside. One whose reader takes too long is told to stop and left behind; it ends when that reader does.
    """

    def __init__(self) -> None:
        self._asked: SimpleQueue[tuple[Metric, Future[Samples]] | None] = SimpleQueue()
        self._last: Future[Samples] | None = None
        threading.Thread(target=self._run, args=(get_language(),), name="metrics", daemon=True).start()

    def ask(self, metric: Metric) -> "Future[Samples]":
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
        try:
            while asked := self._asked.get():
                metric, future = asked
                try:
                    samples = metric.samples()
                    if any(len(values) != len(metric.labels) for values, _number in samples):
                        raise ValueError(f"{metric.name} has the labels {metric.labels}, and its reader gave others.")
                except Exception as error:  # noqa: BLE001 - one that fails must not take the others down
                    future.set_exception(error)
                else:
                    future.set_result(samples)
        finally:
            connections.close_all()


#: Readers that were left behind and still run, by the metric's name: at most one thread a metric.
_left_behind: dict[str, "Future[Samples]"] = {}
#: Metrics that could not be read the last time: each is logged once, when it begins to fail.
_failing: set[str] = set()
#: How long each metric took the last time, in seconds. The quick ones are read first, so that slow ones never take their time.
_took: dict[str, float] = {}


def read_all() -> Iterator[tuple[Metric, Samples | None]]:
    """Read every metric, one after the other; None stands for one whose reader failed or took too long.

    A reader has `READER_SECONDS`, and all together `ALL_SECONDS`. One that takes longer is not called again until it has returned. Not to
    be called by two threads at once.
    """
    ends_at = time.monotonic() + ALL_SECONDS
    reader = _Reader()
    try:
        for found in sorted(metrics(), key=lambda found: _took.get(found.name, 0.0)):
            try:
                samples = _read(reader, found, seconds=min(READER_SECONDS, ends_at - time.monotonic()))
            except Exception as error:  # noqa: BLE001 - one that fails must not take the others down
                if reader.is_busy():
                    reader.stop()
                    reader = _Reader()
                if found.name not in _failing:
                    log.warning("metric not read", metric=found.name, error=f"{type(error).__name__}: {error}"[:200])
                _failing.add(found.name)
                yield found, None
            else:
                _failing.discard(found.name)
                yield found, samples
    finally:
        reader.stop()


def _read(reader: _Reader, metric: Metric, *, seconds: float) -> Samples:
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
