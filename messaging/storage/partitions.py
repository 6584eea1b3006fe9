"""The message table's daily partitions on PostgreSQL, and the end of retention on both databases.

The id is a UUIDv7, whose first 48 bits are the time: a range of ids is a span of time, so the table is partitioned by its own
primary key and the id alone stays unique. Old days are dropped whole instead of deleted row by row. What no prepared
partition takes (the job has not run for two weeks) goes to the default partition and is moved when its day is made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import structlog
from django.db import connection
from django.utils.translation import gettext_lazy as _

from jobs.registry import Blocking, job
from jobs.services import fence
from messaging.models import IN_PROGRESS, Batch, Message, ReceiptEntry
from messaging.storage import tally_totals
from posthaste import env
from posthaste.lib import locks, queues
from posthaste.lib.ids import first_id_at, made_at

log = structlog.get_logger(__name__)
TABLE = Message._meta.db_table
DEFAULT = f"{TABLE}_default"
DAYS_AHEAD = 14
ROWS_A_DELETE = 5_000
LOCK = "partitions"


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition with its bounds: ids from `lower` on, below `upper`."""

    name: str
    lower: UUID | None
    upper: UUID

    @property
    def ends_at(self) -> datetime:
        """The time from which on ids no longer belong here."""
        return made_at(self.upper)


def _bounds(day: date) -> tuple[UUID, UUID]:
    start = datetime.combine(day, time(), tzinfo=UTC)
    return first_id_at(start), first_id_at(start + timedelta(days=1))


def is_partitioned() -> bool:
    """Return whether the message table is partitioned, as it is on PostgreSQL."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = %s::regclass", [TABLE])
        return bool(cursor.fetchone()[0])


def partitions() -> list[Partition]:
    """Return the partitions in the order of time, without the default one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = %s::regclass",
            [TABLE],
        )
        rows = cursor.fetchall()
    found = []
    for name, bound in rows:
        if bound == "DEFAULT":
            continue
        lower, upper = (part.strip("'() ") for part in bound.removeprefix("FOR VALUES FROM ").split(" TO "))
        found.append(Partition(name, None if lower == "MINVALUE" else UUID(lower), UUID(upper)))
    return sorted(found, key=lambda p: p.upper)


def make_partition(day: date) -> bool:
    """Make the partition of a day and return whether it was missing. Rows that lay in the default one move in."""
    lower, upper = _bounds(day)
    name = f"{TABLE}_{day:%Y%m%d}"
    if any((p.lower is None or p.lower <= lower) and upper <= p.upper for p in partitions()):
        return False
    with fence.guarded(LOCK), connection.cursor() as cursor:
        cursor.execute(f'CREATE TABLE "{name}" (LIKE "{TABLE}" INCLUDING DEFAULTS INCLUDING CONSTRAINTS)')
        cursor.execute(f'ALTER TABLE "{name}" SET (fillfactor = {FILLFACTOR}, {AUTOVACUUM})')
        cursor.execute(
            f'WITH moved AS (DELETE FROM "{DEFAULT}" WHERE id >= %s AND id < %s RETURNING *) INSERT INTO "{name}" SELECT * FROM moved',
            [lower, upper],
        )
        cursor.execute(f"ALTER TABLE \"{TABLE}\" ATTACH PARTITION \"{name}\" FOR VALUES FROM ('{lower}') TO ('{upper}')")
    return True


#: A row is written four times in its life (queued, sending, sent, delivered), each time as a new version of the row. Every
#: transition changes a column that some partial index is about, so no update is ever heap-only and free space in the page
#: would buy nothing but a larger table. Measured (`python -m benchmarks.update_cost`, 200,000 rows stored, CPU ms of PostgreSQL a
#: thousand messages from accepted to sent; size of the table): 100 → 95 ms, 62 MB; 90 → 107, 66; 70 → 95, 79; 50 → 98, 107.
FILLFACTOR = 100
#: A day's rows are nearly all rewritten once: vacuum by numbers of rows rather than by a share of the table.
AUTOVACUUM = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02"


def make_ahead(*, now: datetime) -> int:
    """Make the partitions from today on and return the number of new ones."""
    if not is_partitioned():
        return 0
    today = now.astimezone(UTC).date()
    return sum(make_partition(today + timedelta(days=ahead)) for ahead in range(DAYS_AHEAD + 1))


def drop_before(*, moment: datetime) -> int:
    """Drop the days that ended before `moment`, unless something of them is still in progress."""
    dropped = 0
    for partition in partitions() if is_partitioned() else []:
        if partition.ends_at > moment:
            break
        rows = Message.objects.filter(pk__lt=partition.upper)
        rows = rows if partition.lower is None else rows.filter(pk__gte=partition.lower)
        if rows.filter(status__in=IN_PROGRESS).exists():
            log.info("partition kept: something in it is still in progress", partition=partition.name)
            continue
        with fence.guarded(LOCK), connection.cursor() as cursor:
            cursor.execute(f'DROP TABLE "{partition.name}"')
        dropped += 1
        log.info("partition dropped", partition=partition.name)
    return dropped


def _chunks(moment: datetime) -> Iterator[list[UUID]]:
    rows = Message.objects.filter(pk__lt=first_id_at(moment)).exclude(status__in=IN_PROGRESS).order_by("pk")
    while ids := list(rows.values_list("pk", flat=True)[:ROWS_A_DELETE]):
        yield ids


def forget_before(*, moment: datetime) -> int:
    """Remove messages that ended and were accepted before `moment`, their receipts and empty batches.

    On PostgreSQL whole days are dropped; single rows are deleted only on SQLite.
    """
    removed = drop_before(moment=moment)
    if not is_partitioned():
        for ids in _chunks(moment):
            with fence.guarded(LOCK):
                ReceiptEntry.objects.filter(message_id__in=ids).delete()
                Message.objects.filter(pk__in=ids)._raw_delete("default")
            removed += len(ids)
    bound = first_id_at(moment)
    with fence.guarded(LOCK):
        ReceiptEntry.objects.filter(pk__lt=bound)._raw_delete("default")
        Batch.objects.filter(pk__lt=bound, messages=None).delete()
    tally_totals.forget_before(moment=moment)
    return removed


def maintain(*, now: datetime, retention_days: int) -> dict[str, int]:
    """Make partitions ahead and end the retention of old messages (0 days: they are kept for ever)."""
    try:
        with locks.simple(LOCK):
            made = make_ahead(now=now)
            removed = forget_before(moment=now - timedelta(days=retention_days)) if retention_days else 0
    except (locks.NotAcquired, locks.LockLost):
        return {}  # another one is at it
    return {"made": made, "removed": removed}


@job(
    "messaging.maintain_partitions",
    entry="maintain partitions",
    title=_("Maintain partitions"),
    purpose=_("Makes the message table's partitions for the days to come and removes messages whose retention is over."),
    every=timedelta(hours=1),
    timeout=timedelta(minutes=30),
    expires=timedelta(minutes=10),
    blocking=Blocking.DISCARD,
    queue=queues.NOTIFICATION,
    own_lock=LOCK,
)
def maintain_partitions(*, now: datetime) -> None:
    """Maintain with the retention that the environment sets."""
    maintain(now=now, retention_days=env.load().message_retention_days)
