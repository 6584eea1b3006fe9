"""The parameters of a job's function: read from its signature, shown as a form, checked before a run is stored and before it begins."""

import types
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from inspect import Parameter
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import orjson
from django.utils.translation import gettext as _
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from jobs import registry
from jobs.registry import Job
from posthaste.lib.problems import Invalid
from posthaste.lib.wrong_values import words_of

#: The kind of a form's field by the type in the signature; everything else is JSON.
KINDS: Mapping[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "text", date: "date", datetime: "datetime"}

TYPES = (*KINDS.values(), "choice", "json")


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter as a form shows it. `value` is its default, as the form has it."""

    name: str
    kind: str  # one of TYPES
    value: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Described:
    """A parameter as the API lists it. `default` is JSON; the registry refuses functions with a parameter that has none."""

    name: str
    type: str  # as `Field.kind`
    default: Any
    choices: tuple[str, ...]


@cache
def _shape(name: str) -> type[BaseModel]:
    found = registry.find(name)
    assert found is not None
    hints = get_type_hints(found.function, include_extras=True)  # bounds stand in Annotated
    defaults: dict[str, Any] = {each.name: (hints.get(each.name, Any), each.default) for each in registry.parameters_of(found)}
    return create_model("Parameters", __config__=ConfigDict(extra="forbid", validate_default=False, protected_namespaces=()), **defaults)


def fields(found: Job, given: Mapping[str, Any] | None = None) -> list[Field]:
    """Return the parameters of a job in the order of its signature, each with its value: one that is `given`, or its default."""
    hints = get_type_hints(found.function)
    return [_field(each, hints.get(each.name, Any), given or {}) for each in registry.parameters_of(found)]


def described(found: Job) -> list[Described]:
    """Return what the function of a job takes, in the order of its signature."""
    return [
        Described(field.name, field.kind, orjson.loads(orjson.dumps(each.default, default=str)), field.choices)
        for field, each in zip(fields(found), registry.parameters_of(found), strict=True)
    ]


def _field(each: Parameter, hint: Any, given: Mapping[str, Any]) -> Field:
    value = given.get(each.name, each.default)
    if get_origin(hint) in (Union, types.UnionType):
        hint = next((kind for kind in get_args(hint) if kind is not type(None)), hint)
    if get_origin(hint) is Literal:
        return Field(each.name, "choice", _as_text(value), tuple(map(str, get_args(hint))))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Field(each.name, "choice", _as_text(value), tuple(str(member.value) for member in hint))
    kind = KINDS.get(hint, "json")
    return Field(each.name, kind, _as_text(value) if kind != "json" else orjson.dumps(value, default=str).decode())


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else ""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value.value if isinstance(value, Enum) else value)


def of_form(found: Job, sent: Mapping[str, str], *, prefix: str = "") -> dict[str, Any]:
    """Return the parameters of a form that differ from their defaults, fit to be stored.

    Raises:
        Invalid: naming each parameter that does not fit.
    """
    given: dict[str, Any] = {}
    errors = []
    for each in fields(found):
        text = sent.get(f"{prefix}{each.name}", "").strip()
        if each.kind == "boolean":
            given[each.name] = bool(text)
        elif each.kind == "json" and text:
            try:
                given[each.name] = orjson.loads(text)
            except orjson.JSONDecodeError:
                errors.append({"field": each.name, "code": "invalid", "message": _("This is not valid JSON.")})
        elif text or each.kind == "text":
            given[each.name] = text
    if errors:
        raise Invalid(errors=errors)
    defaults = {each.name: each.value for each in fields(found)}
    stored = to_store(found, given)
    return {name: value for name, value in stored.items() if _as_text(value) != defaults[name]}


def to_store(found: Job, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check parameters and return them as JSON.

    Raises:
        Invalid: naming each one that does not fit.
    """
    return _checked(found, given).model_dump(mode="json", exclude_unset=True)


def checked(found: Job, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored parameters with the types that the function takes.

    Raises:
        Invalid: naming each one that does not fit any more.
    """
    if not given:
        return {}
    model = _checked(found, given)
    return {name: getattr(model, name) for name in model.model_fields_set}


def _checked(found: Job, given: Mapping[str, Any]) -> BaseModel:
    try:
        return _shape(found.name).model_validate(dict(given))
    except ValidationError as error:
        raise Invalid(
            errors=[{"field": ".".join(map(str, each["loc"])), "code": each["type"], "message": words_of(each)} for each in error.errors()]
        ) from None
