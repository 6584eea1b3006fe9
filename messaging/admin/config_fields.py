"""A provider's configuration as the inputs of a form, made from the class that checks it.

The class of a kind (`Adapter.Config`) names its fields, their kinds, limits and help; nothing here knows a kind. Names of inputs are paths:
`configuration.http.bulk.url`, `configuration.http.error_codes[0].code`. A secret shows its mask and stays as it is while that stands there.
"""

import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, Union, get_args, get_origin

from django.db.models import TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from messaging.channels.base import CredentialConfig

BLANK_ROWS = 1  # of a list of shapes, beyond those that there are
MAX_ROWS = 100
LONG_TEXT = 1_000  # a text that may be longer has several lines
Path = tuple[str, ...]
#: What the fields of the kinds that come with the platform are called, from their names; a field may have a title of its own.
LABELS = (
    *(gettext_noop("Url"), gettext_noop("Method"), gettext_noop("Headers"), gettext_noop("Body"), gettext_noop("Content type")),
    *(gettext_noop("Success codes"), gettext_noop("Error codes"), gettext_noop("Message id path"), gettext_noop("Idempotent")),
    *(gettext_noop("Timeout seconds"), gettext_noop("Signing secret"), gettext_noop("Bulk"), gettext_noop("Lookup url")),
    *(gettext_noop("Status"), gettext_noop("Match"), gettext_noop("Path"), gettext_noop("Value"), gettext_noop("Code")),
    *(gettext_noop("Permanent"), gettext_noop("Hard bounce"), gettext_noop("Retry after"), gettext_noop("Size")),
    *(gettext_noop("Results path"), gettext_noop("Id field"), gettext_noop("Status field"), gettext_noop("Success values")),
    *(gettext_noop("Message id field"), gettext_noop("Error code field"), gettext_noop("Permanent codes"), gettext_noop("Items path")),
    *(gettext_noop("Provider message id field"), gettext_noop("Delivered values"), gettext_noop("Failed values")),
    *(gettext_noop("Code field"), gettext_noop("Detail field"), gettext_noop("At field"), gettext_noop("Bounce field")),
    *(gettext_noop("Hard values"), gettext_noop("Host"), gettext_noop("Port"), gettext_noop("Username"), gettext_noop("Password")),
    *(gettext_noop("Security"), gettext_noop("From email"), gettext_noop("From name"), gettext_noop("Reply to")),
    *(gettext_noop("Max connections"), gettext_noop("Latency ms"), gettext_noop("Failure rate"), gettext_noop("Timeout rate")),
    *(gettext_noop("Credential expires on"), gettext_noop("Keep outbox"), gettext_noop("Seed")),
    *(gettext_noop("none"), gettext_noop("starttls"), gettext_noop("tls")),
)


