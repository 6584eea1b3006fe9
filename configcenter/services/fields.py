"""Paths inside a value: `rules[2].per_second` or `rules.2.per_second`."""

import re
from typing import Any

import orjson
from django.utils.translation import gettext as _

from posthaste.lib.problems import Invalid

_PART = re.compile(r"\[?([^\[\].]+)\]?\.?")


def parts_of(path: str) -> list[str]:
    """Split a path into its parts.

    Raises:
        Invalid: it is not a path.
    """
    parts = _PART.findall(path)
    if not parts or "".join(parts) != re.sub(r"[\[\].]", "", path):
        raise Invalid.field(path, _("Must be a path such as rules[2].per_second."))
    return parts


def _step(value: Any, part: str, path: str) -> Any:
    """Return the key or index of one part, if it exists."""
    if isinstance(value, dict) and part in value:
        return part
    if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
        return int(part)
    raise Invalid.field(path, _("Unknown field."), "unknown")


def read(value: Any, path: str) -> Any:
    """Return the value at a path.

    Raises:
        Invalid: there is no such field.
    """
    for part in parts_of(path):
        value = value[_step(value, part, path)]
    return value


def assign(value: dict[str, Any], path: str, new: Any) -> None:
    """Set the value at a path. The index after a list's last entry appends.

    Raises:
        Invalid: there is no such field.
    """
    *before, last = parts_of(path)
    inner: Any = value
    for part in before:
        inner = inner[_step(inner, part, path)]
    if isinstance(inner, list) and last == str(len(inner)):
        inner.append(new)
    elif isinstance(inner, dict):
        inner[last] = new  # whether there is such a field is for the check to say
    else:
        inner[_step(inner, last, path)] = new


def written(text: str) -> Any:
    """Read a typed value: JSON if it parses, otherwise the text itself."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
