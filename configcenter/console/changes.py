"""What differs between two texts of a module, in the words of its fields."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.utils.translation import gettext
from pydantic import BaseModel

from configcenter.console.form import in_words, kind_of
from configcenter.services import fields


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs."""

    path: str
    title: str
    before: str
    after: str


def values_of(content: str | None) -> dict[str, Any]:
    """Read a module's text; what is no JSON object is an empty one."""
    try:
        found = orjson.loads(content or "{}")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def in_fields(model: type[BaseModel], before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Name the fields of a module that differ, in the order of the page."""
    return list(_differing(model, before, after, "", ""))


def title_at(model: type[BaseModel], values: Any, path: str) -> str:
    """Return a path such as `rules[2].skill_group` in the titles of the page: "Rules › Refunds › Skill group"."""
    parts, titles, inner, kind = fields.parts_of(path), list[str](), model, "shape"
    for part in parts:
        if kind == "shape" and part in inner.model_fields:
            info = inner.model_fields[part]
            titles.append(gettext(info.title) if info.title else part)
            kind, below = kind_of(info)
            inner = below if kind in ("shape", "list") else inner
            values = values.get(part) if isinstance(values, Mapping) else None
        elif kind == "list" and part.isdecimal() and isinstance(values, list) and int(part) < len(values):
            titles.append([*_by_name(values)][int(part)])
            kind, values = "shape", values[int(part)]
    return " › ".join(titles)


def _differing(model: type[BaseModel], before: Any, after: Any, path: str, title: str) -> Iterator[Change]:
    old, new = (side if isinstance(side, Mapping) else {} for side in (before, after))
    for name, info in model.model_fields.items():
        was, now = old.get(name), new.get(name)
        if was == now:
            continue
        kind, inner = kind_of(info)
        own_path = f"{path}.{name}" if path else name
        own_title = " › ".join(part for part in (title, gettext(info.title) if info.title else name) if part)
        if kind == "shape" and isinstance(was, Mapping) and isinstance(now, Mapping):
            yield from _differing(inner, was, now, own_path, own_title)
            continue
        if kind == "list" and isinstance(was, list) and isinstance(now, list):
            yield from _members(inner, was, now, own_path, own_title)
            continue
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        unit = gettext(str(extra.get("unit", ""))) if extra.get("unit") else ""
        yield Change(own_path, own_title, *(_said(side, kind, inner, unit) for side in (was, now)))


def _members(inner: type[BaseModel], was: list[Any], now: list[Any], path: str, title: str) -> Iterator[Change]:
    """Members are the same one when they have the same name; without names, when they stand at the same place."""
    old, new = (_by_name(side) for side in (was, now))
    for name in dict.fromkeys([*new, *old]):
        own_path, own_title = f"{path}[{name}]", f"{title} › {name}"
        if name not in new:
            yield Change(own_path, own_title, gettext("present"), gettext("removed"))
        elif name not in old:
            yield Change(own_path, own_title, "–", gettext("added"))
        else:
            yield from _differing(inner, old[name], new[name], own_path, own_title)
    kept = [[name for name in side if name in old and name in new] for side in (old, new)]
    if kept[0] != kept[1]:
        yield Change(path, title, ", ".join(kept[0]), ", ".join(kept[1]))


def _by_name(members: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for index, member in enumerate(members):
        name = str(member.get("name") or member.get("channel") or "") if isinstance(member, Mapping) else ""
        found[name if name and name not in found else f"{index + 1}"] = member
    return found


def _said(value: Any, kind: str, inner: Any, unit: str) -> str:
    if value is None:
        return gettext("inherited")
    if kind in ("shape", "list"):
        return gettext("own value")
    return in_words(value, kind, inner, unit)
