"""Figures of endpoints: of all together for the metrics, and of some for a list."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Min

from messaging.models import DeliveryStatus, DisabledCode, EndpointState, Event, WebhookEndpoint
from messaging.webhooks.event_types import is_wanted_kind
from posthaste.lib import redis

COUNT_UP_TO = 10_000  # of one endpoint
_WAITING_OF_ONE = f"""
SELECT %s, type, channel, is_sandbox, count(*) FROM (
    SELECT type, channel, is_sandbox FROM {Event._meta.db_table} WHERE tenant_id = %s AND position > %s LIMIT {COUNT_UP_TO}
) AS looked_at GROUP BY type, channel, is_sandbox
"""
_WAITING = f"""
SELECT COALESCE(sum((SELECT count(*) FROM (
    SELECT 1 FROM {Event._meta.db_table} v WHERE v.tenant_id = e.tenant_id AND v.position > e.cursor LIMIT {COUNT_UP_TO}
) AS counted)), 0) FROM {WebhookEndpoint._meta.db_table} e WHERE e.is_enabled
"""
# The smallest number of an index, which is found without sorting what is left.
_NEXT = f"""
SELECT (SELECT min(v.position) FROM {Event._meta.db_table} v WHERE v.tenant_id = e.tenant_id AND v.position > e.cursor)
FROM {WebhookEndpoint._meta.db_table} e WHERE e.is_enabled
"""


def waiting() -> int:
    """Count the events after the cursors of enabled endpoints, of each up to COUNT_UP_TO."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING)
        return int(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many events wait for an endpoint, and whether there may be more because not all were looked at."""

    number: int
    is_more: bool


def waiting_by_endpoint(endpoints: Iterable[WebhookEndpoint]) -> dict[UUID, Waiting]:
    """Count the events that wait for each endpoint, among the first COUNT_UP_TO after its cursor, in one query."""
    rows = list(endpoints)
    if not rows:
        return {}
    sql = " UNION ALL ".join([_WAITING_OF_ONE] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for place, row in enumerate(rows) for value in (place, row.tenant_id, row.cursor)])
        found = cursor.fetchall()
    wanted: Counter[int] = Counter()
    looked_at: Counter[int] = Counter()
    for place, type_, channel, is_sandbox, number in found:
        looked_at[place] += number
        if is_wanted_kind(rows[place], type_=type_, channel=channel, is_sandbox=bool(is_sandbox)):
            wanted[place] += number
    return {row.pk: Waiting(wanted[place], looked_at[place] >= COUNT_UP_TO) for place, row in enumerate(rows)}


def oldest_seconds(*, now: datetime) -> float:
    """Return the age of the oldest event that waits for an enabled endpoint; 0 where none waits."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT)
        positions = [position for (position,) in cursor.fetchall() if position is not None]
    oldest = Event.objects.filter(pk__in=positions[:COUNT_UP_TO]).aggregate(oldest=Min("occurred_at"))["oldest"]
    return max(0.0, (now - oldest).total_seconds()) if oldest else 0.0


def endpoints_by_state() -> dict[str, float]:
    """Count the endpoints by state."""
    rows = WebhookEndpoint.objects.only("is_enabled", "failing_since").order_by()
    found = Counter(row.state for row in rows)
    return {state.value: float(found[state]) for state in EndpointState}


def by_disabled_code() -> dict[str, float]:
    """Count the disabled endpoints by the code of why they are."""
    rows = WebhookEndpoint.objects.filter(is_enabled=False).order_by()
    found = Counter(rows.values_list("disabled_code", flat=True))
    found[DisabledCode.MANUAL] += found[""]  # made as disabled
    return {code: float(found[code]) for code in DisabledCode.values}


def _key() -> str:
    return redis.key("webhooks", "deliveries")


def count_delivery(pipeline: Any, status: DeliveryStatus) -> None:
    """Count a request in the caller's pipeline."""
    pipeline.hincrby(_key(), status.value, 1)


def deliveries() -> dict[str, float]:
    """Return the number of requests so far by what came of them.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    found: Any = redis.client().hgetall(_key())
    return dict.fromkeys(DeliveryStatus.values, 0.0) | {name.decode(): float(number) for name, number in found.items()}
