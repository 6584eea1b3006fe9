"""Counts of messages by batch and by hour, kept up by triggers on PostgreSQL; see `messaging.models.tally`.

One trigger a statement, not a row: a statement that moves a hundred messages adds a handful of rows. Measured on the partitioned
table with the statements of `benchmarks.update_cost`, CPU ms of PostgreSQL for a thousand messages from accepted to sent: 105
without and 111 with the triggers in batches, 117 and 131 when 32 are accepted at a time.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import migrations, models

# As `messaging.tallies.bucket_of`: exact below 128 ms, then 64 steps to the next power of two.
LATENCY = "latency_ms"
BUCKET = (
    f"CASE WHEN {LATENCY} IS NULL THEN -1 WHEN {LATENCY} < 128 THEN {LATENCY} "
    + " ".join(f"WHEN {LATENCY} < {128 << k} THEN {64 * k} + ({LATENCY} >> {k})" for k in range(1, 24))
    + f" ELSE {64 * 24} + ({LATENCY} >> 24) END"
)
COLUMNS = "batch_id, hour, tenant_id, channel, status, bucket, number"
ROWS = (
    "SELECT COALESCE(batch_id, '00000000-0000-0000-0000-000000000000') AS batch_id, date_trunc('hour', created_at, 'UTC') AS hour, "
    f"tenant_id, channel, status, {BUCKET} AS bucket, {{sign}} AS n FROM {{table}}"
)
SUMS = """
INSERT INTO {target} ({columns})
SELECT CASE WHEN GROUPING(batch_id) = 0 THEN batch_id ELSE '00000000-0000-0000-0000-000000000000' END,
    COALESCE(hour, '1970-01-01 00:00:00+00'), COALESCE(tenant_id, 0), COALESCE(channel, ''), COALESCE(status, ''), COALESCE(bucket, -1),
    sum(n)
FROM ({rows}) AS changed
GROUP BY GROUPING SETS ((batch_id, status), (tenant_id, hour, channel, status), (tenant_id, hour, bucket))
HAVING sum(n) <> 0 AND (GROUPING(batch_id) = 1 OR batch_id <> '00000000-0000-0000-0000-000000000000')
    AND (GROUPING(bucket) = 1 OR bucket >= 0)
"""


def _sums(target: str, *sources: tuple[str, int]) -> str:
    rows = " UNION ALL ".join(ROWS.format(table=table, sign=sign) for table, sign in sources)
    return SUMS.format(target=target, columns=COLUMNS, rows=rows)


FUNCTION = f"""
CREATE FUNCTION messaging_tally_messages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN {_sums("messaging_tallychange", ("new_rows", 1))};
    ELSIF TG_OP = 'UPDATE' THEN {_sums("messaging_tallychange", ("new_rows", 1), ("old_rows", -1))};
    ELSIF TG_OP = 'DELETE' THEN {_sums("messaging_tallychange", ("old_rows", -1))};
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


def count_from_now_on(apps: Any, schema_editor: Any) -> None:
    """The triggers keep writers away until the end of the migration, so the first count misses nothing."""
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(FUNCTION)
        for event, tables in TRANSITIONS.items():
            cursor.execute(
                f"CREATE TRIGGER messaging_tally_{event.lower()} AFTER {event} ON messaging_message {tables} "
                "FOR EACH STATEMENT EXECUTE FUNCTION messaging_tally_messages()"
            )
        cursor.execute(_sums("messaging_tally", ("messaging_message", 1)))
        # Rows come and go all the time: swept by their number.
        for table in ("messaging_tallychange", "messaging_tally"):
            cursor.execute(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000)")


def stop_counting(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        for event in TRANSITIONS:
            cursor.execute(f"DROP TRIGGER messaging_tally_{event.lower()} ON messaging_message")
        cursor.execute("DROP FUNCTION messaging_tally_messages()")


class Migration(migrations.Migration):
    dependencies = [("messaging", "0003_index_predicates")]

    operations = [
        migrations.CreateModel(
            name="TallyChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("batch_id", models.UUIDField(default=UUID(int=0))),
                ("hour", models.DateTimeField(default=datetime(1970, 1, 1, tzinfo=UTC))),
                ("tenant_id", models.BigIntegerField(default=0)),
                ("channel", models.CharField(default="", max_length=10)),
                ("status", models.CharField(default="", max_length=10)),
                ("bucket", models.SmallIntegerField(default=-1)),
                ("number", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("batch_id", models.UUIDField(default=UUID(int=0))),
                ("hour", models.DateTimeField(default=datetime(1970, 1, 1, tzinfo=UTC))),
                ("tenant_id", models.BigIntegerField(default=0)),
                ("channel", models.CharField(default="", max_length=10)),
                ("status", models.CharField(default="", max_length=10)),
                ("bucket", models.SmallIntegerField(default=-1)),
                ("number", models.BigIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("batch_id", "hour", "tenant_id", "channel", "status", "bucket"), name="tally_once_a_key"
                    )
                ],
            },
        ),
        migrations.RunPython(count_from_now_on, stop_counting),
    ]
