"""The kinds of fields of tickets: what is a value of each, and how it reads."""

import math
import re
from datetime import date
from typing import Any, Protocol

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models
from django.utils import formats
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from posthaste.lib.blank import is_blank
from posthaste.lib.dates import is_day_in_range

MAX_TEXT = 300
MAX_LONG_TEXT = 5_000
#: Numbers of orders: letters, digits and what separates them.
ORDER = re.compile(r"[\w#][\w#./\- ]{0,59}")
PHONE = re.compile(r"\+?[0-9][0-9 ()./-]{3,29}")


class FieldKind(models.TextChoices):
    """What stands in a field."""

    TEXT = "text", _("Text")
    LONG_TEXT = "long_text", _("Long text")
    NUMBER = "number", _("Number")
    DATE = "date", _("Date")
    YES_NO = "yes_no", _("Yes or no")
    CHOICE = "choice", pgettext_lazy("field", "Choice")
    CHOICES = "choices", _("Several choices")
    ORDER = "order", _("Order number")
    EMAIL = "email", _("E-mail address")
    PHONE = "phone", _("Phone number")


class Rule(Protocol):
    """What a check needs of a definition."""

    kind: FieldKind
    minimum: float | None
    maximum: float | None

    @property
    def options(self) -> list[tuple[str, str]]: ...


class Wrong(ValueError):
    """A value does not fit; the message says what would."""

    def __init__(self, message: str, code: str = "invalid") -> None:
        super().__init__(message)
        self.message, self.code = message, code


def check(value: Any, rule: Rule) -> Any:
    """Return a value as it is stored; None: there is none.

    Raises:
        Wrong: it is no value of this kind.
    """
    if value is None or (isinstance(value, str) and is_blank(value)) or value == []:
        return None
    match rule.kind:
        case FieldKind.NUMBER:
            return _number(value, rule)
        case FieldKind.DATE:
            return _day(value)
        case FieldKind.YES_NO:
            if not isinstance(value, bool):
                raise Wrong(gettext("Must be true or false."))
            return value
        case FieldKind.CHOICE:
            return _choice(value, rule)
        case FieldKind.CHOICES:
            if not isinstance(value, list):
                raise Wrong(gettext("Must be a list."))
            return list(dict.fromkeys(_choice(one, rule) for one in value))
    return _text(value, rule.kind)


def in_words(value: Any, rule: Rule) -> str:
    """Return a stored value as people read it; one that does not fit its definition any more, as it is."""
    labels = dict(rule.options)
    if rule.kind == FieldKind.DATE and isinstance(value, str):
        try:
            return str(formats.date_format(date.fromisoformat(value)))
        except ValueError:
            return value
    if isinstance(value, list):
        return ", ".join(labels.get(str(one), str(one)) for one in value)
    return labels.get(value, as_text(value)) if isinstance(value, str) else as_text(value)


def as_text(value: Any) -> str:
    """Return a value whose kind is not known as people read it."""
    if isinstance(value, bool):
        return gettext("Yes") if value else gettext("No")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _number(value: Any, rule: Rule) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Wrong(gettext("Must be a number."))
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise Wrong(gettext("Must be a number.")) from None
    if not math.isfinite(found) or abs(found) > 10**15:
        raise Wrong(gettext("Must be a number."))
    if rule.minimum is not None and found < rule.minimum:
        raise Wrong(gettext("Must be {n} or more.").format(n=f"{rule.minimum:g}"), "min_value")
    if rule.maximum is not None and found > rule.maximum:
        raise Wrong(gettext("Must be {n} or less.").format(n=f"{rule.maximum:g}"), "max_value")
    return int(found) if found.is_integer() else found


def _day(value: Any) -> str:
    try:
        found = date.fromisoformat(value)
    except (TypeError, ValueError):
        found = None
    if found is None or found.isoformat() != value or not is_day_in_range(found):
        raise Wrong(gettext("Must be a date such as 2026-12-25."))
    return found.isoformat()


def _choice(value: Any, rule: Rule) -> str:
    values = [one for one, _label in rule.options]
    if not isinstance(value, str) or value not in values:
        raise Wrong(gettext("Must be one of: {values}.").format(values=", ".join(values)), "invalid_choice")
    return value


def _text(value: Any, kind: FieldKind) -> str:
    if not isinstance(value, str):
        raise Wrong(gettext("Must be a text."))
    text = value.replace("\x00", "").strip()
    most = MAX_LONG_TEXT if kind == FieldKind.LONG_TEXT else MAX_TEXT
    if len(text) > most:
        raise Wrong(gettext("At most {n} characters.").format(n=most), "too_long")
    if kind == FieldKind.ORDER and not ORDER.fullmatch(text):
        raise Wrong(gettext("Must be an order number: letters, digits, and - # . / between them."))
    if kind == FieldKind.PHONE and not PHONE.fullmatch(text):
        raise Wrong(gettext("Must be a phone number such as +49 30 123456."))
    if kind == FieldKind.EMAIL:
        try:
            validate_email(text)
        except ValidationError:
            raise Wrong(gettext("Must be an e-mail address such as ada@example.com.")) from None
    return text
