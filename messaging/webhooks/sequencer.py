"""Positions for recorded events, on PostgreSQL.

A position given while an event is recorded would become visible when its transaction commits, perhaps after larger ones: a reader that
remembers the last position it saw would skip it. So a sequencer moves committed events, in the order of their ids, from `RecordedEvent` to
`Event`, where they get the next positions. An advisory lock, which PostgreSQL keeps until the end of the transaction, lets one sequencer
run at a time; so positions become visible in their order whichever process gives them, and no leader has to be chosen.

Events of one message keep their order: the later change waited for the row that the earlier one had locked, so it has the larger id, and it
is visible only if the earlier one is.

What if the process dies: the transaction ends, and the next sequencer does the same again.
"""

from django.db import connection, transaction

from messaging.models import Event, RecordedEvent

LOCK = 0x6576656E74  # "event"
ROWS_A_STEP = 5_000
_COLUMNS = "tenant_id, type, subject_id, channel, is_sandbox, occurred_at, data"
_MOVE = (
    f"WITH taken AS (DELETE FROM {RecordedEvent._meta.db_table} WHERE id IN "
    f"(SELECT id FROM {RecordedEvent._meta.db_table} ORDER BY id LIMIT {ROWS_A_STEP}) RETURNING id, {_COLUMNS}) "
    f"INSERT INTO {Event._meta.db_table} ({_COLUMNS}) SELECT {_COLUMNS} FROM taken ORDER BY id"
)


def sequence() -> int:
    """Give positions to the events that were recorded, and return their number: 0 if another process does so now, or on SQLite."""
    if connection.vendor != "postgresql":
        return 0
    total = 0
    if not RecordedEvent.objects.exists():  # the usual case, without a transaction
        return 0
    while True:
        moved = _step()
        total += moved
        if moved < ROWS_A_STEP:
            return total


def _step() -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(_MOVE)  # sees what was committed before, because each statement looks anew
        number: int = cursor.rowcount
        return number
