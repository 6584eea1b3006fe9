"""Numbers of messages by batch, by hour and by latency: kept up by the database on PostgreSQL, counted on SQLite."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, QuerySet

from messaging.models import NO_BATCH, Message, Tally, TallyChange
from posthaste.lib.ids import first_id_at

KEYS = "batch_id, hour, tenant_id, channel, status, bucket"
_BOTH = (
    f"(SELECT {KEYS}, number FROM {Tally._meta.db_table} WHERE {{where}} UNION ALL "
    f"SELECT {KEYS}, number FROM {TallyChange._meta.db_table} WHERE {{where}}) AS t"
)


def are_kept() -> bool:
    """Return whether the database keeps the counts itself."""
    return connection.vendor == "postgresql"


def _sums(columns: str, where: str, values: list[Any]) -> list[tuple[Any, ...]]:
    """Both tables in one statement, so that what is being added up is neither missed nor counted twice."""
    sql = f"SELECT {columns}, sum(number)::bigint FROM {_BOTH.format(where=where)} GROUP BY {columns} HAVING sum(number) <> 0"
    with connection.cursor() as cursor:
        cursor.execute(sql, values * 2)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def by_batch(batch_ids: Iterable[UUID]) -> list[tuple[UUID, str, int]]:
    """Return the number of messages for each batch and state that has any, in one query."""
    ids = list(batch_ids)
    if are_kept():
        return _sums("batch_id, status", "batch_id = ANY(%s)", [ids])
    rows = Message.objects.filter(batch_id__in=ids).order_by().values_list("batch_id", "status")
    return list(rows.annotate(n=Count("pk")))


def between(start: datetime, end: datetime, tenant_id: int | None) -> "QuerySet[Message]":
    """Return the messages accepted in a span, of one tenant or of all."""
    # The id carries the time, so the index by tenant and id serves both conditions.
    rows = Message.objects.filter(pk__gte=first_id_at(start), pk__lt=first_id_at(end)).order_by()
    return rows if tenant_id is None else rows.filter(tenant_id=tenant_id)


def _span(start: datetime, end: datetime, tenant_id: int | None) -> tuple[str, list[Any]]:
    where, values = "batch_id = %s AND hour >= %s AND hour < %s", [NO_BATCH, start, end]
    return (where, values) if tenant_id is None else (f"{where} AND tenant_id = %s", [*values, tenant_id])


def by_channel(start: datetime, end: datetime, tenant_id: int | None) -> list[tuple[str, str, int]]:
    """Return the number of messages for each channel and state; the span is of whole hours."""
    if are_kept():
        where, values = _span(start, end, tenant_id)
        return _sums("channel, status", f"{where} AND bucket < 0", values)
    return list(between(start, end, tenant_id).values_list("channel", "status").annotate(n=Count("pk")))


def by_latency(start: datetime, end: datetime, tenant_id: int | None) -> list[tuple[int, int]]:
    """Return latencies in ms, rising, with the number of messages; the span is of whole hours.

    Kept in buckets: exact below 128 ms, within 0.8 per cent above.
    """
    if are_kept():
        where, values = _span(start, end, tenant_id)
        found: list[tuple[int, int]] = _sums("bucket", f"{where} AND bucket >= 0", values)
        return [(middle_of(bucket), number) for bucket, number in sorted(found)]
    timed = between(start, end, tenant_id).filter(latency_ms__isnull=False)
    return list(timed.order_by("latency_ms").values_list("latency_ms").annotate(n=Count("pk")))


def bucket_of(latency_ms: int) -> int:
    """Return the bucket of a latency: one a millisecond below 128, then 64 to the next power of two.

    A histogram after G. Tene's HdrHistogram.
    """
    shift = max(0, latency_ms.bit_length() - 7)
    return 64 * shift + (latency_ms >> shift)


def middle_of(bucket: int) -> int:
    """Return the latency in the middle of a bucket."""
    shift = max(0, bucket // 64 - 1)
    return (bucket - 64 * shift << shift) + ((1 << shift) - 1) // 2
