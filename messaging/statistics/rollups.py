"""Keep what was counted: minutes from the counters in Redis, ten minutes and hours from the minutes.

Counters only grow, and a row is overwritten only by a larger number, so a run changes nothing that an equal one has written: it may run
twice, or two at once. All of a run is one transaction. If the process dies, the next run makes the minutes again, as far back as
the counters last. What Redis loses within a minute, before a run has read it, is lost; what was written stays.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import Max
from django.utils.translation import gettext_lazy as _

from jobs.registry import Blocking, job
from messaging import configuration
from messaging.models import FlowRollup, QueueRollup
from messaging.queueing import queue_statistics
from messaging.statistics.points import Flow, Gauge
from posthaste.lib import queues, redis
from tracing.selectors import counted
from tracing.services.record import COUNTER_SECONDS

log = structlog.get_logger(__name__)
MINUTE, TEN_MINUTES, HOUR = 60, 600, 3_600
#: How long rows are kept: a little longer than the pages and the API look back.
KEPT = {MINUTE: timedelta(hours=26), TEN_MINUTES: timedelta(days=8), HOUR: timedelta(days=400)}
EVERY = timedelta(seconds=20)
#: The counters of a minute are complete when the slowest process has published its own, a moment after its end.
LATE = timedelta(minutes=1)
ROWS_A_STATEMENT = 1_000
ROWS_A_DELETE = 5_000

Key = tuple[datetime, int, str]  # begin, tenant, channel
FLOW = ("span_seconds", "starts_at", "tenant_id", "channel", "event", "number", "latency")
QUEUE = ("span_seconds", "starts_at", "until", "depth", "capacity", "threads", "busy")
FLOW_SQL = f"""
INSERT INTO {FlowRollup._meta.db_table} AS t ({", ".join(FLOW)}) VALUES {{rows}}
ON CONFLICT (tenant_id, span_seconds, starts_at, channel, event)
DO UPDATE SET number = excluded.number, latency = excluded.latency WHERE excluded.number > t.number
"""


def _larger(column: str) -> str:
    """Both databases know COALESCE and CASE; the larger of two has a name of its own in each."""
    ours, new = f"COALESCE(t.{column}, -1)", f"COALESCE(excluded.{column}, -1)"
    return f"{column} = CASE WHEN {new} > {ours} THEN excluded.{column} ELSE t.{column} END"


QUEUE_SQL = f"""
INSERT INTO {QueueRollup._meta.db_table} AS t ({", ".join(QUEUE)}) VALUES {{rows}}
ON CONFLICT (span_seconds, starts_at) DO UPDATE SET capacity = excluded.capacity,
    until = CASE WHEN excluded.until > t.until THEN excluded.until ELSE t.until END, {", ".join(map(_larger, ("depth", "threads", "busy")))}
