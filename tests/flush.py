"""Emptying the database after a test that committed: only tables that have rows, and without making Django's permissions anew.

Django's own way truncates every table there is and asks all apps to make their rows again: a quarter of a second on PostgreSQL, a
thousand times in a run.
"""

from functools import cache
from typing import Any

from django.db import connections, transaction
from django.test import TransactionTestCase

KEPT = {"django_migrations", "django_content_type", "auth_permission"}  # made by the migrations and never changed
MAX_ROWS = 2_000  # more are faster truncated


@cache
def own_tables(alias: str) -> list[str]:
    """Return the tables whose rows tests make."""
    connection = connections[alias]
    return sorted(set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - KEPT)


def empty(alias: str) -> None:
    """Remove all rows that tests have made."""
    connection = connections[alias]
    tables = own_tables(alias)
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        quoted = [connection.ops.quote_name(table) for table in tables]
        counts = " UNION ALL ".join(f"SELECT count(*) FROM (SELECT 1 FROM {name} LIMIT {MAX_ROWS}) AS found" for name in quoted)
        cursor.execute(counts)
        filled = [(name, number) for name, (number,) in zip(quoted, cursor.fetchall(), strict=True) if number]
        if connection.vendor == "postgresql":
            if large := [name for name, number in filled if number == MAX_ROWS]:
                cursor.execute(f"TRUNCATE {', '.join(large)} CASCADE")
            cursor.execute("SET LOCAL session_replication_role = replica")  # in any order
        else:
            cursor.execute("PRAGMA defer_foreign_keys = ON")
        for name, _number in filled:
            cursor.execute(f"DELETE FROM {name}")


def _teardown(case: Any) -> None:
    for alias in case._databases_names(include_mirrors=False):
        empty(alias)


def install() -> None:
    """Have Django empty the database in this way."""
    TransactionTestCase._fixture_teardown = _teardown  # type: ignore[attr-defined]
