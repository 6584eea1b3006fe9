"""The fields of its own that a ticket type has: what they are, and what may stand in them.

A ticket keeps the values by key. Definitions change while tickets live: a value is checked when it is written, and a definition that is
gone, or is of another kind now, leaves what tickets have as it is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Self

import pydantic
from django.utils.translation import get_language, gettext, gettext_lazy
from pydantic import BaseModel, ConfigDict, Field, model_validator

from posthaste.lib.problems import Invalid
from routing.models import TicketType
from routing.tickets import field_values
from routing.tickets.field_values import FieldKind, Wrong

MAX_FIELDS = 50
MAX_CHOICES = 100
MAX_MAGNITUDE = 10**15


class Required(StrEnum):
    """When a field must have a value."""

    NEVER = ""
    OPEN = "open"
    RESOLVE = "resolve"


WHEN_REQUIRED = (
    (Required.NEVER, gettext_lazy("No")),
    (Required.OPEN, gettext_lazy("When it is opened")),
    (Required.RESOLVE, gettext_lazy("When it is resolved")),
)


class Choice(BaseModel):
    """One of the values of a choice: what is stored and shown, and how it is shown in Chinese."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    value: str = Field(min_length=1, max_length=100)
    zh: str = Field("", max_length=100)


class Definition(BaseModel):
    """A field of a ticket type."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    key: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    kind: FieldKind = FieldKind.TEXT
    label: str = Field(min_length=1, max_length=100)
    label_zh: str = Field("", max_length=100)
    help: str = Field("", max_length=300)
    help_zh: str = Field("", max_length=300)
    required: Required = Required.NEVER
    #: Whether customers fill it in in the form of the portal.
    is_public: bool = False
    #: Bounds of a number.
    minimum: float | None = Field(None, ge=-MAX_MAGNITUDE, le=MAX_MAGNITUDE)
    maximum: float | None = Field(None, ge=-MAX_MAGNITUDE, le=MAX_MAGNITUDE)
    choices: list[Choice] = Field(default_factory=list, max_length=MAX_CHOICES)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        has_choices = self.kind in (FieldKind.CHOICE, FieldKind.CHOICES)
        if has_choices and not self.choices:
            raise _wrong("choices", gettext("Enter at least one choice."))
        if not has_choices and self.choices:
            raise _wrong("choices", gettext("Only a choice has choices."))
        values = [choice.value for choice in self.choices]
        if len(set(values)) < len(values):
            raise _wrong("choices", gettext("A choice is listed twice."))
        if self.kind != FieldKind.NUMBER and (self.minimum is not None or self.maximum is not None):
            raise _wrong("minimum", gettext("Only a number has bounds."))
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise _wrong("maximum", gettext("Must not be below the smallest value."))
        return self

    @property
    def title(self) -> str:
        """What it is called in the reader's language."""
        return self.label_zh if self.label_zh and _in_chinese() else self.label

    @property
    def advice(self) -> str:
        """The help in the reader's language."""
        return self.help_zh if self.help_zh and _in_chinese() else self.help

    @property
    def options(self) -> list[tuple[str, str]]:
        """The choices as pairs of value and label in the reader's language."""
        return [(choice.value, choice.zh if choice.zh and _in_chinese() else choice.value) for choice in self.choices]


def of_type(kind: TicketType) -> list[Definition]:
    """Return the fields of a ticket type; what an older release wrote and this one can't read is left out."""
    return list(_readable(kind.fields))


