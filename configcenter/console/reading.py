"""What a page's inputs say, as the values of a module; and the buttons that add, remove and move blocks without a script."""

import re
from collections.abc import Mapping
from typing import Any

from django.http import QueryDict
from pydantic import BaseModel

from configcenter.console.form import is_optional, kind_of

#: Buttons of the page that change its blocks: the value is the path of the list, or of the block.
ADD, REMOVE, UP, DOWN = "add-block", "remove-block", "move-up", "move-down"
_KEY = re.compile(r"^\w{1,40}$")
_INDEX = re.compile(r"\[([0-9]{1,4})\]$")
_STEP = re.compile(r"(\w+)|\[([0-9]{1,4})\]")
_PATH = re.compile(r"\w+(\.\w+|\[[0-9]{1,4}\])*")
MAX_BLOCKS = 5_000


def read(model: type[BaseModel], posted: QueryDict, *, only: frozenset[str] | None = None) -> dict[str, Any]:
    """Read a posted form into plain values: numbers where there are numbers, otherwise what was typed.

    With `only` the page was one of an override: fields whose box `own:NAME` is not ticked are left out.
    """
    values, _paths = _read(model, posted, "", only)
    return values


def rearranged(model: type[BaseModel], posted: QueryDict, *, only: frozenset[str] | None = None) -> tuple[dict[str, Any], str] | None:
    """Return the values after an add, remove or move button and the block to show, or None for another button."""
    verb = next((name for name in (ADD, REMOVE, UP, DOWN) if name in posted), None)
    if verb is None:
        return None
    values, paths = _read(model, posted, "", only)
    # The keys in the page and the places in the list differ as soon as a script has moved blocks.
    asked = posted.get(verb) or ""
    target = paths.get(asked, asked)
    holder, place = _find(values, target if verb == ADD else target.rpartition("[")[0])
    if not isinstance(holder, list):
        return values, ""
    if verb == ADD:
        holder.append({})
        return values, f"{place}[{len(holder) - 1}]"
    found = _INDEX.search(target)
    if found is None or int(found[1]) >= len(holder):
        return values, ""
    index = int(found[1])
    if verb == REMOVE:
        del holder[index]
        return values, ""
    to = index + (-1 if verb == UP else 1)
    if 0 <= to < len(holder):
        holder[index], holder[to] = holder[to], holder[index]
    return values, f"{place}[{min(max(to, 0), len(holder) - 1)}]"


def _read(model: type[BaseModel], posted: QueryDict, path: str, only: frozenset[str] | None) -> tuple[dict[str, Any], dict[str, str]]:
    values, paths = _shape(model, posted, path, path)
    if only is not None:
        values = {name: value for name, value in values.items() if name in only and posted.get(f"own:{name}")}
    return values, paths


def _shape(model: type[BaseModel], posted: QueryDict, path: str, place: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values below `path` (as the page names it), and for each path of the page its path by list index."""
    values: dict[str, Any] = {}
    paths: dict[str, str] = {}
    for name, info in model.model_fields.items():
        own_path, own_place = (f"{before}.{name}" if before else name for before in (path, place))
        kind, inner = kind_of(info)
        if kind == "shape":
            values[name], below = _shape(inner, posted, own_path, own_place)
            paths |= below
        elif kind == "list":
            values[name] = []
            paths[own_path] = own_place
            keys = [key for key in dict.fromkeys(posted.getlist(f"{own_path}:order")) if _KEY.match(key)][:MAX_BLOCKS]
            for index, key in enumerate(keys):
                block_path, block_place = f"{own_path}[{key}]", f"{own_place}[{index}]"
                paths[block_path] = block_place
                block, below = _shape(inner, posted, block_path, block_place)
                values[name].append(block)
                paths |= below
        else:
            text = posted.get(own_path, "")
            is_nothing = kind == "number" and is_optional(info) and not text.strip()
            values[name] = None if is_nothing else _value(kind, inner, text)
    return values, paths


def _value(kind: str, inner: Any, text: str) -> Any:
    match kind:
        case "switch":
            return text == "on"
        case "number":
            return _number(inner, text)
        case "lines":
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            return [_number(inner, line) for line in lines] if inner in (int, float) else lines
        case "long":
            return text.replace("\r\n", "\n")
    return text.strip()


def _number(inner: Any, text: str) -> Any:
    """Return the number that was typed; text that is no number is returned unchanged, for the model to reject."""
    try:
        number = float(text)
        return int(text) if inner is int else number if number - number == 0 else text
    except ValueError:
        return text.strip()


def _find(values: Any, path: str) -> tuple[Any, str]:
    """Return the value at a path such as `channels[0].weights`, and the path; None where there is none."""
    if not _PATH.fullmatch(path):
        return None, path
    found = values
    for name, index in _STEP.findall(path):
        if index and isinstance(found, list) and int(index) < len(found):
            found = found[int(index)]
        elif name and isinstance(found, Mapping) and name in found:
            found = found[name]
        else:
            return None, path
    return found, path
