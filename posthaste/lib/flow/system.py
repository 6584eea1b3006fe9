"""System protection: when this process has more to do than it can, low priorities are refused first.

    pressure = the largest of load ÷ bound, latency ÷ bound, threads in use ÷ bound

At a pressure of 1 priority 0 is refused; the mark rises evenly, and from a pressure of 1.5 on everything below the spared priority is.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from posthaste import env

LOAD_EVERY_SECONDS = 1.0
WEIGHT = 0.02  # of a new latency in the moving mean: about the last fifty requests
FORGET_SECONDS = 2.0  # a mean that nothing has renewed for so long says nothing
DEFAULT_PRIORITY = 5  # of requests that have none
MAX_PRIORITY = 10


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is still well; see `SystemProtection` of the flow rules."""

    load_per_core: float
    latency_ms: float
    threads_percent: float
    spared_priority: int


class LoadMonitor:
    """What this process knows about itself."""

    def __init__(self, *, threads: int | None = None) -> None:
        self._threads = threads
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a process that has just started."""
        self.in_progress = 0
        self.latency_ms = 0.0
        self.finished = 0
        self.took_ms = 0.0
        self._lock = threading.Lock()
        self._seen_at = 0.0
        self._load = 0.0
        self._load_at = -60.0

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Count a request and time it."""
        began = self.start()
        try:
            yield
        finally:
            self.finish(began)

    def start(self) -> float:
        """Count a request; give what it returns to `finish`."""
        with self._lock:
            self.in_progress += 1
        return time.perf_counter()

    def finish(self, began: float) -> None:
        """Count a request out, and how long it took."""
        took_ms = 1000 * (time.perf_counter() - began)
        with self._lock:
            self.in_progress -= 1
            self.latency_ms += WEIGHT * (took_ms - self.latency_ms)
            self.finished += 1
            self.took_ms += took_ms
            self._seen_at = began

    @property
    def threads(self) -> int:
        if self._threads is None:
            self._threads = env.load().web_threads
        return self._threads

    def load_per_core(self) -> float:
        """Return the load of the last minute by core, read once a second."""
        clock = time.monotonic()
        if clock - self._load_at > LOAD_EVERY_SECONDS:
            self._load, self._load_at = os.getloadavg()[0] / (os.cpu_count() or 1), clock
        return self._load

    def pressure(self, bounds: Bounds) -> tuple[float, str]:
        """Return the pressure and what it comes from: "load", "latency" or "threads"."""
        latency_ms = self.latency_ms if time.perf_counter() - self._seen_at < FORGET_SECONDS else 0.0
        found = {
            "load": self.load_per_core() / bounds.load_per_core,
            "latency": latency_ms / bounds.latency_ms,
            "threads": 100 * self.in_progress / self.threads / bounds.threads_percent,
        }
        source = max(found, key=found.__getitem__)
        return found[source], source


def refused_below(pressure: float, spared_priority: int) -> int:
    """Return the priority from which on requests are still let in; 0: all are."""
    if pressure < 1:
        return 0
    return min(spared_priority, max(1, ceil((pressure - 1) * 2 * spared_priority)))


load_monitor = LoadMonitor()
