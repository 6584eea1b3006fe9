"""A report as a table for a file: its headings with their units, and its rows."""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from routing.desk.reports.report import COLUMNS, By, Report


def heads(by: By) -> list[str]:
    """Return the headings of the file; times are in seconds there."""
    units = {"seconds": _("s"), "percent": "%"}
    named = [f"{column.title} ({units[column.form]})" if column.form in units else str(column.title) for column in COLUMNS]
    return [str(by.label), *named]


def cells(found: Report) -> Iterator[list[Any]]:
    """Yield the rows of the file, and one for all together."""
    for row in [*found.rows, found.total]:
        values = row.figures().values()
        yield [row.label, *(round(value) if isinstance(value, float) and value > 100 else value for value in values)]


def file_name(found: Report) -> str:
    """Return what the file is called, without its ending."""
    return f"desk-{found.by.value}-{found.days.first}-{found.days.last}"