@dataclass(slots=True)
class Input:
    """One field of a configuration, with everything that its input needs; a group or a list holds others."""

    name: str
    kind: str  # text, secret, number, date, switch, select, lines, pairs, long, group, list
    label: str
    help_text: str = ""
    value: Any = ""
    is_required: bool = False
    limits: dict[str, Any] = field(default_factory=dict)
    options: list[tuple[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    inputs: list["Input"] = field(default_factory=list)
    rows: list[list["Input"]] = field(default_factory=list)
    is_optional: bool = False  # a group that may be left out

    @property
    def id(self) -> str:
        """The id of the input in the page."""
        return f"id_{self.name}".replace(".", "-").replace("[", "-").replace("]", "")


def _unwrapped(info: FieldInfo) -> tuple[Any, bool]:
    """Return the type of a field without None, and whether None is allowed."""
    inner = info.annotation
    if get_origin(inner) in (Union, types.UnionType):
        parts = [part for part in get_args(inner) if part is not type(None)]
        return (parts[0] if len(parts) == 1 else str), len(parts) < len(get_args(inner))
    return inner, False


def _is(inner: Any, base: type) -> bool:
    return isinstance(inner, type) and issubclass(inner, base)


def _limit(info: FieldInfo, name: str) -> Any:
    return next((found for rule in info.metadata if (found := getattr(rule, name, None)) is not None), None)


def kind_of(info: FieldInfo) -> str:
    """Return the kind of input that a field wants."""
    inner, _is_nullable = _unwrapped(info)
    origin = get_origin(inner)
    if origin is list:
        return "list" if _is(get_args(inner)[0], BaseModel) else "lines"
    if origin is dict:
        return "pairs"
    if origin is Literal or _is(inner, TextChoices):
        return "select"
    if _is(inner, BaseModel):
        return "group"
    if inner is SecretStr:
        return "secret"
    if inner is bool:
        return "switch"
    if inner in (int, float):
        return "number"
    if inner is date:
        return "date"
    return "long" if (_limit(info, "max_length") or 0) > max(LONG_TEXT, 4_096) else "text"


def _label(words: str) -> str:
    """Return the name of a field; in English, where it is made from the field's own, abbreviations and units as they are written."""
    said = re.sub(r"\b(url|id|ip|html|json)\b", lambda found: found[0].upper(), _(words), flags=re.IGNORECASE | re.ASCII)
    return re.sub(r" (ms|seconds|per second)$", r" (\1)", said)


def build(model: type[BaseModel], value: Mapping[str, Any], *, name: str, errors: Mapping[Path, list[str]], path: Path = ()) -> list[Input]:
    """Lay out a configuration as inputs, each with its errors, by the path of its field."""
    found = []
    # What several kinds have comes after what is the kind's own.
    for own, info in sorted(model.model_fields.items(), key=lambda each: each[0] in CredentialConfig.model_fields):
        inner, is_nullable = _unwrapped(info)
        kind = kind_of(info)
        given = value.get(own, None if info.is_required() else _plain(info.get_default(call_default_factory=True)))
        here = (*path, own)
        entry = Input(
            name=f"{name}.{own}",
            kind=kind,
            label=_label(info.title or own.replace("_", " ").capitalize()),
            help_text=_(info.description) if info.description else "",
            is_required=info.is_required(),
            errors=list(errors.get(here, ())),
        )
        if kind == "group":
            entry.is_optional, entry.value = is_nullable, isinstance(given, Mapping)
            entry.inputs = build(inner, given or {}, name=entry.name, errors=errors, path=here)
        elif kind == "list":
            shape = get_args(inner)[0]
            members = [*(given or []), *({} for _blank in range(BLANK_ROWS))]
            entry.rows = [
                build(shape, member, name=f"{entry.name}[{index}]", errors=errors, path=(*here, str(index)))
                for index, member in enumerate(members)
            ]
            entry.errors += [said for index in range(len(members)) for said in errors.get((*here, str(index)), ())]
        else:
            entry.value = _shown(kind, given)
            entry.options = _options(inner)
            entry.limits = _limits(info, inner, kind)
        found.append(entry)
    return found


def _options(inner: Any) -> list[tuple[str, str]]:
    if get_origin(inner) is Literal:
        return [(str(choice), _(str(choice))) for choice in get_args(inner)]
    return [(choice.value, str(choice.label)) for choice in inner] if _is(inner, TextChoices) else []


def _limits(info: FieldInfo, inner: Any, kind: str) -> dict[str, Any]:
    if kind == "number":
        bounds = {"min": _limit(info, "ge"), "max": _limit(info, "le"), "step": "1" if inner is int else "any"}
    else:
        bounds = {"maxlength": _limit(info, "max_length")} if kind in ("text", "long") else {}
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _shown(kind: str, value: Any) -> Any:
    if kind == "switch":
        return value is True
    if kind == "lines":
        return "\n".join(map(str, value or ()))
    if kind == "pairs":
        return "\n".join(f"{key}: {_plain(each)}" for key, each in (value or {}).items())
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def read(model: type[BaseModel], posted: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """Read what was filled in as plain values, valid or not. What was left empty takes its default."""
    values: dict[str, Any] = {}
    for own, info in model.model_fields.items():
        inner, is_nullable = _unwrapped(info)
        place, kind = f"{name}.{own}", kind_of(info)
        match kind:
            case "group":
                if not is_nullable or posted.get(f"{place}:on"):
                    values[own] = read(inner, posted, name=place)
            case "list":
                if any(key.startswith(f"{place}[") for key in posted):
                    values[own] = _members(get_args(inner)[0], posted, place)
            case "switch":
                values[own] = bool(posted.get(place))
            case "lines" if place in posted:
                values[own] = [line.strip() for line in str(posted[place]).splitlines() if line.strip()]
            case "pairs" if place in posted:
                values[own] = _pairs(str(posted[place]))
            case "lines" | "pairs":
                pass  # the page that was sent had no such input
            case _:
                text = str(posted.get(place, ""))
                if kind != "long":
                    text = text.strip()
                if text:
                    values[own] = _number(text) if kind == "number" else text.replace("\r\n", "\n")
                elif not is_nullable and kind != "number" and not info.is_required() and place in posted:
                    values[own] = ""
    return values


def _members(shape: type[BaseModel], posted: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    found = []
    for index in range(MAX_ROWS + BLANK_ROWS):
        row = f"{place}[{index}]"
        if not any(key.startswith(f"{row}.") for key in posted):
            break
        member = read(shape, posted, name=row)
        is_blank = not any(value not in (False, "", []) for value in member.values())
        if not is_blank and not posted.get(f"{row}:remove"):
            found.append(member)
    return found


def _pairs(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines() if line.strip())
    return {key.strip(): value.strip() for key, _colon, value in pairs}


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def sorted_errors(found: Iterable[Mapping[str, Any]]) -> tuple[dict[Path, list[str]], list[tuple[str, str]]]:
    """Split errors of a service into those of the configuration, by path, and the others, as field and message."""
    own: dict[Path, list[str]] = {}
    others = []
    for error in found:
        first, *rest = str(error["field"]).split(".")
        if first == "config" and rest:
            own.setdefault(tuple(rest), []).append(str(error["message"]))
        else:
            others.append((first, str(error["message"])))
    return own, others


def placed(errors: Mapping[Path, list[str]], inputs: Iterable[Input]) -> set[str]:
    """Return the messages that stand at an input."""
    found: set[str] = set()
    for entry in inputs:
        found |= {*entry.errors} | placed(errors, entry.inputs)
        for row in entry.rows:
            found |= placed(errors, row)
    return found
