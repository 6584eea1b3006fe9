"""Reading the columns of a claimed row as the drivers return them: strictly, so that what can't be read is noticed."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from messaging.storage.unreadable import Unreadable

JSON = ("variables", "metadata")
TIMES = ("created_at", "due_at", "expires_at", "claimed_at")


def json_object(text: Any) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        Unreadable: it is another kind of JSON value.
        ValueError: it is no JSON.
    """
    if text == "{}":
        return {}
    value = orjson.loads(text)
    if type(value) is not dict:
        raise Unreadable
    return value


def _time(value: str) -> datetime:
    found = datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


_READERS: dict[str, Callable[[Any], Any]] = {
    "id": lambda value: value if isinstance(value, UUID) else UUID(value),
    "is_sandbox": bool,
    **dict.fromkeys(JSON, json_object),
    **dict.fromkeys(TIMES, _time),
}


def as_texts(names: Sequence[str]) -> tuple[str, ...]:
    """Return columns as SQLite must be asked for them: its driver would read a text that is no time as None."""
    return tuple(f"CAST({name} AS TEXT)" if name in TIMES else name for name in names)


def from_texts(names: Sequence[str], row: Sequence[Any]) -> list[Any]:
    """Read a row of `as_texts`: texts and numbers.

    Raises:
        ValueError, TypeError: a column can't be read.
    """
    return [_READERS[name](value) if name in _READERS and value is not None else value for name, value in zip(names, row, strict=True)]
