"""Labelled texts from CSV files: columns `text`, `category` and, if there is one, `language`."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation import gettext as _

TEXT, CATEGORY, LANGUAGE = "text", "category", "language"
MAX_BYTES = 50 * 1024 * 1024
MAX_ROWS = 200_000
MAX_TEXT_CHARACTERS = 4_000
MAX_CATEGORY_CHARACTERS = 80
MAX_ERRORS = 50


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line; 0: with the file."""

    line: int
    message: str


class BadFile(Exception):
    """The file can't be used; `faults` says where and why."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(
            "\n".join(_("Line {line}: {message}").format(line=f.line, message=f.message) if f.line else f.message for f in faults)
        )
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled text, and the line of the file on which it begins."""

    line: int
    text: str
    category: str
    language: str = ""
    part: str = ""


def read_file(path: Path) -> list[Row]:
    """Return the rows of a file.

    Raises:
        BadFile: it can't be read, or something in it is wrong.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadFile([Fault(0, _("{file} is larger than {most} MB. Split it.").format(file=path.name, most=MAX_BYTES >> 20))])
        content = path.read_bytes()
    except OSError as error:
        raise BadFile([Fault(0, _("{file} can't be read: {reason}").format(file=path.name, reason=error.strerror or error))]) from error
    return read(content)


def read(content: bytes) -> list[Row]:
    """Return the rows of a CSV file in UTF-8, with or without a byte order mark; texts in quotes may have several lines.

    Raises:
        BadFile: something is wrong; up to fifty faults are told at once.
    """
    if len(content) > MAX_BYTES:
        raise BadFile([Fault(0, _("The file is larger than {most} MB. Split it.").format(most=MAX_BYTES >> 20))])
    try:
        decoded = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadFile([Fault(line, _("This is not UTF-8. Save the file as “CSV UTF-8”."))]) from error
    faults: list[Fault] = []
    rows: list[Row] = []
    for found in _lines(decoded):
        if isinstance(found, Fault):
            faults.append(found)
        else:
            rows.append(found)
        if len(faults) >= MAX_ERRORS or (faults and faults[-1].line == 0):
            break
        if len(rows) > MAX_ROWS:
            raise BadFile([Fault(0, _("The file has more than {most} rows. Split it.").format(most=MAX_ROWS))])
    if faults:
        raise BadFile(faults)
    if not rows:
        raise BadFile([Fault(0, _("The file has no rows below its heading."))])
    return rows


def _lines(decoded: str) -> Iterator[Row | Fault]:
    reader = csv.reader(io.StringIO(decoded, newline=""), strict=True)
    columns: dict[str, int] = {}
    line = 1
    try:
        for cells in reader:
            begins, line = line, reader.line_num + 1
            if not columns:
                columns = {name.strip().lower(): number for number, name in enumerate(cells)}
                if missing := [name for name in (TEXT, CATEGORY) if name not in columns]:
                    yield Fault(
                        1, _("The first line must name the columns text and category; missing: {names}.").format(names=", ".join(missing))
                    )
                    return
            elif any(map(str.strip, cells)):
                yield _row(begins, cells, columns)
    except csv.Error as error:
        yield Fault(line, _("This is not CSV ({reason}). Is a quote missing?").format(reason=error))


def _row(line: int, cells: list[str], columns: dict[str, int]) -> Row | Fault:
    if len(cells) != len(columns):
        return Fault(
            line,
            _("There are {number} cells instead of {wanted}. A text with a comma needs quotes.").format(
                number=len(cells), wanted=len(columns)
            ),
        )

    def cell(name: str) -> str:
        return cells[columns[name]].strip() if name in columns else ""

    text, category = cell(TEXT), cell(CATEGORY)
    if not text:
        return Fault(line, _("The text is empty."))
    if not category:
        return Fault(line, _("The category is empty. Write oos for a text that belongs to no intent."))
    if len(text) > MAX_TEXT_CHARACTERS:
        return Fault(
            line, _("The text has {number} characters; at most {most} are allowed.").format(number=len(text), most=MAX_TEXT_CHARACTERS)
        )
    if len(category) > MAX_CATEGORY_CHARACTERS:
        return Fault(
            line,
            _("The category has {number} characters; at most {most} are allowed.").format(
                number=len(category), most=MAX_CATEGORY_CHARACTERS
            ),
        )
    if "\x00" in text or "\x00" in category:
        return Fault(line, _("There is a NUL character."))
    return Row(line, text, category, cell(LANGUAGE).lower(), cell("part"))
