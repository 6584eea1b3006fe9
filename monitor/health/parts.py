"""Whether the parts that Posthaste depends on respond, each asked in a thread of its own and for a bounded time.

Written by hand: django-health-check's broker check speaks to RabbitMQ through a second client library and knows nothing of
the Redis transport, while a load balancer should learn about the very connections that messages take.

A part that hangs holds up no other one: its thread is left alone, and no second one asks until the first has an answer. So however often
the report is asked for, there is one thread for each part at most.
"""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass
from typing import Literal

import structlog
from celery import current_app
from django.db import connection

from posthaste.lib import heartbeat, redis

log = structlog.get_logger(__name__)
State = Literal["ok", "away", "slow", "missing", "unknown"]


@dataclass(frozen=True, slots=True)
class Part:
    """What was found of a part: `away` refuses or fails, `slow` did not respond in time, `missing` has no live process."""

    name: str
    state: State
    took_ms: int
    detail: str = ""

    @property
    def is_well(self) -> bool:
        """Whether it does what it should."""
        return self.state == "ok"


class Missing(Exception):
    """No process of some kind lives; the message names what is missing."""


class Check:
    """How a part is asked, and how long its answer is waited for."""

    def __init__(self, name: str, ask: Callable[[], object], *, seconds: float, needs: str = "") -> None:
        self.name = name
        self.seconds = seconds
        self.needs = needs  # the part without which nothing can be known of this one
        self._ask = ask
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"health_{name}")
        self._asking: Future[float] | None = None

    def begin(self) -> "Future[float]":
        """Ask, or join the question that has no answer yet. The future gives the milliseconds that it took."""
        with self._lock:
            if self._asking is None or self._asking.done():
                self._asking = self._thread.submit(self._timed)
            return self._asking

    def _timed(self) -> float:
        began = time.monotonic()
        self._ask()
        return (time.monotonic() - began) * 1000

    def end(self, asking: "Future[float]", *, began: float) -> Part:
        """Wait for the answer as long as it may take."""
        left = max(0.0, began + self.seconds - time.monotonic())
        try:
            return Part(self.name, "ok", round(asking.result(timeout=left)))
        except Missing as missing:
            return Part(self.name, "missing", self._since(began), str(missing))
        except Exception as error:  # noqa: BLE001 - whatever it is, the part is away; the details are for the log only
            if isinstance(error, TooSlow) and not asking.done():
                return Part(self.name, "slow", self._since(began), f"no response within {self.seconds:g} s")
            log.warning("health check failed", check=self.name, error=f"{type(error).__name__}: {error}"[:200])
            return Part(self.name, "away", self._since(began))

    @staticmethod
    def _since(began: float) -> int:
        return round((time.monotonic() - began) * 1000)


def _database() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


def _redis() -> None:
    redis.client().ping()


def _broker() -> None:
    with current_app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=0, timeout=2)


def _live(*kinds: str) -> Callable[[], None]:
    def ask() -> None:
        counts = heartbeat.alive()
        missing = [kind for kind in kinds if not counts.get(kind)]
        if missing:
            raise Missing(f"no sign of life from: {', '.join(missing)}")

    return ask


DATABASE = Check("database", _database, seconds=2.5)
SERVICES = (
    DATABASE,
    Check("redis", _redis, seconds=2.5),
    Check("broker", _broker, seconds=3.0),
)
PROCESSES = (
    Check("workers", _live("send", "aux"), seconds=2.5, needs="redis"),
    Check("beat", _live("beat"), seconds=2.5, needs="redis"),
)


def look(checks: Iterable[Check]) -> list[Part]:
    """Ask all of them at once and return what was found; it takes no longer than the most patient one waits."""
    began = time.monotonic()
    asked = [(check, check.begin()) for check in checks]
    found = {check.name: check.end(asking, began=began) for check, asking in asked}
    for check, _asking in asked:
        part = found[check.name]
        if part.state in ("away", "slow") and check.needs in found and not found[check.needs].is_well:
            found[check.name] = Part(check.name, "unknown", part.took_ms, f"{check.needs} does not respond")
    return list(found.values())
