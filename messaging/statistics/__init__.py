"""Figures about messages: over days from the database, per second from the live counters.

`rollups` keeps the counters of minutes and hours in the database, `history` reads them, `live` makes what open pages show each second.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from django.db.models import Count, Q

from messaging import configuration
from messaging.models import IN_PROGRESS, Message, Status
from messaging.queueing import broker, deferred, queue_statistics
from messaging.queueing.queue_statistics import QueueStatistics
from messaging.storage import tallies
from posthaste.lib.queues import NAMES, SEND
from tracing.selectors import per_second

PERCENTILES = (50, 90, 95, 99)
GOOD = (Status.SENT, Status.DELIVERED)
BAD = (Status.FAILED, Status.UNKNOWN)
EVENTS = ("accepted", "sent", "delivered", "failed", "retried", "unknown", "expired", "suppressed", "deferred")
RATE_SECONDS = 10


def state_labels() -> dict[str, str]:
    """Return the words for the states of a message."""
    return {status.value: str(status.label) for status in Status}


def success_rate(counts: dict[str, int]) -> float | None:
    """Return the percentage sent of all messages with a final outcome, or None if there are none."""
    good, bad = sum(counts.get(s, 0) for s in GOOD), sum(counts.get(s, 0) for s in BAD)
    return round(100.0 * good / (good + bad), 2) if good + bad else None


def _span(start: datetime, end: datetime, tenant_id: int | None) -> dict[str, Any]:
    by_state: Counter[str] = Counter()
    by_channel: dict[str, Counter[str]] = {}
    for channel, status, number in tallies.by_channel(start, end, tenant_id):
        by_state[status] += number
        by_channel.setdefault(channel, Counter())[status] += number
    return {
        "total": by_state.total(),
        "in_progress": sum(by_state[s] for s in IN_PROGRESS),
        "by_state": {status: by_state[status] for status in Status.values},
        "by_channel": {
            channel: {"total": counts.total(), "success_rate": success_rate(counts), **{s: counts[s] for s in Status.values if counts[s]}}
            for channel, counts in sorted(by_channel.items())
        },
        "success_rate": success_rate(by_state),
        "latency_ms": latency_percentiles(tallies.by_latency(start, end, tenant_id)),
    }


def latency_percentiles(latencies: Sequence[tuple[int, int]]) -> dict[str, int | None]:
    """Return percentiles (nearest rank) of the time from due to accepted by the provider.

    `latencies` are pairs of milliseconds and number of messages, in ascending order.
    """
    answer: dict[str, int | None] = dict.fromkeys([*(f"p{p}" for p in PERCENTILES), "max"])
    if latencies:
        ranks = list(accumulate(number for _value, number in latencies))
        for p in PERCENTILES:
            answer[f"p{p}"] = latencies[bisect_left(ranks, max(1, -(-ranks[-1] * p // 100)))][0]
        answer["max"] = latencies[-1][0]
    return answer


def overview(*, tenant_id: int | None, now: datetime) -> dict[str, Any]:
    """Return today's and yesterday's figures (days in UTC)."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "as_of": now,
        "today": _span(today, today + timedelta(days=1), tenant_id),
        "yesterday": _span(today - timedelta(days=1), today, tenant_id),
        **_ahead(tenant_id, now),
    }


def _ahead(tenant_id: int | None, now: datetime) -> dict[str, int]:
    """Count what is due later, and how much of it a delivery rule deferred, in one pass."""
    rows = Message.objects.filter(Q(status=Status.PENDING, due_at__gt=now)).order_by()
    own = rows if tenant_id is None else rows.filter(tenant_id=tenant_id)
    by_rule = Count("pk", filter=Q(error_code__startswith=deferred.PREFIX))
    return own.aggregate(scheduled=Count("pk"), deferred=by_rule)


def pools() -> list[dict[str, Any]]:
    """Return the live figures of each worker's pool, as the workers told them within five seconds."""
    return sorted(({"queue": SEND, **pool} for pool in queue_statistics.reported_pools()), key=lambda pool: pool["instance"])


def queues(waiting: QueueStatistics | None) -> dict[str, dict[str, Any]]:
    """Return depth and capacity of the four queues; for `message.send` counted in recipients, from a measurement of what waits."""
    try:
        tasks = broker.depths()
    except broker.BROKER_ERRORS:
        tasks = {}
    return queues_with(tasks, waiting)


def queues_with(tasks: Mapping[str, int], waiting: QueueStatistics | None) -> dict[str, dict[str, Any]]:
    """Return depth and capacity of the four queues, from the tasks in the broker and a measurement of what waits, where these are known."""
    capacity = configuration.queues.value.queue_capacity
    answer: dict[str, dict[str, Any]] = {}
    for name in NAMES:
        depth = (waiting.total if waiting else None) if name == SEND else tasks.get(name)
        answer[name] = {
            "depth": depth,
            "capacity": capacity,
            "usage_percent": None if depth is None else round(100.0 * depth / capacity, 1),
            "tasks": tasks.get(name),
        }
    answer[SEND] |= {
        "in_broker": waiting.in_broker if waiting else None,
        "waiting_in_database": waiting.due if waiting else None,
    }
    return answer


def dead_letters() -> dict[str, float]:
    """Count the messages of all tenants that failed or whose outcome is unknown, each up to `queue_statistics.COUNT_UP_TO`."""
    rows = Message.objects.filter(status__in=BAD).order_by()  # as the index of dead letters says it
    return {state.value: float(rows.filter(status=state).values("pk")[: queue_statistics.COUNT_UP_TO].count()) for state in BAD}


def event_rates(*, tenant_id: int | None, now: datetime) -> dict[str, float]:
    """Return what happens to messages, a second, over the last ten seconds.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    return _rates(per_second(tenant_id=tenant_id, now=now, seconds=RATE_SECONDS))


def _rates(series: Sequence[tuple[int, Counter[str]]]) -> dict[str, float]:
    recent = series[-RATE_SECONDS:]
    return {event: round(sum(counts[event] for _second, counts in recent) / max(1, len(recent)), 1) for event in EVENTS}


def realtime(*, tenant_id: int | None, now: datetime, seconds: int = 60) -> dict[str, Any]:
    """Return rates of the last seconds, the queues, and the pools.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away, and with it the live figures.
    """
    series = per_second(tenant_id=tenant_id, now=now, seconds=seconds)
    found = pools()
    return {
        "as_of": now,
        "rates_per_second": _rates(series),
        "series": [{"second": second, **{event: counts[event] for event in EVENTS}} for second, counts in series],
        "queues": queues(queue_statistics.latest()),
        "pools": pools_for(tenant_id, found),
        "pool": sum_of(found),
    }


def pools_for(tenant_id: int | None, found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return pools as a tenant is shown them: numbered, as the names of hosts and processes are the installation's own."""
    if tenant_id is None:
        return list(found)
    return [pool | {"instance": str(number)} for number, pool in enumerate(found, 1)]


def sum_of(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of some pools taken together."""
    return {
        "threads": sum(p["threads"] for p in found),
        "active_count": sum(p["active_count"] for p in found),
        "queue_size": max((p["queue_size"] for p in found), default=0),
        "completed_tasks": sum(p["completed_tasks"] for p in found),
        "queue_usage_percent": max((p["queue_usage_percent"] for p in found), default=0.0),
    }
