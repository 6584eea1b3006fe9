"""Where the messages of a batch spend their time, worked out by the database: a page that is renewed all the time reads three rows."""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection

from messaging.models import Message, Status

TABLE = Message._meta.db_table
PERCENTILES = (50, 95, 99)
# From when a message was due, or accepted after that. What was brought forward was due when it was claimed.
_START = {
    "postgresql": "GREATEST(created_at, LEAST(due_at, COALESCE(claimed_at, sent_at)))",
    "sqlite": "MAX(created_at, MIN(due_at, COALESCE(claimed_at, sent_at)))",
}
_MS = {
    "postgresql": "CAST(GREATEST(0, ROUND(EXTRACT(EPOCH FROM {until} - {since}) * 1000)) AS bigint)",
    "sqlite": "CAST(MAX(0, ROUND((julianday({until}) - julianday({since})) * 86400000)) AS integer)",
}
# Times without end are unreadable rows that nothing has looked at yet; they can't be subtracted.
_FINITE = {
    "postgresql": " AND ".join(f"isfinite({name}) IS NOT FALSE" for name in ("created_at", "claimed_at", "sent_at", "finished_at")),
    "sqlite": "TRUE",
}
NAMES = ("queue", "callback", "until_sent")


def of_batch(batch_id: UUID) -> dict[str, tuple[int, list[int | None]]]:
    """Return, for each part of the way, of how many messages it is known, and its percentiles in ms by the nearest rank.

    The parts are `queue` (from due to claimed), `callback` (from sent to delivered) and `until_sent` (from due to sent), of the messages
    that a provider has taken.
    """
    vendor = connection.vendor

    def ms(since: str, until: str) -> str:
        return _MS[vendor].format(since=since, until=until)

    parts = {
        "queue": ms(_START[vendor], "claimed_at"),
        "callback": f"CASE WHEN status = '{Status.DELIVERED}' THEN {ms('sent_at', 'finished_at')} END",
        "until_sent": ms(_START[vendor], "sent_at"),
    }
    columns = ", ".join(f"{expression} AS {name}" for name, expression in parts.items())
    ranked = ", ".join(
        f"{name}_ranked AS (SELECT {name} AS ms, ROW_NUMBER() OVER (ORDER BY {name}) AS place, COUNT(*) OVER () AS number "
        f"FROM timed WHERE {name} IS NOT NULL)"
        for name in NAMES
    )
    wanted = ", ".join(f"MAX(CASE WHEN place = ({percent} * number + 99) / 100 THEN ms END)" for percent in PERCENTILES)
    answers = " UNION ALL ".join(f"SELECT '{name}', MAX(number), {wanted} FROM {name}_ranked" for name in NAMES)
    timed = f"SELECT {columns} FROM {TABLE} WHERE batch_id = %s AND sent_at IS NOT NULL AND {_FINITE[vendor]}"
    sql = f"WITH timed AS ({timed}), {ranked} {answers}"
    with connection.cursor() as cursor:
        cursor.execute(sql, [batch_id if vendor == "postgresql" else batch_id.hex])
        return {name: (int(number or 0), [*percentiles]) for name, number, *percentiles in cursor.fetchall()}


def percentiles(values: Sequence[int]) -> list[int | None]:
    """Return the percentiles of values at hand by the same rule; None for each without values."""
    ordered = sorted(values)
    return [ordered[max(0, -(-percent * len(ordered) // 100) - 1)] if ordered else None for percent in PERCENTILES]
