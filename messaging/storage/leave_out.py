"""Rows for those who only look: what can't be read is left out and counted, and nothing is written.

`messaging.storage.unreadable` repairs such rows. A replay of drafts changes nothing, so it goes round them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connection, models
from django.db.models.expressions import RawSQL

from messaging.storage import unreadable

ROWS_A_PAGE = 5_000


class Reading:
    """The values of some columns, in the order of the ids, a page in memory at a time.

    `left_out` is the number of rows so far that could not be read, or whose values the code can't work with. A row counts only
    by the columns that are asked for.
    """

    def __init__(self, rows: "models.QuerySet[Any]", fields: Sequence[str]) -> None:
        self.left_out = 0
        self._rows = rows.annotate(row_key=_key(rows.model)).order_by("pk")
        self._fields = tuple(fields)
        columns = {field.name: field for field in rows.model._meta.concrete_fields} | {
            field.attname: field for field in rows.model._meta.concrete_fields
        }
        self._checked = [(place, columns[name]) for place, name in enumerate(self._fields, 1) if name in columns]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        page = self._rows[:ROWS_A_PAGE]
        while True:
            last, number = None, 0
            for row in self._read(page):
                last, number = row[0], number + 1
                if len(row) > 1:
                    yield row[1:]
            if number < ROWS_A_PAGE:
                return
            page = self._rows.filter(row_key__gt=last)[:ROWS_A_PAGE]

    def _read(self, page: "models.QuerySet[Any]") -> Iterator[tuple[Any, ...]]:
        """Return the key and the values of each row, or its key alone where it is left out."""
        try:
            return iter(self._values(page))
        except Exception as error:
            if not unreadable.may_be_a_rows_fault(error):
                raise
        keys = [key for (key,) in page.values_list("row_key")]
        return self._halves(keys)

    def _halves(self, keys: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        try:
            found = self._values(self._rows.filter(row_key__in=keys))
        except Exception as error:
            if not unreadable.may_be_a_rows_fault(error):
                raise
            if len(keys) == 1:
                self.left_out += 1
                yield (keys[0],)
                return
            middle = len(keys) // 2
            yield from self._halves(keys[:middle])
            yield from self._halves(keys[middle:])
        else:
            yield from found

    def _values(self, rows: "models.QuerySet[Any]") -> list[tuple[Any, ...]]:
        found = list(rows.values_list("row_key", *self._fields))
        for row in found:
            for place, field in self._checked:
                unreadable.check_value(field, row[place])
        return found


def _key(model: type[models.Model]) -> Any:
    """Return a row's id as the database has it: SQLite's may be a text that is no UUID."""
    if connection.vendor == "sqlite":
        column = f'"{model._meta.db_table}"."{model._meta.pk.column}"'
        return RawSQL(column, [], output_field=models.TextField())  # noqa: S611  no input in it
    return models.F("pk")
