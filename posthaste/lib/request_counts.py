"""HTTP requests by area, status and duration: counted in each process, added to everybody's in Redis with its sign of life.

An area is a first part of the path, from a fixed list, so that addresses which strangers invent add nothing. Fields of the hash:

    n:<area>:<status>   answers
    l:<area>:<index>    answers that took at most BOUNDS[index] seconds, and longer than the bound before
    s:<area>            how long all took together, in microseconds

While Redis is away the counts wait in the process.
"""

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from posthaste.lib import heartbeat, redis

#: Seconds.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MESSAGES = "messages"
#: By the first part of the path; `messages` are single ones and batches handed over.
AREAS = ("api", "admin", "config", "docs", "health", "jobs", "metrics", "monitor", "static")
OTHER = "other"
ALL_AREAS = (MESSAGES, *AREAS, OTHER)
HANDED_OVER = ("/api/messages", "/api/messages/batch")


def area_of(method: str, path: str) -> str:
    """Return the area that a request counts for."""
    if method == "POST" and path.rstrip("/") in HANDED_OVER:
        return MESSAGES
    first = path[1:].partition("/")[0]
    return first if first in AREAS else OTHER


class RequestCounts:
    """What is not published yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: Counter[str] = Counter()

    def count(self, area: str, status: int, seconds: float) -> None:
        """Count an answer."""
        with self._lock:
            self._numbers[f"n:{area}:{status}"] += 1
            self._numbers[f"l:{area}:{bisect_left(BOUNDS, seconds)}"] += 1
            self._numbers[f"s:{area}"] += int(seconds * 1_000_000)

    def publish(self) -> None:
        """Add what is new to everybody's.

        Raises:
            posthaste.lib.redis.Unavailable: Redis is away; the next call adds it.
        """
        with self._lock:
            fresh, self._numbers = self._numbers, Counter()
        if not fresh:
            return
        pipeline = redis.client().pipeline()  # all or nothing, so that a failure can be made up for
        for field, number in fresh.items():
            pipeline.hincrby(_key(), field, number)
        try:
            pipeline.execute()
        except redis.Unavailable:
            with self._lock:
                self._numbers.update(fresh)
            raise


request_counts = RequestCounts()
heartbeat.on_beat.append(request_counts.publish)


def _key() -> str:
    return redis.key("http")


def so_far() -> "Counter[str]":
    """Return what all processes counted since Redis began to keep it.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    answer: Any = redis.client().hgetall(_key())
    return Counter({field.decode(): int(number) for field, number in answer.items()})


Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def counted(application: Application) -> Application:
    """Count the answers of a WSGI application, and how long each took until its body began."""

    def counting(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        began, status = time.perf_counter(), 500

        def start(line: str, headers: Any, error: Any = None) -> Any:
            nonlocal status
            status = int(line[:3])
            return start_response(line, headers, error) if error else start_response(line, headers)

        try:
            return application(environ, start)
        finally:
            area = area_of(environ["REQUEST_METHOD"], environ["PATH_INFO"])
            request_counts.count(area, status, time.perf_counter() - began)

    return counting
