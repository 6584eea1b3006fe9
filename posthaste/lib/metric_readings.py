"""Calls the readers of metrics, each in its turn and for a bounded time, in a thread of their own.

A reader that takes longer than `READER_SECONDS` is left out. What several readers ask for is marked `once_a_reading`, so that one round
trip serves all of them. A reading waits for Redis once at most: after a reader has found it away, the shared client fails at once for
those that follow, and so does `must_respond` for a part that was found to be away.

`monitor.figures` starts the readings and remembers the answers for a moment.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import wraps
from queue import SimpleQueue
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.db import connections
from django.utils.translation import activate, get_language

from posthaste.lib import redis
from posthaste.lib.metrics import Metric, Samples, metrics

log = structlog.get_logger(__name__)

#: Longer than the health report waits for a part (3 s); all together less than Prometheus waits by default (10 s).
READER_SECONDS = 4.0
ALL_SECONDS = 8.0

F = TypeVar("F", bound=Callable[[], Any])


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


def read_all(names: Collection[str] | None = None, *, within_seconds: float | None = None) -> Iterator[tuple[Metric, Read]]:
    """Read metrics, all or some, one after the other.

    A reader has `READER_SECONDS`, and all together `ALL_SECONDS` or less. One that takes longer is not called again until it has returned.
    Not to be called by two threads at once.
    """
    ends_at = time.monotonic() + min(ALL_SECONDS, ALL_SECONDS if within_seconds is None else within_seconds)
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
        raise TimeoutError("No time was left of what all metrics have together.")
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
