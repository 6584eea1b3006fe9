"""The worker's autoscaler: the customer's rule, on recipients waiting, with limits that change while it runs.

Usage above `grow_above_percent` (80) adds `grow_by` (10) threads, usage below `shrink_below_percent` (20) takes away
`shrink_by` (5), between the limits of the module *thread pools*, at most once a cool-down. Usage is the number of recipients
that wait (in the broker and due in the database) against `queue_capacity`; tasks would mislead, as one carries up to a
hundred of them. Two more things make it grow, because with a slow provider even a short queue takes long: the time to drain
(what waits, at the present rate), and the age of the oldest message. It takes a step down only when as many threads are
idle, and not to where draining would again take too long; and it does not grow past what the caps of the providers let
through (see `useful_threads`).

Limits apply to one process: each has its own pool, so more processes mean more threads. What the caps allow is divided among
the processes.

Limits are hot configuration: read where they are compared, so a new release acts at the next look of the event loop. What waits
is read from Redis, and statistics are published, in a separate thread, so that nothing slow ever holds up Celery's event loop, which only
compares numbers: four times a second while there is something to do, when that thread asks for it, and otherwise once a second. While
nothing is to be done the thread looks every two seconds only; a task that comes wakes it.
"""

import os
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import structlog
from celery.signals import worker_shutting_down

from messaging.configuration import queues, thread_pools
from messaging.configuration.pools import ThreadPools
from messaging.queueing import pool_control, queue_statistics
from messaging.queueing.pool_control import KEPT, Decision
from messaging.queueing.queue_statistics import QueueStatistics
from posthaste.lib import redis
from posthaste.lib.elastic import TaskPool, stopping

log = structlog.get_logger(__name__)
FIGURES_EXPIRE_SECONDS = 5
LOOK_SECONDS = 0.25
IDLE_LOOK_SECONDS = 2.0
AWAKE_SECONDS = 5.0  # for so long after a task it looks often
KEEP_DRAINING_WITHIN = 0.5  # of the time to drain that would make it grow again


