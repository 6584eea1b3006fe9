"""How much is waiting and how fast it leaves: published through Redis, read by accept, autoscaler and statistics without a query.

The feeder counts what is in the broker at each of its looks; what waits in the database is counted once a second.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db.models import QuerySet

from messaging.configuration import queues
from messaging.models import Batch, BatchStatus, Message, Status
from messaging.storage import in_progress
from posthaste.lib import redis
from posthaste.lib.process_state import on_reset
from posthaste.lib.queues import SEND

COUNT_UP_TO = 100_000  # beyond this the exact number changes no decision
EXPIRES_SECONDS = 10
DRAIN_EXPIRES_SECONDS = 5
USEFUL_EXPIRES_SECONDS = 60  # a feeder that is late must not make the pool grow past what caps let through
BACKLOG_EVERY_SECONDS = 5.0
#: Counting may take this share of the time; where it takes long it is done less often.
COUNTING_SHARE = 0.05
#: However long it took: the pool does not fall back before it knows that less is waiting.
MAX_REST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """Messages handed to the broker and not yet claimed, messages due that stand in the database, and when to say no.

    `due` is exact up to COUNT_UP_TO; `is_too_much` tells that it has passed `max_backlog`. `per_second` is how many
    leave the broker (None: not known, nothing has waited lately), `oldest_seconds` for how long the oldest one in the
    database has been due, `useful_threads` how many threads in all processes the caps of the providers let work (None: no cap).
    """

    in_broker: int = 0
    due: int = 0
    is_too_much: bool = False
    per_second: float | None = None
    oldest_seconds: float = 0.0
    useful_threads: int | None = None

    @property
    def total(self) -> int:
        return self.in_broker + self.due

    @property
    def drain_seconds(self) -> float | None:
        """How long it takes until all that waits has left at the present rate; None where the rate is not known."""
        if not self.total:
            return 0.0
        return None if self.per_second is None else self.total / max(self.per_second, 0.01)


@dataclass(frozen=True, slots=True)
class Pools:
    """The pools that work on the queue now."""

    processes: int = 0
    threads: int = 0
    busy: int = 0


def _count(rows: "QuerySet[Message]", up_to: int = COUNT_UP_TO) -> int:
    return rows.order_by().values("due_at")[:up_to].count()  # a column of the feeder's index: the table is not looked at


class _DueCounter:
    """What is due: counted each second while that is cheap, and to the very end only every few seconds."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Count anew at the next look."""
        self.number = 0
        self._next = self._next_to_the_end = 0.0
        self._is_too_much = False

    def count(self, due: "QuerySet[Message]") -> int:
        began = time.monotonic()
        if began >= self._next:
            self.number = _count(due)
            took = time.monotonic() - began
            self._next = began + (min(MAX_REST_SECONDS, took / COUNTING_SHARE) if took > 0.02 else 0.0)
        elif self.number and not due.exists():
            # It is all gone, and the next count far off: readers should not have to wait for it.
            self.number = 0
        return self.number

    def is_too_much(self, due: "QuerySet[Message]", seen: int) -> bool:
        most = queues.value.max_backlog
        if most < COUNT_UP_TO or seen < COUNT_UP_TO:
            return seen > most
        began = time.monotonic()
        if began >= self._next_to_the_end:
            self._is_too_much = _count(due, most + 1) > most
            self._next_to_the_end = began + max(BACKLOG_EVERY_SECONDS, (time.monotonic() - began) / COUNTING_SHARE)
        return self._is_too_much


_due_counter = _DueCounter()
on_reset(_due_counter.forget)


def measure(now: datetime) -> QueueStatistics:
    """Count what waits and tell everybody through Redis."""
    if in_progress.any_message_waits():
        due = _movable(now)
        number = _due_counter.count(due)
        waiting = QueueStatistics(count_queued(), number, _due_counter.is_too_much(due, number))
    else:
        _due_counter.forget()
        waiting = QueueStatistics(count_queued())
    try:
        redis.client().set(redis.key("waiting"), f"{waiting.in_broker} {waiting.due} {waiting.is_too_much:d}", ex=EXPIRES_SECONDS)
    except redis.Unavailable:
        pass
    return waiting


