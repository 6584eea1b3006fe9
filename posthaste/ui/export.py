"""Tables as CSV: streamed, readable by a spreadsheet, and safe to open in one."""

import csv
import html
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.http import StreamingHttpResponse
from django.utils import translation
from django.utils.html import strip_tags
from django.utils.safestring import SafeString

from posthaste.ui.templatetags.interface import NOTHING

#: What a spreadsheet takes for the beginning of a formula. https://owasp.org/www-community/attacks/CSV_Injection
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
BYTE_ORDER_MARK = "\ufeff"  # without it Excel reads UTF-8 as the code page of its system
_TIME = re.compile(r'<time[^>]*\bdatetime="([^"]*)"[^>]*>.*?</time>', re.DOTALL)
_BUTTON = re.compile(r"<(button|svg)\b.*?</\1>", re.DOTALL)


class _Line:
    """A file that hands back what is written to it, for the csv module."""

    def write(self, text: str) -> str:
        return text


def plain(value: Any) -> str:
    """Return a cell of a page as text: markup is left out, a time is written in ISO 8601."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    text = str(value)
    if isinstance(value, SafeString):
        text = _BUTTON.sub("", _TIME.sub(r" \1 ", text)).replace("<", " <")
        text = " ".join(html.unescape(strip_tags(text)).split())
    return "" if text == NOTHING else text


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def as_written(text: str) -> str:
    """Return a cell of such a file, which comes back, as it was before `harmless`."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def _lines(heads: Sequence[Any], rows: Iterable[Sequence[Any]], language: str) -> Iterator[str]:
    writer: Any = csv.writer(_Line())
    with translation.override(language):  # the response is written after the middleware has ended
        yield BYTE_ORDER_MARK + writer.writerow([harmless(plain(head)) for head in heads])
        for row in rows:
            yield writer.writerow([harmless(plain(cell)) for cell in row])


def as_text(*, heads: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table as the text of a file, for one that is small."""
    return "".join(_lines(heads, rows, translation.get_language() or "en"))


def as_csv(*, name: str, heads: Sequence[Any], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    """Return a table as a file to keep, which is written while it is read."""
    lines = _lines(heads, rows, translation.get_language() or "en")
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    response["Cache-Control"] = "no-store"
    return response
