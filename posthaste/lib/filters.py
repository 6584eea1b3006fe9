"""Filters of lists that refuse what they do not understand, in place of a guess."""

import re
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django_filters.rest_framework import DjangoFilterBackend, FilterSet
from rest_framework import serializers

INTEGER = re.compile("-?[0-9]{1,20}")
NO_VALUE = _("Enter a value, or leave the parameter out.")
TRUTHS = {"true": True, "1": True, "false": False, "0": False}


class TruthField(forms.Field):
    """Takes `true`, `false`, `1` and `0`; not given is None."""

    widget = forms.TextInput
    default_error_messages = {"invalid": _("Must be true, false, 1 or 0.")}

    def to_python(self, value: Any) -> bool | None:
        if value is None:
            return None
        try:
            return TRUTHS[str(value).lower()]
        except KeyError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None


class TruthFilter(django_filters.BooleanFilter):  # type: ignore[misc]  # no types
    """`?is_enabled=true`."""

    field_class = TruthField


class DigitsField(forms.IntegerField):
    """Takes a whole number in ASCII digits; Python reads `1_0`, `+5`, `1.0`, a line feed and digits of other scripts as numbers too."""

    def to_python(self, value: Any) -> int | None:
        if isinstance(value, str) and value and not INTEGER.fullmatch(value):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        found: int | None = super().to_python(value)
        return found


class QueryInteger(serializers.IntegerField):
    """A parameter of a query: a whole number in ASCII digits, as `DigitsField` takes it."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, str) or not INTEGER.fullmatch(data):
            self.fail("invalid")
        return super().to_internal_value(data)


class IntegerFilter(django_filters.NumberFilter):  # type: ignore[misc]  # no types
    """`?priority=5`; a fraction is refused."""

    field_class = DigitsField


#: Parameters of a list beside its filters: its page and its form.
OTHERS = frozenset({"cursor", "limit", "format"})


class StrictFilterSet(FilterSet):  # type: ignore[misc]  # no types
    """Refuses a parameter that does not exist or has no value: the list would be of more than was asked for."""

    def is_valid(self) -> bool:
        self._refuse_what_does_not_narrow()
        return bool(super().is_valid())

    def _refuse_what_does_not_narrow(self) -> None:
        errors = self.form.errors
        for name in self.data or ():
            if name not in self.filters and name not in OTHERS:
                text = _("Unknown parameter. Available: {known}.").format(known=", ".join(self.filters))
                errors[name] = self.form.error_class([ValidationError(text, code="unknown")])
            elif name in self.filters and "" in self.data.getlist(name):
                blank = ValidationError(NO_VALUE, code="blank")
                errors[name] = self.form.error_class([blank])


class Backend(DjangoFilterBackend):  # type: ignore[misc]  # no types
    """Filters of the API's lists, also of those that only name fields."""

    filterset_base = StrictFilterSet