"""


def begin_of(moment: datetime, seconds: int) -> datetime:
    """Return the begin of the span that a moment lies in."""
    return datetime.fromtimestamp(int(moment.timestamp()) // seconds * seconds, UTC)


def written_histogram(histogram: Mapping[int, int]) -> str:
    """Return a histogram as it is stored."""
    return " ".join(f"{bucket}:{number}" for bucket, number in sorted(histogram.items()))


def read_histogram(text: str) -> dict[int, int]:
    """Return a stored histogram."""
    pairs = (entry.split(":") for entry in text.split())
    return {int(bucket): int(number) for bucket, number in pairs}


def roll_up(*, now: datetime) -> int:
    """Roll up what was counted since the last run, measure the queue, and return the number of rows that were looked at.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    first = _first_minute(now)
    counts = counted(range(int(first.timestamp()), int(now.timestamp()) + 1))
    gauge = measure()
    minutes: dict[Key, Flow] = defaultdict(Flow)
    for second, events in counts.items():
        starts_at = datetime.fromtimestamp(second // MINUTE * MINUTE, UTC)
        for (tenant_id, channel, event), number in events.items():
            minutes[starts_at, tenant_id, channel].add(channel, event, number)
    with transaction.atomic():
        _write_queue(now, gauge)
        written = _write_flow(MINUTE, minutes)
        if minutes:
            since, until = min(key[0] for key in minutes), now
            written += _add_up(MINUTE, TEN_MINUTES, since, until)
            written += _add_up(TEN_MINUTES, HOUR, since, until)
    return written


def measure() -> Gauge:
    """Return how much waits at this moment, and the pools.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    waiting, pools = queue_statistics.measured(), queue_statistics.live_pools()
    capacity = configuration.queues.value.queue_capacity
    return Gauge(depth=waiting.total if waiting else None, capacity=capacity, threads=pools.threads, busy=pools.busy)


def _first_minute(now: datetime) -> datetime:
    """Return the first minute that may not be complete: that of the last run and the one before, as far as the counters go back."""
    last_run = QueueRollup.objects.filter(span_seconds=MINUTE).aggregate(Max("until"))["until__max"] or now - timedelta(days=1)
    oldest = begin_of(now, MINUTE) - timedelta(seconds=COUNTER_SECONDS - MINUTE)
    return max(oldest, begin_of(min(last_run, now) - LATE, MINUTE))


def _write_queue(now: datetime, gauge: Gauge) -> None:
    rows = [(span, begin_of(now, span), now, gauge.depth, gauge.capacity, gauge.threads, gauge.busy) for span in KEPT]
    _upsert(QUEUE_SQL, rows)


def _write_flow(span: int, flows: Mapping[Key, Flow]) -> int:
    # In the order of the key: two runs at once lock the rows in the same order.
    rows = [
        (span, starts_at, tenant_id, channel, event, number, written_histogram(flow.histogram) if event == "sent" else "")
        for (starts_at, tenant_id, channel), flow in sorted(flows.items())
        for event, number in sorted(flow.events.items())
    ]
    _upsert(FLOW_SQL, rows)
    return len(rows)


def _upsert(sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    remaining = iter(rows)
    adapt = connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        while chunk := list(islice(remaining, ROWS_A_STATEMENT)):
            places = ", ".join(["(" + ", ".join(["%s"] * len(chunk[0])) + ")"] * len(chunk))
            values = [adapt(value) if isinstance(value, datetime) else value for row in chunk for value in row]
            cursor.execute(sql.format(rows=places), values)


def _add_up(part: int, whole: int, since: datetime, until: datetime) -> int:
    """Make the larger spans of a time anew from all of their parts."""
    begin, end = begin_of(since, whole), begin_of(until, whole) + timedelta(seconds=whole)
    flows: dict[Key, Flow] = defaultdict(Flow)
    for starts_at, tenant_id, channel, event, number, histogram in flow_rows(span=part, since=begin, until=end):
        flows[begin_of(starts_at, whole), tenant_id, channel].add(channel, event, number, histogram)
    return _write_flow(whole, flows)


def flow_rows(
    *, span: int, since: datetime, until: datetime, tenant_id: int | None = None
) -> Iterator[tuple[datetime, int, str, str, int, dict[int, int]]]:
    """Return the rows of a time: begin, tenant, channel, event, number, histogram; of one tenant, or of all of them."""
    rows = FlowRollup.objects.filter(span_seconds=span, starts_at__gte=since, starts_at__lt=until).order_by()
    if tenant_id is not None:
        rows = rows.filter(tenant_id=tenant_id)
    found = rows.values_list("starts_at", "tenant_id", "channel", "event", "number", "latency")
    for starts_at, tenant, channel, event, number, latency in found.iterator(chunk_size=5_000):
        yield starts_at, tenant, channel, event, number, read_histogram(latency)


def gauges(*, span: int, since: datetime, until: datetime) -> dict[int, tuple[Gauge, datetime]]:
    """Return what was measured in each span of a time, by its begin (Unix seconds), with the time of the last look."""
    rows = QueueRollup.objects.filter(span_seconds=span, starts_at__gte=since, starts_at__lt=until).order_by()
    return {int(row.starts_at.timestamp()): (Gauge(row.depth, row.capacity, row.threads, row.busy), row.until) for row in rows}


@job(
    "messaging.roll_up_statistics",
    title=_("Roll up statistics"),
    purpose=_("Keeps the numbers of each minute, ten minutes and hour for the charts, and measures the queue and the pools."),
    every=EVERY,
    timeout=timedelta(minutes=1),
    blocking=Blocking.DISCARD,
    queue=queues.NOTIFICATION,
)
def roll_up_statistics(*, now: datetime) -> None:
    """Roll up, unless Redis is away: what it still counts then is rolled up when it is back."""
    try:
        roll_up(now=now)
    except redis.Unavailable as error:
        log.warning("statistics not rolled up", error=str(error))


def forget(*, now: datetime) -> int:
    """Remove rows that are older than their span is kept, and return their number."""
    removed = 0
    for span, kept in KEPT.items():
        for model in (FlowRollup, QueueRollup):
            old = model._default_manager.filter(span_seconds=span, starts_at__lt=now - kept).order_by()
            for ids in _chunks(old):
                removed += model._default_manager.filter(pk__in=ids).delete()[0]
    return removed


def _chunks(rows: Any) -> Iterable[list[int]]:
    while ids := list(rows.values_list("pk", flat=True)[:ROWS_A_DELETE]):
        yield ids


@job(
    "messaging.forget_statistics",
    title=_("Remove old statistics"),
    purpose=_("Removes rolled-up numbers: minutes after a day, ten minutes after a week, hours after 400 days."),
    cron="23 * * * *",
    timeout=timedelta(minutes=5),
    blocking=Blocking.DISCARD,
    queue=queues.NOTIFICATION,
)
def forget_statistics(*, now: datetime) -> None:
    """Remove what is too old."""
    removed = forget(now=now)
    log.info("old statistics removed", rows=removed)
