"""How much is waiting: measured by the feeder every second, read by accept, autoscaler and statistics without a query."""

import threading
import time
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from configcenter.models import ThreadPoolConfig
from messaging.models import Message, Status
from messaging.queues import SEND
from posthaste.lib import redis

COUNT_UP_TO = 100_000  # beyond this the exact number changes nobody's decision
FRESH_SECONDS = 0.25
EXPIRES_SECONDS = 10
BACKLOG_EVERY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages handed to the broker and not yet claimed, messages due that stand in the database, and when to say no.

    `due` is exact up to COUNT_UP_TO; `is_too_much` tells that it has passed the pool's `max_backlog`.
    """

    in_broker: int = 0
    due: int = 0
    is_too_much: bool = False

    @property
    def total(self) -> int:
        return self.in_broker + self.due


def _count(rows: "QuerySet[Message]", up_to: int = COUNT_UP_TO) -> int:
    return rows.order_by().values("pk")[:up_to].count()


class _Backlog:
    """A big backlog takes long to count and changes slowly: it is counted to the end only every few seconds."""

    def __init__(self) -> None:
        self._counted_at = -60.0
        self._is_too_much = False

    def is_too_much(self, due: "QuerySet[Message]", seen: int) -> bool:
        most = pool_limits().max_backlog
        if most < COUNT_UP_TO or seen < COUNT_UP_TO:
            return seen > most
        if time.monotonic() - self._counted_at > BACKLOG_EVERY_SECONDS:
            self._is_too_much = _count(due, most + 1) > most
            self._counted_at = time.monotonic()
        return self._is_too_much


_backlog = _Backlog()


def measure(now: datetime) -> Waiting:
    """This function will count what waits and tell everybody through Redis."""
    due = Message.objects.filter(status=Status.PENDING, due_at__lte=now)
    number = _count(due)
    waiting = Waiting(_count(Message.objects.filter(status=Status.QUEUED)), number, _backlog.is_too_much(due, number))
    try:
        redis.client().set(redis.key("waiting"), f"{waiting.in_broker} {waiting.due} {waiting.is_too_much:d}", ex=EXPIRES_SECONDS)
    except redis.Unavailable:
        pass
    return waiting


def last_measured() -> Waiting:
    """This function will give the last measurement; nothing waiting where there is none."""
    try:
        stored = redis.client().get(redis.key("waiting"))
    except redis.Unavailable:
        stored = None
    if not stored:
        return Waiting()
    in_broker, due, *too_much = map(int, stored.split())  # a feeder of the version before told two numbers
    return Waiting(in_broker, due, any(too_much))


def pool_limits(name: str = SEND) -> ThreadPoolConfig:
    """This function will give the limits of a pool, with defaults where no row has been made."""
    return ThreadPoolConfig.objects.filter(name=name).first() or ThreadPoolConfig(name=name)


class Room:
    """How many more messages may go straight to the broker, as one process sees it.

    Between two measurements each process counts what it has sent itself; several processes may together overshoot
    by what they accept in a quarter of a second.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at = 0.0
        self._left = 0
        self._is_full = False
        self._capacity = 0
        self._capacity_at = -60.0

    def take(self, count: int) -> bool:
        """This function will take room for `count` messages, or none at all."""
        with self._lock:
            clock = time.monotonic()
            if clock - self._capacity_at > 5:
                self._capacity, self._capacity_at = pool_limits().queue_capacity, clock
            self._refresh(clock)
            if count > self._left:
                return False
            self._left -= count
            return True

    def is_full(self) -> bool:
        """This function will tell whether the backlog has passed its bound, so that callers must slow down."""
        clock = time.monotonic()
        if clock - self._read_at > FRESH_SECONDS:
            with self._lock:
                self._refresh(clock)
        return self._is_full

    def _refresh(self, clock: float) -> None:
        if clock - self._read_at <= FRESH_SECONDS:
            return
        waiting = last_measured()
        # While a queue's worth stands in line in the database, nobody may overtake it through the front door.
        self._left = self._capacity - waiting.in_broker if waiting.due < self._capacity else 0
        self._is_full = waiting.is_too_much
        self._read_at = clock


room = Room()