def _movable(now: datetime) -> "QuerySet[Message]":
    """Return the due messages, without those of paused or cancelled batches.

    Nothing drains those, so they must neither keep the pool large nor get callers refused.
    """
    due = Message.objects.filter(status=Status.PENDING, due_at__lte=now)
    stopped = Batch.objects.filter(status=BatchStatus.PAUSED) | Batch.objects.filter(status=BatchStatus.CANCELLED, finished_at=None)
    still = list(stopped.order_by().values_list("pk", flat=True))
    return due.exclude(batch_id__in=still) if still else due


def oldest_due(now: datetime) -> datetime | None:
    """Return since when the oldest message has been due that could be moved now, from the database; None where nothing is due."""
    return _movable(now).order_by("due_at").values_list("due_at", flat=True).first()


def waited_seconds(waiting: "QueueStatistics", now: datetime) -> float:
    """Return for how long the oldest message has waited: due in the database, or handed to the broker and not claimed; 0 where none does.

    A message in the broker is due too, and is the late one where workers live and take nothing.
    """
    queued = Message.objects.filter(status=Status.QUEUED, queued_at__isnull=False).order_by("queued_at")
    oldest = queued.values_list("queued_at", flat=True).first()
    return max(waiting.oldest_seconds, (now - oldest).total_seconds() if oldest else 0.0)


def count_queued(up_to: int = COUNT_UP_TO) -> int:
    """Count the messages that were handed to the broker and that no worker has claimed yet."""
    return in_progress.count_queued(up_to)


def publish_drain(*, per_second: float | None, oldest_seconds: float, useful_threads: int | None) -> None:
    """Report how fast messages leave and how many threads are of use, which only the feeder knows."""
    pipeline = redis.client().pipeline(transaction=False)
    reported = {"per_second": per_second, "oldest_seconds": oldest_seconds}
    pipeline.set(redis.key("drain"), orjson.dumps(reported), ex=DRAIN_EXPIRES_SECONDS)
    if useful_threads is None:
        pipeline.delete(redis.key("useful_threads"))
    else:
        pipeline.set(redis.key("useful_threads"), useful_threads, ex=USEFUL_EXPIRES_SECONDS)
    pipeline.execute()


def latest() -> QueueStatistics:
    """Return the last measurement; nothing waiting where there is none."""
    try:
        return measured() or QueueStatistics()
    except redis.Unavailable:
        return QueueStatistics()


def measured() -> QueueStatistics | None:
    """Return the last measurement, or None where no feeder has made one within ten seconds.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    stored, drain, useful = redis.client().mget(redis.key("waiting"), redis.key("drain"), redis.key("useful_threads"))
    if not stored:
        return None
    in_broker, due, is_too_much = map(int, stored.split())
    reported: dict[str, Any] = orjson.loads(drain) if drain else {}
    return QueueStatistics(
        in_broker,
        due,
        bool(is_too_much),
        reported.get("per_second"),
        reported.get("oldest_seconds", 0.0),
        None if useful is None else int(useful),
    )


# --- the pools that are alive ---------------------------------------------------------------------------------


def report_pool(instance: str, figures: dict[str, Any], *, alive_seconds: int) -> None:
    """Report a pool's figures; a pool that has told nothing for `alive_seconds` counts as gone."""
    register, now = redis.key("pools", SEND), time.time()
    pipeline = redis.client().pipeline(transaction=False)
    pipeline.set(redis.key("pool", SEND, instance), orjson.dumps(figures), ex=alive_seconds)
    pipeline.zadd(register, {instance: now + alive_seconds})
    pipeline.zremrangebyscore(register, "-inf", now - 60)
    pipeline.execute()


def forget_pool(instance: str) -> None:
    """Take out a pool that ends."""
    pipeline = redis.client().pipeline(transaction=False)
    pipeline.delete(redis.key("pool", SEND, instance))
    pipeline.zrem(redis.key("pools", SEND), instance)
    pipeline.execute()


def reported_pools() -> list[dict[str, Any]]:
    """Return the figures of the pools that are alive, as they told them a moment ago.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    client = redis.client()
    names: Any = client.zrangebyscore(redis.key("pools", SEND), time.time(), "+inf")
    reported = client.mget([redis.key("pool", SEND, name.decode()) for name in names]) if names else []
    return [orjson.loads(value) for value in reported if value]


def live_pools() -> Pools:
    """Return number and threads of the pools that are alive.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    pools = reported_pools()
    return Pools(len(pools), sum(p["threads"] for p in pools), sum(p["active_count"] for p in pools))
