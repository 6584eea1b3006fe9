"""A scene that is made once and put back for the tests that follow: making it takes seconds, and putting its rows back a tenth of one."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from psycopg import sql

from configcenter import hot
from configcenter.hot import Applied
from posthaste.lib import redis
from tests.flush import own_tables

#: Then it is made anew: what "is due in 40 s" would be long overdue.
MAX_AGE_SECONDS = 120.0
COLUMNS = """
SELECT table_name, array_agg(column_name::text) FROM information_schema.columns
WHERE table_schema = current_schema() AND is_generated = 'NEVER' GROUP BY table_name
"""


def can_be_put_back() -> bool:
    """Return whether the database gives out rows as it takes them in."""
    return connection.vendor == "postgresql"


def entries() -> dict[bytes, tuple[int, bytes]]:
    """Return what is in Redis, by key: the milliseconds it has left, 0 for ever, and its value."""
    client: Any = redis.client()
    keys = list(client.scan_iter(count=1_000))
    with client.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.pttl(key)
            pipeline.dump(key)
        found = pipeline.execute()
    values = zip(keys, found[::2], found[1::2], strict=True)
    return {key: (max(left, 0), value) for key, left, value in values if value is not None}


def filled() -> Iterator[tuple[sql.Composed, sql.Composed]]:
    """Yield how the rows of each table are read and written, of those that have any."""
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS)
        columns = dict(cursor.fetchall())
        for table in own_tables(connection.alias):
            name = sql.Identifier(table)
            cursor.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(name))
            if cursor.fetchone():
                named = sql.SQL(", ").join(map(sql.Identifier, columns[table]))
                read = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(named, name)
                yield read, sql.SQL("COPY {} ({}) FROM STDIN").format(name, named)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a scene has left: rows, entries of Redis, and the configuration in force in this process."""

    rows: list[tuple[sql.Composed, bytes]]
    in_redis: dict[bytes, tuple[int, bytes]]
    modules: list[tuple[hot.Handle[Any], Applied[Any]]]
    at: float = field(default_factory=time.monotonic)

    @classmethod
    def since(cls, before: dict[bytes, tuple[int, bytes]]) -> "Remembered":
        """Take all rows, and what is in Redis other than before."""
        rows = []
        with connection.cursor() as cursor:
            for read, write in filled():
                with cursor.copy(read) as copy:
                    rows.append((write, b"".join(map(bytes, copy))))
        changed = {key: entry for key, entry in entries().items() if before.get(key, (0, b""))[1] != entry[1]}
        return cls(rows, changed, [(handle, handle.now) for handle in hot.modules()])

    def is_fresh(self) -> bool:
        """Return whether its times are still about right."""
        return time.monotonic() - self.at < MAX_AGE_SECONDS

    def put_back(self) -> None:
        """Bring an empty database and this process to where the scene left them."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")  # in any order, and no trigger acts a second time
            for write, text in self.rows:
                with cursor.copy(write) as copy:
                    copy.write(text)
        client: Any = redis.client()
        with client.pipeline(transaction=False) as pipeline:
            for key, (left, value) in self.in_redis.items():
                pipeline.restore(key, left, value, replace=True)
            pipeline.execute()
        for handle, applied in self.modules:
            handle.swap(applied)