@dataclass(frozen=True, slots=True)
class Reading:
    """What the rule decides upon."""

    limits: ThreadPools
    waiting: QueueStatistics
    processes: int = 1
    queue_capacity: int = 10_000

    @property
    def usage_percent(self) -> float:
        """Recipients waiting, in per cent of the queue's capacity."""
        return 100.0 * self.waiting.total / max(1, self.queue_capacity)

    @property
    def is_late(self) -> bool:
        """Whether what waits takes too long, however little it is."""
        limits = self.limits
        return self.drains_slowly or (bool(limits.grow_above_age_seconds) and self.waiting.oldest_seconds > limits.grow_above_age_seconds)

    @property
    def drains_slowly(self) -> bool:
        """Whether sending all that waits would take too long at the present rate."""
        most, drain = self.limits.grow_above_drain_seconds, self.waiting.drain_seconds
        return bool(most) and drain is not None and drain > most

    def is_enough(self, threads: int, *, instead_of: int) -> bool:
        """Return whether so many threads would still drain what waits well within the time."""
        most, drain = self.limits.grow_above_drain_seconds, self.waiting.drain_seconds
        return not most or drain is None or drain * instead_of / max(1, threads) <= most * KEEP_DRAINING_WITHIN

    @property
    def useful_threads(self) -> int:
        """The most this process should have: its limit, or its share of what the providers' caps let work."""
        limits, useful = self.limits, self.waiting.useful_threads
        if useful is None:
            return limits.max_threads
        return max(limits.min_threads, min(limits.max_threads, -(-useful // max(1, self.processes))))


def decide(reading: Reading, threads: int, *, rested: bool, busy: int = 0) -> tuple[int, str]:
    """Return the number of threads the rule wants now, and why; limits hold at once, steps only after the cool-down.

    `busy` is the most threads that worked at the same time lately. The reasons: `usage`, `drain` and `age` make it grow, `cap` and `idle`
    shrink, `limits` are those of the module *thread pools*.
    """
    limits, usage = reading.limits, reading.usage_percent
    fewer = max(threads - limits.shrink_by, limits.min_threads)
    wanted, reason = threads, ""
    if rested and threads > reading.useful_threads:
        # A cap came: the rest would only wait for its turn.
        wanted, reason = max(reading.useful_threads, threads - limits.shrink_by), "cap"
    elif rested and (usage > limits.grow_above_percent or reading.is_late):
        reason = "usage" if usage > limits.grow_above_percent else "drain" if reading.drains_slowly else "age"
        wanted = max(threads, min(reading.useful_threads, threads + limits.grow_by))
    elif rested and usage < limits.shrink_below_percent and fewer >= busy and reading.is_enough(fewer, instead_of=threads):
        wanted, reason = fewer, "idle"
    bounded = max(limits.min_threads, min(limits.max_threads, wanted))
    return bounded, reason if bounded == wanted else "limits"


def wanted_threads(reading: Reading, threads: int, *, rested: bool, busy: int = 0) -> int:
    """Return the number of threads that `decide` wants."""
    return decide(reading, threads, rested=rested, busy=busy)[0]


class Autoscaler:
    """Celery's autoscaler interface (`worker_autoscaler`), driven by the worker's event loop."""

    keepalive = 1.0  # so often the event loop calls `maybe_scale` unasked

    def __init__(self, pool: TaskPool, max_concurrency: int, min_concurrency: int = 0, worker: Any = None, **_options: Any) -> None:
        self.pool = pool
        self.worker = worker
        self.max_concurrency = max_concurrency
        self.min_concurrency = min_concurrency
        self._waiting: QueueStatistics | None = None
        self._is_measured = False  # or what waits is not known now, and only limits move the pool
        self._processes = 1
        self._stepped_at = 0.0
        self._busy = 0  # the most threads that worked since the last step
        self._busy_since = 0.0
        self._task_came = threading.Event()
        self._awake_until = 0.0
        self._held: int | None = None  # by an operator, at so many threads
        self._decisions: deque[Decision] = deque(maxlen=KEPT)  # made in the event loop, told by the other thread
        worker_shutting_down.connect(self._wake)
        threading.Thread(target=self._observe, name="autoscaler-readings", daemon=True).start()

    @property
    def reading(self) -> Reading | None:
        """What the rule decides upon now; None before anything was read."""
        waiting = self._waiting
        return None if waiting is None else Reading(thread_pools.value, waiting, self._processes, queues.value.queue_capacity)

    def maybe_scale(self, request: Any = None) -> None:
        """Apply the rule; Celery also calls it for every task, which only wakes the readings."""
        if request is not None:
            self._wake()
            return
        reading = self.reading
        if reading is None:
            return
        clock = time.monotonic()
        threads = self.pool.num_processes
        self._busy = max(self._busy, self.pool.active_count)
        rested = self._is_measured and clock - self._stepped_at >= reading.limits.cooldown_seconds
        wanted, reason = decide(reading, threads, rested=rested, busy=self._busy)
        if self._held is not None:
            wanted, reason = self._held, "held"
        if clock - self._busy_since >= reading.limits.cooldown_seconds:
            self._busy, self._busy_since = self.pool.active_count, clock
        if wanted != threads:
            self._stepped_at = clock
            if wanted > threads:
                self.pool.grow(wanted - threads)
            else:
                self.pool.shrink(threads - wanted)
            self._note(reading, before=threads, threads=wanted, reason=reason)
        self._prefetch_follows(wanted)

    def _note(self, reading: Reading, *, before: int, threads: int, reason: str) -> None:
        usage, waiting = round(reading.usage_percent, 1), reading.waiting
        log.info("pool scaled", threads=threads, before=before, usage_percent=usage, reason=reason)
        self._decisions.append(
            Decision(
                at=time.time(),
                instance=_instance(),
                before=before,
                threads=threads,
                reason=reason,
                usage_percent=usage,
                waiting=waiting.total,
                drain_seconds=None if waiting.drain_seconds is None else round(waiting.drain_seconds, 1),
                oldest_seconds=round(waiting.oldest_seconds, 1),
            )
        )

    def _prefetch_follows(self, threads: int) -> None:
        """One task a thread: what is not yet needed stays in the broker, where an urgent one can overtake it."""
        consumer = getattr(self.worker, "consumer", None)
        qos = getattr(consumer, "qos", None)
        if consumer is None or qos is None:
            return
        consumer.initial_prefetch_count = threads  # after a reconnect
        if qos.value != threads:
            qos.value = threads  # the event loop tells the broker

    def _observe(self) -> None:
        while True:
            try:
                if stopping.is_set():
                    queue_statistics.forget_pool(_instance())
                    return
                self._read()
                queue_statistics.report_pool(_instance(), self.figures(), alive_seconds=FIGURES_EXPIRE_SECONDS)
                told = list(self._decisions)
                self._held = pool_control.exchange(_instance(), told)
                for _decision in told:
                    self._decisions.popleft()
                if self._is_awake():
                    self.worker.hub.call_soon(self.maybe_scale)
            except (OSError, redis.Unavailable) as error:
                self._is_measured = False
                log.warning("autoscaler keeps its last reading", error=type(error).__name__)
            except Exception:
                log.exception("autoscaler reading failed")
            self._pause()

    def _read(self) -> None:
        """Read what waits; where nothing has counted it lately, keep the last reading: that nothing is known is not that nothing waits.

        Raises:
            posthaste.lib.redis.Unavailable: Redis is away.
        """
        measured = queue_statistics.measured()
        self._is_measured = measured is not None
        waiting = measured or self._waiting or QueueStatistics()
        self._processes = 1 if waiting.useful_threads is None else queue_statistics.live_pools().processes
        self._waiting = waiting

    def _wake(self, **_kwargs: Any) -> None:
        if not self._task_came.is_set():
            self._task_came.set()

    def _pause(self) -> None:
        """Wait until the next reading is due: soon if there is anything to do, else in two seconds or when a task comes."""
        if self._task_came.is_set():
            self._task_came.clear()
            self._awake_until = time.monotonic() + AWAKE_SECONDS
        if self._is_awake():
            time.sleep(LOOK_SECONDS)
        else:
            self._task_came.wait(IDLE_LOOK_SECONDS)

    def _is_awake(self) -> bool:
        waiting = self._waiting
        is_busy = waiting is None or bool(waiting.total) or self.pool.active_count > 0
        return is_busy or time.monotonic() < self._awake_until or stopping.is_set()

    def figures(self) -> dict[str, Any]:
        """Return the pool's live figures, as the statistics show them."""
        reading, limits = self.reading, thread_pools.value
        return {
            "instance": _instance(),
            "threads": self.pool.num_processes,
            "active_count": self.pool.active_count,
            "completed_tasks": self.pool.completed_tasks,
            "queue_size": reading.waiting.total if reading else 0,
            "queue_usage_percent": round(reading.usage_percent, 1) if reading else 0.0,
            "min_threads": limits.min_threads,
            "max_threads": limits.max_threads,
        }

    def info(self) -> dict[str, Any]:
        """Celery's `inspect stats`."""
        return self.figures()


def _instance() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
