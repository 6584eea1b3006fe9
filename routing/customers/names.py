"""Customers by a part of their name. On PostgreSQL an index of the parts of names answers: see the migration 0002_postgresql."""

from typing import Any

from django.db.models import BooleanField, F, Func, Q, Value


class _HasParts(Func):
    """Whether a name has all characters, or pairs of them, of a text: what the index can tell. True where there is none."""

    output_field = BooleanField()
    arity = 2

    def as_sql(self, compiler: Any, connection: Any, **_context: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        return "1 = 1", []

    def as_postgresql(self, compiler: Any, connection: Any, **_context: Any) -> tuple[str, list[Any]]:
        (name, none), (part, text) = (compiler.compile(source) for source in self.get_source_expressions())
        searched = f"routing_name_parts({part}::text, LEAST(2, length({part}::text)))"
        return f"routing_name_parts({name}, 1) @> {searched}", [*none, *text, *text]


def has_part(part: str) -> Q:
    """Return the condition for customers whose name has a part, in capitals or not."""
    return Q(name__icontains=part) & Q(_HasParts(F("name"), Value(part)))