def checked_definitions(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Check definitions, and return them as they are stored.

    Raises:
        Invalid: naming each wrong one, such as `fields[2].choices`.
    """
    if len(given) > MAX_FIELDS:
        raise Invalid.field("fields", gettext("At most {n} fields.").format(n=MAX_FIELDS), "too_many")
    found, errors, keys = [], [], set()
    for index, one in enumerate(given):
        try:
            definition = Definition.model_validate(one)
        except pydantic.ValidationError as error:
            errors += [_error(index, each) for each in error.errors()]
            continue
        if definition.key in keys:
            errors.append({"field": f"fields[{index}].key", "code": "unique", "message": gettext("Another field has this key.")})
        keys.add(definition.key)
        found.append(definition.model_dump(mode="json", exclude_defaults=True, exclude={"kind"}) | {"kind": str(definition.kind)})
    if errors:
        raise Invalid(errors=errors)
    return found


def checked_values(
    definitions: Iterable[Definition], given: Mapping[str, Any], *, kept: Mapping[str, Any] | None = None, public_only: bool = False
) -> dict[str, Any]:
    """Check values that are written to a ticket, and return all that it then has. None, or an empty value, removes one.

    `kept` is what a ticket has already; None: it is being opened, so what is required then must be there. With `public_only`, only
    fields of the portal are taken.

    Raises:
        Invalid: naming each wrong field, such as `fields.order`.
    """
    known = {one.key: one for one in definitions if one.is_public or not public_only}
    values, errors = dict(kept or {}), []
    for key, value in given.items():
        definition = known.get(key)
        if definition is None:
            said = gettext("This type of ticket has no such field. Available: {known}.").format(known=", ".join(known) or "–")
            errors.append({"field": f"fields.{key}", "code": "unknown", "message": said})
            continue
        try:
            checked = field_values.check(value, definition)
        except Wrong as wrong:
            errors.append({"field": f"fields.{key}", "code": wrong.code, "message": wrong.message})
            continue
        values.pop(key, None)
        if checked is not None:
            values[key] = checked
    missing = [one for one in known.values() if one.required == Required.OPEN and one.key not in values]
    wrong_already = {error["field"] for error in errors}
    # A field that was required later than a ticket was opened does not stop other changes to it.
    missing = [one for one in missing if (kept is None or one.key in given) and f"fields.{one.key}" not in wrong_already]
    errors += [_missing(one) for one in missing]
    if errors:
        raise Invalid(errors=errors)
    return values


def must_be_complete(definitions: Iterable[Definition], values: Mapping[str, Any]) -> None:
    """Check that a ticket has what must be there when it is resolved.

    Raises:
        Invalid: naming each field that is missing.
    """
    missing = [one for one in definitions if one.required == Required.RESOLVE and one.key not in values]
    if missing:
        raise Invalid(gettext("Fill in first what is needed to resolve it."), errors=[_missing(one) for one in missing])


def shown(definitions: Iterable[Definition], values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return labels and values for a reader, also of values whose field was removed."""
    known = {one.key: one for one in definitions}
    found = [(one.title, field_values.in_words(values[key], one)) for key, one in known.items() if key in values]
    return found + [(key, field_values.as_text(value)) for key, value in values.items() if key not in known]


def _readable(stored: Any) -> Iterator[Definition]:
    for one in stored if isinstance(stored, list) else ():
        try:
            yield Definition.model_validate(one)
        except pydantic.ValidationError:
            continue


def _in_chinese() -> bool:
    return (get_language() or "").startswith("zh")


def _wrong(field: str, message: str) -> ValueError:
    return ValueError(f"{field}\n{message}")


def _missing(definition: Definition) -> dict[str, str]:
    return {
        "field": f"fields.{definition.key}",
        "code": "required",
        "message": gettext("{field} is missing.").format(field=definition.title),
    }


def _error(index: int, error: Any) -> dict[str, str]:
    """Return an error of pydantic as ours: its place, and words that say what to enter."""
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "value_error":
        name, _line, message = str(error["ctx"]["error"]).partition("\n")
        return {"field": f"fields[{index}].{name}", "code": "invalid", "message": message}
    words = {
        "missing": gettext("This is required."),
        "extra_forbidden": gettext("There is no such setting of a field."),
        "string_too_long": gettext("This is too long."),
        "string_too_short": gettext("This is required."),
        "enum": gettext("This is not one of the possible values."),
        "string_pattern_mismatch": gettext("Use small letters, digits and underscores, a letter first."),
        "too_long": gettext("These are too many."),
    }
    message = words.get(error["type"], gettext("This value can't be used."))
    return {"field": f"fields[{index}].{place}" if place else f"fields[{index}]", "code": error["type"], "message": message}
