"""A module's class and values as the inputs of a page. It takes whatever a draft says, also what the class would refuse."""

import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Union, get_args, get_origin

from django.db.models import TextChoices
from django.utils import formats
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from configcenter import hot

#: Placeholder for the key of a block that is not there yet, one for each depth: the script of the page replaces it.
NEW_KEY = "__new{depth}__"
_LAST_PART = re.compile(r"(\.[^.\[\]]+|\[[^\[\]]*\])$")
#: Units of the modules' fields: marked here, translated where they are shown.
UNITS = (_("ms"), _("s"), _("min"), _("h"), _("per s"), _("%"), _("threads"))
#: Fields that tell blocks of a list apart, the first that there is.
NAMES = ("name", "intent", "channel", "provider", "priority", "value", "day")


@dataclass(slots=True)
class Block:
    """One member of a list of shapes."""

    key: str
    path: str
    title: str
    brief: str
    entries: list["Entry"]
    errors: list[str] = field(default_factory=list)
    is_open: bool = False


@dataclass(slots=True)
class Entry:
    """One field, with everything that its input needs."""

    path: str
    name: str
    kind: str  # switch, number, select, text, lines, long, shape, list
    title: str
    help_text: str = ""
    unit: str = ""
    value: Any = None
    shown: str = ""  # the value in words
    default: str = ""  # the default in words
    differs: bool = False
    errors: list[str] = field(default_factory=list)
    limits: dict[str, Any] = field(default_factory=dict)
    options: list[tuple[str, str]] = field(default_factory=list)
    entries: list["Entry"] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    blank: Block | None = None
    is_unordered: bool = False
    #: For a tenant's override: whether it has its own value. None: not a page of an override.
    own: bool | None = None

    @property
    def rows(self) -> int:
        """Lines of a text field: room for what is there and one more."""
        return min(12, max(2, str(self.value).count("\n") + 2))

    @property
    def is_unknown(self) -> bool:
        """Whether a choice has a value that is none of its options."""
        return self.kind == "select" and self.value not in [value for value, _word in self.options]

    @property
    def is_group(self) -> bool:
        """Whether it holds other fields."""
        return self.kind in ("shape", "list")

    @property
    def id(self) -> str:
        """The id of the input in the page."""
        return "f-" + re.sub(r"[^\w-]+", "-", self.path).strip("-")


@dataclass(slots=True)
class Form:
    """A whole module: its entries, and what is wrong with none of them in particular."""

    entries: list[Entry]
    errors: list[str] = field(default_factory=list)

    @property
    def groups(self) -> list[list[Entry]]:
        """The entries as the page shows them: runs of simple fields, and each group of fields separately."""
        found: list[list[Entry]] = []
        for entry in self.entries:
            if found and not entry.is_group and not found[-1][0].is_group:
                found[-1].append(entry)
            else:
                found.append([entry])
        return found

    @property
    def has_errors(self) -> bool:
        """Whether anything is marked."""
        return bool(self.errors) or any(entry.errors or any(block.errors for block in entry.blocks) for entry in _all(self.entries))


def kind_of(info: FieldInfo) -> tuple[str, Any]:
    """Return the kind of input a field wants, and the type inside it."""
    inner = info.annotation
    if get_origin(inner) in (Union, types.UnionType):
        inner = next(part for part in get_args(inner) if part is not type(None))
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    if get_origin(inner) is list:
        inner = get_args(inner)[0]
        return ("list" if _is(inner, BaseModel) else "lines"), inner
    if _is(inner, BaseModel):
        return "shape", inner
    if _is(inner, TextChoices):
        return "select", inner
    if inner is bool:
        return "switch", inner
    if inner in (int, float):
        return "number", inner
    if extra.get("widget") in hot.CHOICES:
        return "choice", extra["widget"]
    return ("long" if extra.get("widget") == "text" else "text"), inner


def is_optional(info: FieldInfo) -> bool:
    """Return whether a field may have no value."""
    return type(None) in get_args(info.annotation)


def _is(inner: Any, base: type) -> bool:
    return isinstance(inner, type) and issubclass(inner, base)


