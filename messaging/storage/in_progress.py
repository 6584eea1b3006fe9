"""Whether anything is in progress at all: asked every second, also while nothing is, and so without the ORM, which would take longer."""

from django.db import connection

from messaging.models import Batch, BatchStatus, Message, Status

# Each is one probe of a partial index, which is empty while nothing is in progress.
_OPEN_BATCH = (
    f"SELECT 1 FROM {Batch._meta.db_table} WHERE NOT status = '{BatchStatus.FINISHED.value}' AND finished_at IS NULL "  # `batch_open`
    "LIMIT 1"
)
_MESSAGES = Message._meta.db_table
_TAKEN = " UNION ALL ".join(
    f"SELECT * FROM (SELECT 1 FROM {_MESSAGES} WHERE status = '{status.value}' AND {column} IS NOT NULL LIMIT 1) AS {status.value}"
    for status, column in ((Status.QUEUED, "queued_at"), (Status.SENDING, "lease_until"))
)
_PENDING = f"SELECT 1 FROM {_MESSAGES} WHERE status = '{Status.PENDING.value}' AND due_at IS NOT NULL LIMIT 1"
_ANYTHING = f"{_TAKEN} UNION ALL SELECT * FROM ({_PENDING}) AS pending UNION ALL SELECT * FROM ({_OPEN_BATCH}) AS batch LIMIT 1"
_QUEUED = (
    f"SELECT COUNT(*) FROM (SELECT queued_at FROM {_MESSAGES} WHERE status = '{Status.QUEUED.value}' "
    "AND queued_at IS NOT NULL LIMIT %s) AS m"
)


def _any(sql: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone() is not None


def any_batch_is_open() -> bool:
    """Return whether a batch runs, is paused, or is still being cancelled."""
    return _any(_OPEN_BATCH)


def is_anything() -> bool:
    """Return whether a batch is open or a message waits, is in the broker, or is being sent."""
    return _any(_ANYTHING)


def any_message_is_taken() -> bool:
    """Return whether a message is in the broker or being sent."""
    return _any(_TAKEN)


def any_message_waits() -> bool:
    """Return whether a message waits in the database, be it due or not."""
    return _any(_PENDING)


def count_queued(up_to: int) -> int:
    """Count the messages that were handed to the broker and that no worker has claimed yet."""
    with connection.cursor() as cursor:
        cursor.execute(_QUEUED, [up_to])
        return int(cursor.fetchone()[0])
