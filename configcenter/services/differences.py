"""How two texts of an item differ, for the audit trail: as names of fields where they are JSON, else as numbers of lines."""

from collections import Counter
from functools import lru_cache
from typing import Any

import orjson

from configcenter.services.validation import path_of

MAX_FIELDS = 50
MAX_FIELD_LENGTH = 200
_MISSING = object()
#: The way to a value from its outermost object: the way to what holds it, and its name there.
_Path = tuple[Any, int | str] | None


def _name(path: _Path) -> str:
    parts: list[int | str] = []
    while path is not None:
        path, part = path
        parts.append(part)
    return path_of(reversed(parts))[:MAX_FIELD_LENGTH]


def _inner(value: Any) -> dict[Any, Any]:
    if isinstance(value, list):
        return dict(enumerate(value))
    return value if isinstance(value, dict) else {}


def _changed(before: Any, after: Any) -> list[_Path]:
    """Return the ways to the values that differ. Both sides are walked once, however deep they are."""
    found: list[_Path] = []
    waiting: list[tuple[_Path, Any, Any]] = [(None, before, after)]
    while waiting:
        path, old, new = waiting.pop()
        old_inner, new_inner = _inner(old), _inner(new)
        if path is not None and (_MISSING if old_inner else old) != (_MISSING if new_inner else new):
            found.append(path)
        for name in reversed(old_inner | new_inner):
            waiting.append(((path, name), old_inner.get(name, _MISSING), new_inner.get(name, _MISSING)))
    return found


@lru_cache(maxsize=8)
def summary(before: str, after: str) -> dict[str, Any]:
    """Return the changed field names for the audit trail. Values are left out because they may be secret.

    The last few results are remembered, so that a caller can do the work before it takes a lock.
    """
    if before == after:
        return {"changed": []}
    try:
        found = _changed(orjson.loads(before or "{}"), orjson.loads(after or "{}"))
    except orjson.JSONDecodeError:
        old, new = Counter(before.splitlines()), Counter(after.splitlines())
        return {"lines_added": (new - old).total(), "lines_removed": (old - new).total()}
    named = {"changed": sorted(_name(path) for path in found[:MAX_FIELDS])}
    return {**named, **({"changed_in_all": len(found)} if len(found) > MAX_FIELDS else {})}