def build(
    model: type[BaseModel],
    values: Mapping[str, Any],
    *,
    base: BaseModel | None = None,
    errors: Iterable[Mapping[str, Any]] = (),
    only: frozenset[str] | None = None,
    open_paths: frozenset[str] = frozenset(),
) -> Form:
    """Lay a module's values out as inputs.

    `base` is what "differs" is measured against (the defaults, or what a tenant inherits); `only` keeps these fields and makes
    the page one of an override, on which a field that is not in `values` is inherited; `errors` as `Invalid.errors` has them;
    `open_paths` names blocks that are shown unfolded.
    """
    standard = (base or model()).model_dump(mode="json")
    entries = _entries(model, values, standard, "", 0, open_paths)
    if only is not None:
        entries = [entry for entry in entries if entry.name in only]
        for entry in entries:
            entry.own = entry.name in values
    form = Form(entries)
    _place(form, errors)
    return form


def _entries(
    model: type[BaseModel], values: Any, standard: Mapping[str, Any], path: str, depth: int, open_paths: frozenset[str]
) -> list[Entry]:
    given = values if isinstance(values, Mapping) else {}
    found = []
    for name, info in model.model_fields.items():
        kind, inner = kind_of(info)
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        own_path = f"{path}.{name}" if path else name
        usual = standard.get(name)
        value = given.get(name, usual)
        entry = Entry(
            path=own_path,
            name=name,
            kind=kind,
            title=gettext(info.title) if info.title else name,
            help_text=gettext(info.description) if info.description else "",
            unit=gettext(str(extra["unit"])) if extra.get("unit") else "",
            is_unordered=bool(extra.get("is_unordered")),
            limits=_limits(info, inner),
        )
        entry.differs = value != usual
        if kind == "shape":
            entry.entries = _entries(inner, value, usual if isinstance(usual, Mapping) else {}, own_path, depth, open_paths)
        elif kind == "list":
            entry.value = value if isinstance(value, list) else []
            entry.blocks = [
                _block(inner, member, f"{own_path}[{index}]", str(index), depth, open_paths) for index, member in enumerate(entry.value)
            ]
            entry.blank = _block(inner, {}, f"{own_path}[{NEW_KEY.format(depth=depth)}]", NEW_KEY.format(depth=depth), depth, open_paths)
        else:
            entry.value = text_of(value, kind)
            if kind == "select":
                entry.options = [(member.value, str(member.label)) for member in inner]
            elif kind == "choice":
                entry.kind, entry.limits = "select", {}
                entry.options = [*([("", gettext("All"))] if info.default == "" else []), *_choices(inner)]
        entry.default = in_words(usual, kind, inner, entry.unit)
        entry.shown = in_words(value, kind, inner, entry.unit)
        found.append(entry)
    return found


def _block(inner: type[BaseModel], member: Any, path: str, key: str, depth: int, open_paths: frozenset[str]) -> Block:
    # Differences inside a block are not marked: every block was added by a user.
    standard = blank(inner)
    entries = _entries(inner, member, standard, path, depth + 1, open_paths)
    title, day = _title(member, entries), str(member.get("day", "")) if isinstance(member, Mapping) else ""
    entries_shown = [entry for entry in entries if entry.kind not in ("shape", "lines", "list") and entry.shown not in (title, day)]
    # Where nothing differs, the usual values: a row that says nothing but its number would have to be opened to be read.
    entries_shown = [entry for entry in entries_shown if entry.differs] or [
        entry for entry in entries_shown if entry.kind != "switch" and entry.value
    ]
    said = [f"{entry.title} {entry.shown}" if entry.kind in ("switch", "number") else entry.shown for entry in entries_shown]
    brief = inner.in_brief(member) if issubclass(inner, hot.Shape) and isinstance(member, Mapping) else ""
    for entry in _all(entries):
        entry.differs, entry.default = False, ""
    is_open = path in open_paths or key.startswith("__")
    return Block(key=key, path=path, title=title, brief=brief or " · ".join(said[:4]), entries=entries, is_open=is_open)


