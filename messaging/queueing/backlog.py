"""Where messages wait in the database: a line for each tenant's single messages and for each running batch.

What is due is found by one probe of an index for each line and priority, so neither a million rows that wait nor a million
that are scheduled for tomorrow are walked through.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from accounts.selectors import TENANT_TABLE
from messaging.models import Batch, BatchStatus, Message, Status
from posthaste.lib.queues import MAX_PRIORITY

#: Rows with an earlier time were not written by us. Such a one must be fed, and be set aside when it is claimed; not stop the feeder.
EARLIEST = "1970-01-02 00:00:00"
# The sub-queries stand in the list of columns on purpose: as joins or EXISTS the planner may turn them into one pass over
# everything that waits.
_PROBE = (
    f"SELECT CASE WHEN m.due_at < '{EARLIEST}' THEN '{EARLIEST}' ELSE m.due_at END "
    f"FROM {Message._meta.db_table} m WHERE m.tenant_id = {{tenant}} AND m.batch_id {{batch}} "
    f"AND m.status = '{Status.PENDING.value}' AND m.priority = p.n AND m.due_at <= %s ORDER BY m.due_at LIMIT 1"
)
_PRIORITIES = ", ".join(f"({n})" for n in range(MAX_PRIORITY, -1, -1))
SINGLES = (
    f"WITH p(n) AS (VALUES {_PRIORITIES}), t AS (SELECT id, weight FROM {TENANT_TABLE} WHERE (SELECT 1 FROM "
    f"{Message._meta.db_table} m WHERE m.tenant_id = {TENANT_TABLE}.id AND m.batch_id IS NULL "
    f"AND m.status = '{Status.PENDING.value}' AND m.due_at IS NOT NULL LIMIT 1) IS NOT NULL) "
    f"SELECT t.id, NULL, t.weight, p.n, ({_PROBE.format(tenant='t.id', batch='IS NULL')}) FROM t CROSS JOIN p"
)
BATCHES = (
    f"WITH p(n) AS (VALUES {_PRIORITIES}), b AS (SELECT b.id, b.tenant_id, t.weight FROM {Batch._meta.db_table} b "
    f"JOIN {TENANT_TABLE} t ON t.id = b.tenant_id WHERE b.status = '{BatchStatus.RUNNING.value}') "
    f"SELECT b.tenant_id, b.id, b.weight, p.n, ({_PROBE.format(tenant='b.tenant_id', batch='= b.id')}) FROM b CROSS JOIN p"
)


@dataclass(frozen=True, slots=True)
class BacklogQueue:
    """A tenant's single messages (batch None) or one of its batches."""

    tenant_id: int
    batch_id: UUID | None

    def due(self, now: datetime, priority: int) -> "QuerySet[Message]":
        """Return the waiting rows of a priority, oldest first."""
        rows = Message.objects.filter(tenant_id=self.tenant_id, status=Status.PENDING, priority=priority, due_at__lte=now)
        return (rows.filter(batch=None) if self.batch_id is None else rows.filter(batch_id=self.batch_id)).order_by("due_at")

    def hold(self) -> bool:
        """Keep the batch from being paused or cancelled until the transaction ends; False if it does not run.

        Without it rows chosen while the batch ran could become `queued` after the cancel has looked for such ones.
        """
        if self.batch_id is None:
            return True
        running = Batch.objects.filter(pk=self.batch_id, status=BatchStatus.RUNNING).order_by()
        return bool(running.select_for_update(no_key=True, skip_locked=True).values_list("pk"))


@dataclass(slots=True)
class BacklogHead:
    """The head of a backlog queue: how long it has been due, by priority; most urgent first."""

    weight: int
    due_since: dict[int, datetime] = field(default_factory=dict)


def _time(value: Any) -> datetime:
    try:
        made = value if isinstance(value, datetime) else datetime.fromisoformat(value)  # SQLite gives text, or a time without a zone
    except (ValueError, TypeError):  # a text that is no time, which SQLite stores all the same
        made = datetime.fromisoformat(EARLIEST)
    return made if made.tzinfo else made.replace(tzinfo=UTC)


def _rows(sql: str, now: datetime) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, [connection.ops.adapt_datetimefield_value(now)])
        yield from cursor.fetchall()


def waiting(now: datetime) -> dict[BacklogQueue, BacklogHead]:
    """Return all lines in which something is due; a tenant's weight is shared among its lines."""
    found: dict[BacklogQueue, BacklogHead] = {}
    for sql in (SINGLES, BATCHES):
        for tenant_id, batch_id, weight, priority, due_at in _rows(sql, now):
            if due_at is not None:
                try:
                    queue = BacklogQueue(tenant_id, batch_id if batch_id is None or isinstance(batch_id, UUID) else UUID(batch_id))
                except (ValueError, AttributeError):  # a batch whose id can't be read; `settle_batches` sets it aside
                    continue
                found.setdefault(queue, BacklogHead(weight)).due_since[priority] = _time(due_at)
    queues_of: dict[int, int] = {}
    for queue in found:
        queues_of[queue.tenant_id] = queues_of.get(queue.tenant_id, 0) + 1
    for queue, head in found.items():
        head.weight = max(1, 1000 * head.weight // queues_of[queue.tenant_id])
        head.due_since = dict(sorted(head.due_since.items(), reverse=True))
    return found
