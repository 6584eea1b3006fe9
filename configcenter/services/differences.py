"""How two texts differ: as lines for people, as names of fields for the audit trail."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from configcenter.services.validation import path_of

MAX_FIELDS = 50
CONTEXT_LINES = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a comparison, with its number on either side; `gap` marks equal lines that are left out."""

    kind: Literal["same", "removed", "added", "gap"]
    text: str
    before: int | None = None
    after: int | None = None


def diff(before: str, after: str, *, context: int = CONTEXT_LINES) -> list[Line]:
    """Return the lines that differ, with `context` equal lines around them; nothing where the texts are equal."""
    old, new = before.splitlines(), after.splitlines()
    lines: list[Line] = []
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(context):
        if lines or group[0][1] or group[0][3]:
            lines.append(Line("gap", ""))
        for kind, first, last, new_first, new_last in group:
            if kind == "equal":
                lines += [Line("same", old[n], n + 1, new_first + n - first + 1) for n in range(first, last)]
                continue
            lines += [Line("removed", old[n], n + 1, None) for n in range(first, last)]
            lines += [Line("added", new[n], None, n + 1) for n in range(new_first, new_last)]
    return lines


def _leaves(value: Any, path: tuple[int | str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*path, str(name)))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, index))
    else:
        yield path_of(path), value


def changed_fields(before: str, after: str) -> list[str] | None:
    """Name the fields in which two JSON texts differ; None where one is no JSON."""
    try:
        old, new = (dict(_leaves(orjson.loads(text or "{}"))) for text in (before, after))
    except orjson.JSONDecodeError:
        return None
    missing = object()
    return sorted(name for name in old.keys() | new.keys() if name and old.get(name, missing) != new.get(name, missing))


def summary(before: str, after: str) -> dict[str, Any]:
    """Return the changed field names for the audit trail. Values are left out because they may be secret."""
    fields = changed_fields(before, after)
    if fields is None:
        lines = diff(before, after, context=0)
        return {"lines_added": sum(x.kind == "added" for x in lines), "lines_removed": sum(x.kind == "removed" for x in lines)}
    return {"changed": fields[:MAX_FIELDS], **({"changed_in_all": len(fields)} if len(fields) > MAX_FIELDS else {})}
