"""Days of a calendar in a file that staff send: a table (CSV) or a calendar (ICS), in UTF-8, UTF-16 or GB18030.

A table has a line for each day: its date, and if you like a name, a kind (holiday or working day), and opening hours. Its columns are found
by their names, in English or Chinese; without such a line they are in this order. A date begins with its year, as all others are read in
two ways somewhere.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.utils.translation import gettext as _

from posthaste.lib.control_characters import find_control
from posthaste.lib.dates import is_day_in_range
from posthaste.lib.problems import Invalid
from posthaste.ui.export import as_written
from routing.calendars import periods
from routing.calendars.holiday_data import MAX_NAME
from routing.models import DayKind

MAX_BYTES = 1024 * 1024
MAX_ROWS = 2_000
COLUMNS = ("date", "name", "kind", "hours")
HEADS = {
    "date": "date", "day": "date", "日期": "date", "日": "date",
    "name": "name", "title": "name", "holiday name": "name", "名称": "name", "节日": "name", "备注": "name",
    "kind": "kind", "type": "kind", "类型": "kind", "种类": "kind",
    "hours": "hours", "opening hours": "hours", "时间": "hours", "工作时间": "hours", "营业时间": "hours",
}  # fmt: skip
KINDS = {
    "": DayKind.HOLIDAY, "holiday": DayKind.HOLIDAY, "closed": DayKind.HOLIDAY, "off": DayKind.HOLIDAY,
    "休": DayKind.HOLIDAY, "休息": DayKind.HOLIDAY, "放假": DayKind.HOLIDAY, "假日": DayKind.HOLIDAY, "节假日": DayKind.HOLIDAY,
    "working": DayKind.WORKING, "working day": DayKind.WORKING, "workday": DayKind.WORKING, "work": DayKind.WORKING,
    "make-up working day": DayKind.WORKING, "班": DayKind.WORKING, "上班": DayKind.WORKING, "补班": DayKind.WORKING,
    "工作日": DayKind.WORKING, "调休": DayKind.WORKING, "调休上班": DayKind.WORKING, "调休工作日": DayKind.WORKING,
}  # fmt: skip
_DATE = re.compile(
    r"(\d{4})(?:-(\d{1,2})-(\d{1,2})|/(\d{1,2})/(\d{1,2})|\.(\d{1,2})\.(\d{1,2})|年(\d{1,2})月(\d{1,2})[日号]?|(\d{2})(\d{2}))", re.ASCII
)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class WrongDay(ValueError):
    """What is wrong in a line, in the reader's language."""


@dataclass(frozen=True, slots=True)
class FileDay:
    """A day that a file has, and the line where it stands."""

    day: date
    kind: DayKind
    name: str
    hours: list[list[str]] = field(default_factory=list)
    line: int = 0

    @property
    def periods(self) -> str:
        """Its hours as people write them."""
        return periods.written(self.hours)


class Faults:
    """What is wrong in a file, by its lines."""

    def __init__(self) -> None:
        self._found: list[dict[str, Any]] = []

    def add(self, line: int, message: str) -> None:
        """Note what is wrong in a line."""
        self._found.append({"field": f"line {line}" if line else "file", "code": "invalid", "message": message})

    def refuse(self) -> None:
        """Refuse the file if anything is wrong in it.

        Raises:
            Invalid: naming the lines.
        """
        if self._found:
            raise Invalid(errors=self._found)


def text_of(content: bytes) -> str:
    """Return what a file says.

    Raises:
        Invalid: it is too large, or in none of the encodings.
    """
    if len(content) > MAX_BYTES:
        raise Invalid.field("file", _("The file is too large: at most {n} MB.").format(n=MAX_BYTES // 1024 // 1024), "too_large")
    marked = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "")
    for encoding in (marked,) if marked else ("utf-8", "gb18030"):
        try:
            return content.decode(encoding).removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
    raise Invalid.field("file", _("The file is neither UTF-8 nor GB18030. Save it as CSV UTF-8."))


def read_table(text: str) -> list[FileDay]:
    """Return the days of a table, in order.

    Raises:
        Invalid: it is no table, or lines are wrong; each error names its line.
    """
    faults, found = Faults(), dict[date, FileDay]()
    for line, cells in _rows(text):
        try:
            one = _day(line, cells)
        except ValueError as error:
            faults.add(line, str(error))
            continue
        if one.day in found:
            faults.add(line, _("The same date as in line {line}. Remove one of them.").format(line=found[one.day].line))
        else:
            found[one.day] = one
    faults.refuse()
    if not found:
        raise Invalid.field("file", _("There is no day in the file. Write one in each line, such as 2027-01-01,New Year."))
    return sorted(found.values(), key=lambda each: each.day)


def _rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the cells of each line that is not empty, by column."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    columns: list[str] | None = None
    number = 0
    try:
        for cells in reader:
            values = [as_written(cell).strip() for cell in cells]
            if not any(values):
                continue
            if columns is None:
                columns = _columns(values)
                if columns is None:
                    columns = list(COLUMNS)
                else:
                    continue
            number += 1
            if number > MAX_ROWS:
                raise Invalid.field("file", _("At most {n} rows.").format(n=MAX_ROWS), "too_many")
            yield reader.line_num, dict(zip(columns, values, strict=False))
    except csv.Error as error:
        raise Invalid.field("file", _("This is no CSV file: {error}.").format(error=error)) from None


def _delimiter(text: str) -> str:
    """Return what separates the cells: a comma, or what spreadsheets write in some languages."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=first.count)


def _columns(heads: Iterable[str]) -> list[str] | None:
    """Return the columns that a line names; None: it names no date, so it is a day already."""
    known = [HEADS.get(head.casefold(), "") for head in heads]
    return known if "date" in known else None


def _day(line: int, cells: dict[str, str]) -> FileDay:
    """Return the day of a line.

    Raises:
        WrongDay: with what is wrong, in the reader's language.
    """
    kind = KINDS.get(cells.get("kind", "").casefold())
    if kind is None:
        raise WrongDay(_("“{text}” is no kind of day. Write holiday or working.").format(text=cells["kind"][:MAX_NAME]))
    hours = sorted(periods.read(cells.get("hours", "")))
    if hours and kind == DayKind.HOLIDAY:
        raise WrongDay(_("A holiday has no hours. If it is worked then, its kind is working."))
    return FileDay(day_in(cells.get("date", "")), kind, name_in(cells.get("name", "")), hours, line)


def day_in(text: str) -> date:
    """Return the date that a text is: 2027-01-02, 2027/1/2, 2027.1.2, 20270102 or 2027年1月2日.

    Raises:
        WrongDay: it is none of them.
    """
    match = _DATE.fullmatch(text.strip())
    if match is not None:
        year, month, day = (int(part) for part in match.groups() if part is not None)
        try:
            found = date(year, month, day)
        except ValueError:
            found = date.min
        if is_day_in_range(found):
            return found
    raise WrongDay(_("“{text}” is no date. Write it with the year first, such as 2027-01-02.").format(text=text[:40]))


def name_in(text: str) -> str:
    """Return the name of a day.

    Raises:
        WrongDay: it is too long, or has characters that are not shown.
    """
    name = " ".join(text.split())
    if len(name) > MAX_NAME:
        raise WrongDay(_("The name has at most {n} characters.").format(n=MAX_NAME))
    if find_control(name):
        raise WrongDay(_("The name has a character that can't be shown. Write it again."))
    return name
