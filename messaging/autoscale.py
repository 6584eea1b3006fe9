"""The worker's autoscaler: the customer's rule, on recipients waiting, with limits that change while it runs.

Usage above `grow_above_percent` (80) adds `grow_by` (10) threads, usage below `shrink_below_percent` (20) takes away
`shrink_by` (5), between the limits of `thread_pool_configs`, at most once a cool-down. Usage is the number of recipients
that wait (in the broker and due in the database) against `queue_capacity`; tasks would mislead, as one carries up to a
hundred of them. Reading limits and telling figures happens in a thread of its own, so that a slow database never holds up
Celery's event loop, which only compares numbers once a second.
"""

import os
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from django.db import DatabaseError, connection

from configcenter.models import ThreadPoolConfig
from messaging.queues import SEND
from messaging.services import gauge
from messaging.services.gauge import Waiting
from posthaste.lib import redis
from posthaste.lib.elastic import TaskPool

log = structlog.get_logger(__name__)
FIGURES_EXPIRE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Reading:
    """What the rule decides upon."""

    limits: ThreadPoolConfig
    waiting: Waiting

    @property
    def usage_percent(self) -> float:
        """Recipients waiting, in per cent of the queue's capacity."""
        return 100.0 * self.waiting.total / max(1, self.limits.queue_capacity)


def wanted_threads(reading: Reading, threads: int, *, rested: bool) -> int:
    """This function will give the number of threads the rule wants now; limits hold at once, steps only after the cool-down."""
    limits, usage = reading.limits, reading.usage_percent
    if rested and usage > limits.grow_above_percent:
        threads += limits.grow_by
    elif rested and usage < limits.shrink_below_percent:
        threads -= limits.shrink_by
    return max(limits.min_threads, min(limits.max_threads, threads))


class Autoscaler:
    """Celery's autoscaler interface (`worker_autoscaler`), driven by the worker's event loop once a second."""

    keepalive = 1.0

    def __init__(self, pool: TaskPool, max_concurrency: int, min_concurrency: int = 0, worker: Any = None, **_options: Any) -> None:
        self.pool = pool
        self.worker = worker
        self.max_concurrency = max_concurrency
        self.min_concurrency = min_concurrency
        self.reading: Reading | None = None
        self._stepped_at = 0.0
        threading.Thread(target=self._observe, name="autoscaler-readings", daemon=True).start()

    def maybe_scale(self, request: Any = None) -> None:
        """This function will apply the rule; Celery also calls it for every task, which is ignored."""
        if request is not None or self.reading is None:
            return
        threads = self.pool.num_processes
        rested = time.monotonic() - self._stepped_at >= self.reading.limits.cooldown_seconds
        wanted = wanted_threads(self.reading, threads, rested=rested)
        if wanted != threads:
            self._stepped_at = time.monotonic()
            if wanted > threads:
                self.pool.grow(wanted - threads)
            else:
                self.pool.shrink(threads - wanted)
            log.info("pool scaled", threads=wanted, before=threads, usage_percent=round(self.reading.usage_percent, 1))
        self._prefetch_follows(wanted)

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
        name = redis.key("pool", SEND, f"{socket.gethostname()}:{os.getpid()}")
        pause = threading.Event()
        while True:
            try:
                self.reading = Reading(gauge.pool_limits(), gauge.last_measured())
                redis.client().set(name, orjson.dumps(self.figures()), ex=FIGURES_EXPIRE_SECONDS)
            except (DatabaseError, OSError, redis.Unavailable) as error:
                log.warning("autoscaler keeps its last reading", error=type(error).__name__)
            except Exception:
                log.exception("autoscaler reading failed")
            finally:
                connection.close()
            pause.wait(self.keepalive)

    def figures(self) -> dict[str, Any]:
        """This function will give the pool's live figures, as the statistics show them."""
        reading = self.reading
        return {
            "instance": f"{socket.gethostname()}:{os.getpid()}",
            "threads": self.pool.num_processes,
            "active_count": self.pool.active_count,
            "completed_tasks": self.pool.completed_tasks,
            "queue_size": reading.waiting.total if reading else 0,
            "queue_usage_percent": round(reading.usage_percent, 1) if reading else 0.0,
            "min_threads": reading.limits.min_threads if reading else self.min_concurrency,
            "max_threads": reading.limits.max_threads if reading else self.max_concurrency,
        }

    def info(self) -> dict[str, Any]:
        """Celery's `inspect stats`."""
        return self.figures()
