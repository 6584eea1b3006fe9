"""What is wrong with a body that should be JSON, or with how it is declared, in words for its author."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from posthaste.lib.problems import Malformed, NotAcceptable, UnsupportedType

JSON = "application/json"
#: Objects and arrays inside one another. Programs call themselves once a level, and orjson writes no more than 254.
MAX_DEPTH = 200
#: msgspec's words about broken JSON, by how they begin, in ours.
REASONS = {
    "object keys": gettext_noop("names must be in double quotes"),
    "trailing comma": gettext_noop("a comma after the last entry"),
    "trailing characters": gettext_noop("more text after the end"),
    "invalid number": gettext_noop("not a number"),
    "invalid character in unicode": gettext_noop("an invalid escape sequence"),
    "invalid character": gettext_noop("an unexpected character"),
    **dict.fromkeys(("invalid esc", "invalid utf-16", "unexpected end"), gettext_noop("an invalid escape sequence")),
}
_MALFORMED = re.compile(r"JSON is malformed: (?P<reason>.+) \(byte (?P<byte>\d+)\)")
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # not the text backslash-u0000, whose backslash is escaped itself


def refuse_nul(body: bytes) -> None:
    """Refuse JSON with the character NUL, which PostgreSQL stores nowhere.

    Raises:
        Malformed: it is there.
    """
    if b"\0" in body or (b"\\u0000" in body and _ESCAPED_NUL.search(body)):
        raise Malformed(_("The character NUL can't be stored; remove it."))


def is_deep(value: Any) -> bool:
    """Return whether objects and arrays nest deeper than `MAX_DEPTH` in a value of JSON."""
    level, depth = [value], 0
    while level := [inner for outer in level for inner in _parts(outer) if isinstance(inner, dict | list)]:
        depth += 1
        if depth >= MAX_DEPTH:
            return True
    return False


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def refuse_deep(body: bytes, value: Any) -> None:
    """Refuse the value of a body that nests so deep that it could not be written again.

    Raises:
        Malformed: It does.
    """
    # Few bodies have so many objects and arrays that they may.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and is_deep(value):
        raise Malformed(_("The JSON is nested too deeply."))


def why_malformed(body: bytes | str) -> str:
    """Return what is wrong with a text that is not JSON, and where."""
    try:
        msgspec.json.decode(body)
    except RecursionError:
        return _("The JSON is nested too deeply.")
    except UnicodeError:
        return _("The JSON is not valid UTF-8.")
    except msgspec.DecodeError as error:
        if found := _MALFORMED.fullmatch(str(error)):
            return _("Not valid JSON at byte {n}: {reason}.").format(n=found["byte"], reason=_reason(found["reason"]))
        if not isinstance(error, msgspec.ValidationError):
            return _("The JSON ends too early.")
    return _("The JSON holds a value that is not supported.")  # half a surrogate pair, a number beyond all bounds


def _reason(reason: str) -> str:
    if reason.startswith("expected "):
        return _("{characters} expected").format(characters=reason.removeprefix("expected ").replace(" or ", " "))
    return _(next((said for begin, said in REASONS.items() if reason.startswith(begin)), reason))


def not_acceptable() -> NotAcceptable:
    """Return the problem of a caller who does not accept JSON."""
    return NotAcceptable(_("Send the header 'Accept: application/json', or no Accept header."))


def wrong_type() -> UnsupportedType:
    """Return the problem of a body that is not declared as JSON."""
    return UnsupportedType(_("Send the header 'Content-Type: application/json'."), headers={"Accept": JSON})
