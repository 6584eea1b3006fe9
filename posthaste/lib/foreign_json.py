"""JSON that other systems write: the answers and callbacks of providers, read without losing a digit.

orjson reads an integer of more than 64 bits as a float, so the id 123456789012345678901234 would become 1.2345678901234568e+23.
It refuses half a surrogate pair, which a gateway sends when it cuts a text in the middle of an emoji. Both are read here.
"""

import json
import re
from typing import Any

import orjson

_MAY_EXCEED_64_BITS = re.compile(rb"[0-9]{19}")
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
#: Python converts no longer integer (`sys.set_int_max_str_digits`); one of that length stays a text.
MAX_DIGITS = 4_000


def loads(body: bytes) -> Any:
    """Return the JSON of a body, its integers exact.

    Raises:
        ValueError: It is not JSON, or nested too deeply.
    """
    has_half_pairs = _HALF_PAIR.search(body) is not None
    if not has_half_pairs and not _MAY_EXCEED_64_BITS.search(body):
        return orjson.loads(body)
    try:
        data = json.loads(body.decode(), parse_int=_integer, parse_constant=_no_constant)
        return _whole_characters(data) if has_half_pairs else data
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dumps(value: Any) -> str:
    """Return a value that `loads` gave as JSON."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_DIGITS else digits


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _whole_characters(value: Any) -> Any:
    """Return JSON with a replacement character for each half of a surrogate pair, which no text in UTF-8 holds."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole_characters(item) for item in value]
    if isinstance(value, dict):
        return {_whole_characters(name): _whole_characters(item) for name, item in value.items()}
    return value
