"""What PostgreSQL has beyond the models: the message table partitioned by day, and triggers that keep the tallies. SQLite skips it.

Partitions: see `messaging.storage.partitions`. Days are made ahead by the hourly job; a row of a day that has no partition lies in
the default one. Fill factor and indexes were chosen by measurement (`python -m benchmarks.update_cost`, 200,000 rows): 95 CPU ms of
PostgreSQL for a thousand messages from accepted to sent; fill factors 90, 70 and 50 gave 107, 95 and 98 with no heap-only update.

Tallies: see `messaging.models.tally`. One trigger a statement, not a row: a statement that moves a hundred messages adds a handful of
rows. Measured with the same benchmark: 105 CPU ms without and 111 with the triggers in batches, 117 and 131 when 32 are accepted at a time.
"""

from typing import Any

from django.db import migrations

TABLE = "messaging_message"
AUTOVACUUM = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02"

# As `messaging.storage.tallies.bucket_of`: exact below 128 ms, then 64 steps to the next power of two.
LATENCY = "latency_ms"
BUCKET = (
    f"CASE WHEN {LATENCY} IS NULL THEN -1 WHEN {LATENCY} < 128 THEN {LATENCY} "
    + " ".join(f"WHEN {LATENCY} < {128 << k} THEN {64 * k} + ({LATENCY} >> {k})" for k in range(1, 24))
    + f" ELSE {64 * 24} + ({LATENCY} >> 24) END"
)
NO_BATCH = "00000000-0000-0000-0000-000000000000"
COLUMNS = "batch_id, hour, tenant_id, channel, status, bucket, number"
ROWS = (
    f"SELECT COALESCE(batch_id, '{NO_BATCH}') AS batch_id, date_trunc('hour', created_at, 'UTC') AS hour, "
    f"tenant_id, channel, status, {BUCKET} AS bucket, {{sign}} AS n FROM {{table}}"
)
SUMS = f"""
INSERT INTO {{target}} ({COLUMNS})
SELECT CASE WHEN GROUPING(batch_id) = 0 THEN batch_id ELSE '{NO_BATCH}' END,
    COALESCE(hour, '1970-01-01 00:00:00+00'), COALESCE(tenant_id, 0), COALESCE(channel, ''), COALESCE(status, ''), COALESCE(bucket, -1),
    sum(n)
FROM ({{rows}}) AS changed
GROUP BY GROUPING SETS ((batch_id, status), (tenant_id, hour, channel, status), (tenant_id, hour, bucket))
HAVING sum(n) <> 0 AND (GROUPING(batch_id) = 1 OR batch_id <> '{NO_BATCH}')
    AND (GROUPING(bucket) = 1 OR bucket >= 0)
"""


def _sums(*sources: tuple[str, int]) -> str:
    rows = " UNION ALL ".join(ROWS.format(table=table, sign=sign) for table, sign in sources)
    return SUMS.format(target="messaging_tallychange", rows=rows)


FUNCTION = f"""
CREATE FUNCTION messaging_tally_messages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN {_sums(("new_rows", 1))};
    ELSIF TG_OP = 'UPDATE' THEN {_sums(("new_rows", 1), ("old_rows", -1))};
    ELSIF TG_OP = 'DELETE' THEN {_sums(("old_rows", -1))};
    ELSE
        DELETE FROM messaging_tallychange;
        DELETE FROM messaging_tally;
    END IF;
    RETURN NULL;
END $$
"""
TRANSITIONS = {
    "INSERT": "REFERENCING NEW TABLE AS new_rows",
    "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "REFERENCING OLD TABLE AS old_rows",
    "TRUNCATE": "",
}


def partition(apps: Any, schema_editor: Any) -> None:
    """Put a partitioned table with the same columns, constraints and indexes in place of the empty one that Django made."""
    if schema_editor.connection.vendor != "postgresql":
        return
    plain = f"{TABLE}_plain"
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname, pg_get_constraintdef(oid), contype = 'p' FROM pg_constraint WHERE conrelid = %s::regclass "
            "AND contype IN ('p', 'f')",
            [TABLE],
        )
        constraints = cursor.fetchall()
        cursor.execute("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND schemaname = current_schema()", [TABLE])
        primary = {name for name, _definition, is_primary in constraints if is_primary}
        indexes = [definition for name, definition in cursor.fetchall() if name not in primary]
        cursor.execute(f'ALTER TABLE "{TABLE}" RENAME TO "{plain}"')
        cursor.execute(f'CREATE TABLE "{TABLE}" (LIKE "{plain}" INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (id)')
        cursor.execute(f'DROP TABLE "{plain}"')
        for name, definition, _is_primary in constraints:
            cursor.execute(f'ALTER TABLE "{TABLE}" ADD CONSTRAINT "{name}" {definition}')
        for definition in indexes:
            cursor.execute(definition)
        cursor.execute(f'CREATE TABLE "{TABLE}_default" PARTITION OF "{TABLE}" DEFAULT WITH ({AUTOVACUUM})')


def keep_tallies(apps: Any, schema_editor: Any) -> None:
    """Create the triggers. Rows of the tallies come and go all the time, so they are vacuumed by their number."""
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(FUNCTION)
        for event, tables in TRANSITIONS.items():
            cursor.execute(
                f"CREATE TRIGGER messaging_tally_{event.lower()} AFTER {event} ON {TABLE} {tables} "
                "FOR EACH STATEMENT EXECUTE FUNCTION messaging_tally_messages()"
            )
        for table in ("messaging_tallychange", "messaging_tally"):
            cursor.execute(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000)")


class Migration(migrations.Migration):
    dependencies = [("messaging", "0001_initial")]

    operations = [migrations.RunPython(partition), migrations.RunPython(keep_tallies)]
