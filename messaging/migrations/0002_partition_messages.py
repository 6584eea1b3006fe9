"""On PostgreSQL the message table becomes one that is partitioned by day; its rows are kept, not copied.

The present table becomes the first partition, for all ids up to the end of today, so the change takes as long as building
the missing indexes and no longer. On SQLite nothing happens.
"""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.db import migrations

from posthaste.lib.ids import first_id_at

TABLE = "messaging_message"
FIRST = f"{TABLE}_first"


def partition(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    tomorrow = datetime.combine(datetime.now(UTC).date() + timedelta(days=1), time(), tzinfo=UTC)
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = %s::regclass", [TABLE])
        if cursor.fetchone()[0]:
            return
        cursor.execute("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND schemaname = current_schema()", [TABLE])
        indexes = cursor.fetchall()
        cursor.execute(
            "SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN ('p', 'f')",
            [TABLE],
        )
        constraints = cursor.fetchall()
        cursor.execute(f'ALTER TABLE "{TABLE}" RENAME TO "{FIRST}"')
        for name, _definition in indexes:
            cursor.execute(f'ALTER INDEX "{name}" RENAME TO "{name[:56]}_first"')
        cursor.execute(f'CREATE TABLE "{TABLE}" (LIKE "{FIRST}" INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (id)')
        for name, kind, definition in constraints:
            if kind == "f":
                cursor.execute(f'ALTER TABLE "{FIRST}" RENAME CONSTRAINT "{name}" TO "{name[:56]}_first"')
            cursor.execute(f'ALTER TABLE "{TABLE}" ADD CONSTRAINT "{name}" {definition}')
        primary = {name for name, kind, _definition in constraints if kind == "p"}
        for name, definition in indexes:
            if name not in primary:
                cursor.execute(definition.replace(f"ON {FIRST}", f"ON {TABLE}"))
        upper = first_id_at(tomorrow)
        cursor.execute(f"ALTER TABLE \"{TABLE}\" ATTACH PARTITION \"{FIRST}\" FOR VALUES FROM (MINVALUE) TO ('{upper}')")
        cursor.execute(f'CREATE TABLE "{TABLE}_default" PARTITION OF "{TABLE}" DEFAULT')


def keep(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        raise NotImplementedError("The table stays partitioned: going back would mean copying every message. Restore a backup instead.")


class Migration(migrations.Migration):
    dependencies = [("messaging", "0001_initial")]

    operations = [migrations.RunPython(partition, keep)]
