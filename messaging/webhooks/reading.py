"""Reading events in the order of their positions, in plain SQL: a large batch has many, and models would take ten times as long."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection

from messaging.models import Event
from messaging.storage import row_texts, unreadable

WINDOW = 1_000  # events that one query reads
MAX_WINDOWS = 20


@dataclass(slots=True)
class StoredEvent:
    """A row of `Event`, read without making a model of it: a large batch has many."""

    position: int
    type: str
    subject_id: UUID | None
    channel: str
    is_sandbox: bool
    occurred_at: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """Events that were wanted, and the position up to which there are no others."""

    rows: list[StoredEvent]
    until: int


def read(
    *,
    tenant_id: int,
    position: int,
    limit: int,
    wanted: Callable[[StoredEvent], bool],
    last: int | None = None,
    windows: int = MAX_WINDOWS,
) -> Found:
    """Read a tenant's events after a position, up to `last`, until `limit` wanted ones are found.

    It looks at WINDOW × `windows` events at most; where it stops early, `until` is where to go on.
    """
    rows: list[StoredEvent] = []
    size = min(limit, WINDOW)
    for _number in range(windows):
        window = _window(tenant_id, position, last, size)
        for event in window:
            position = event.position
            if wanted(event):
                rows.append(event)
                if len(rows) == limit:
                    return Found(rows, position)
        if len(window) < size:
            break
        size = WINDOW  # few of them are wanted
    return Found(rows, position)


def _window(tenant_id: int, position: int, last: int | None, size: int) -> list[StoredEvent]:
    rows = Event.objects.filter(tenant_id=tenant_id, position__gt=position, **({} if last is None else {"position__lte": last}))
    return unreadable.read(rows.order_by("position")[:size], lambda: _select(tenant_id, position, last, size))


MAX_POSITION = (1 << 63) - 1
_COLUMNS = "position, type, subject_id, channel, is_sandbox, {occurred_at}, data"
# See `messaging/migrations/0003_events.py`: the planner must not sort all that is left.
_IN_ORDER = f"SELECT {_COLUMNS.format(occurred_at='occurred_at')} FROM messaging_events_after(%s, %s, %s, %s)"
# A CAST, because SQLite's driver would read a text that is no time as None.
_PLAIN = (
    f"SELECT {_COLUMNS.format(occurred_at='CAST(occurred_at AS TEXT)')} FROM {Event._meta.db_table} "
    "WHERE tenant_id = %s AND position > %s AND position <= %s ORDER BY position LIMIT %s"
)


def _select(tenant_id: int, position: int, last: int | None, size: int) -> list[StoredEvent]:
    sql = _IN_ORDER if connection.vendor == "postgresql" else _PLAIN
    with connection.cursor() as cursor:
        cursor.execute(sql, [tenant_id, position, MAX_POSITION if last is None else last, size])
        rows = cursor.fetchall()
    return [
        StoredEvent(position, kind, uuid_of(subject), channel, bool(is_sandbox), _moment(occurred_at), row_texts.json_object(data))
        for position, kind, subject, channel, is_sandbox, occurred_at, data in rows
    ]


def uuid_of(value: Any) -> UUID | None:
    """Return a UUID as the drivers return it: SQLite's as a text."""
    return value if value is None or isinstance(value, UUID) else UUID(value)


def _moment(value: Any) -> datetime:
    found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
