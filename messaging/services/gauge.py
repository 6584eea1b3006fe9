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


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages handed to the broker and not yet claimed, and messages due that stand in the database."""

    in_broker: int = 0
    due: int = 0

    @property
    def total(self) -> int:
        return self.in_broker + self.due


def _count(rows: "QuerySet[Message]") -> int:
    return rows.order_by().values("pk")[:COUNT_UP_TO].count()


def measure(now: datetime) -> Waiting:
    """This function will count what waits and tell everybody through Redis."""
    waiting = Waiting(
        in_broker=_count(Message.objects.filter(status=Status.QUEUED)),
        due=_count(Message.objects.filter(status=Status.PENDING, due_at__lte=now)),
    )
    try:
        redis.client().set(redis.key("waiting"), f"{waiting.in_broker} {waiting.due}", ex=EXPIRES_SECONDS)
    except redis.Unavailable:
        pass
    return waiting


def last_measured() -> Waiting:
    """This function will give the last measurement; nothing waiting where there is none."""
    try:
        stored = redis.client().get(redis.key("waiting"))
    except redis.Unavailable:
        stored = None
    return Waiting(*map(int, stored.split())) if stored else Waiting()


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
        self._capacity = 0
        self._capacity_at = -60.0

    def take(self, count: int) -> bool:
        """This function will take room for `count` messages, or none at all."""
        with self._lock:
            clock = time.monotonic()
            if clock - self._capacity_at > 5:
                self._capacity, self._capacity_at = pool_limits().queue_capacity, clock
            if clock - self._read_at > FRESH_SECONDS:
                waiting = last_measured()
                # While a queue's worth stands in line in the database, nobody may overtake it through the front door.
                self._left = self._capacity - waiting.in_broker if waiting.due < self._capacity else 0
                self._read_at = clock
            if count > self._left:
                return False
            self._left -= count
            return True


room = Room()