def blank(model: type[BaseModel]) -> dict[str, Any]:
    """Return what a new block begins with, whether or not its class would take that."""
    made = {name: info.get_default(call_default_factory=True) for name, info in model.model_fields.items() if not info.is_required()}
    return {name: _plain(value) for name, value in made.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [_plain(member) for member in value] if isinstance(value, list) else value.value if isinstance(value, TextChoices) else value


def _choices(name: str) -> list[tuple[str, str]]:
    return [(value, str(label)) for value, label in hot.CHOICES[name]()]


def _title(member: Any, entries: Iterable[Entry]) -> str:
    if isinstance(member, Mapping):
        for name in NAMES:
            if member.get(name) not in (None, ""):
                value = member[name]
                chosen = next((entry.shown for entry in entries if entry.name == name and entry.kind == "select"), "")
                if chosen:
                    return chosen
                is_day = name == "day" and isinstance(value, int)
                return str(WEEKDAYS.get(value - 1, value)) if is_day else str(value)
    return ""


def _limits(info: FieldInfo, inner: Any) -> dict[str, Any]:
    """Return the limits as attributes of an input."""
    limits: dict[str, Any] = {}
    for rule in info.metadata:
        for name, attribute in (("ge", "min"), ("le", "max"), ("max_length", "maxlength"), ("pattern", "pattern")):
            bound = getattr(rule, name, None)
            if bound is not None:
                limits[attribute] = text_of(bound, "number") if name in ("ge", "le") else bound
    if "pattern" in limits:
        # Browsers read it with the flag v, in which a hyphen at the end of a class must be escaped.
        limits["pattern"] = str(limits["pattern"]).replace("-]", r"\-]")
    if inner in (int, float):
        limits["step"] = "1" if inner is int else "any"
    elif get_origin(info.annotation) is list:
        limits.pop("maxlength", None)  # that of a list counts its members
    return limits


def text_of(value: Any, kind: str) -> Any:
    """Write a value as its input holds it."""
    if kind == "switch":
        return value is True
    if kind == "lines":
        return "\n".join(str(member) for member in value) if isinstance(value, list) else str(value or "")
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def in_words(value: Any, kind: str, inner: Any, unit: str = "") -> str:
    """Write a value as a person reads it, with its unit; nothing for a group of fields."""
    match kind:
        case "shape":
            return ""
        case "switch":
            return gettext("on") if value is True else gettext("off")
        case "select":
            known = value in [member.value for member in inner]
            return str(inner(value).label) if known else str(value)
        case "choice":
            return dict(_choices(inner)).get(value, str(value)) if value else gettext("All")
        case "list":
            number = len(value) if isinstance(value, list) else 0
            return gettext("{n} in the list").format(n=number)
        case "lines":
            return ", ".join(str(member) for member in value) if isinstance(value, list) and value else gettext("empty")
    is_number = kind == "number" and isinstance(value, int | float)
    text = formats.number_format(text_of(value, kind), use_l10n=True, force_grouping=True) if is_number else str(text_of(value, kind))
    return f"{text} {unit}".strip() if text else gettext("empty")


def _all(entries: Iterable[Entry]) -> Iterable[Entry]:
    for entry in entries:
        yield entry
        yield from _all(entry.entries)
        for block in entry.blocks:
            yield from _all(block.entries)


def _place(form: Form, errors: Iterable[Mapping[str, Any]]) -> None:
    """Attach each error to its field, or to the nearest enclosing entry, and unfold the blocks on the way."""
    places: dict[str, Entry | Block] = {}
    blocks: dict[str, Block] = {}
    for entry in _all(form.entries):
        places[entry.path] = entry
        for block in entry.blocks:
            places[block.path] = blocks[block.path] = block
    for error in errors:
        path, said = str(error.get("field", "")), str(error.get("message", ""))
        place = path
        while place and place not in places:
            place = _LAST_PART.sub("", place) if _LAST_PART.search(place) else ""
        rest = path.removeprefix(place).lstrip(".")
        if line := re.fullmatch(r"\[(\d+)\]", rest):
            said = gettext("Line {n}: {text}").format(n=int(line[1]) + 1, text=said)
        elif rest:
            said = f"{rest}: {said}"
        (places[place] if place else form).errors.append(said)
        for at, block in blocks.items():
            if path == at or path.startswith((f"{at}.", f"{at}[")):
                block.is_open = True
