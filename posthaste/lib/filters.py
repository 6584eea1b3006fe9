"""Parameters of addresses, such as filters of lists: what is not understood is refused, in place of a guess."""

import re
from collections.abc import Collection
from functools import cache
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from django_filters.rest_framework import DjangoFilterBackend, FilterSet
from rest_framework import serializers

from posthaste.lib.problems import Invalid, errors_for

NO_VALUE = _("Enter a value, or leave the parameter out.")
#: The form of the answer, at every address.
FORMAT = "format"
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


#: A whole number in an address. Python's `int` would also take 1_0, +1, digits of other scripts and blanks.
WHOLE = re.compile(r"-?[0-9]{1,20}")


class WholeField(forms.IntegerField):
    """Takes digits; not given is None."""

    def to_python(self, value: Any) -> int | None:
        if isinstance(value, str) and value and not WHOLE.fullmatch(value):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value)


class IntegerFilter(django_filters.NumberFilter):  # type: ignore[misc]  # no types
    """`?priority=5`; a fraction is refused."""

    field_class = WholeField


class WholeNumber(serializers.IntegerField):
    """A whole number in an address."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, str) or not WHOLE.fullmatch(data):
            self.fail("invalid")
        return int(super().to_internal_value(data))


class Query(serializers.Serializer[dict[str, Any]]):
    """Base of the parameters of an address that is no list: one without a value is refused."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        blank = {name: [serializers.ErrorDetail(str(NO_VALUE), code="blank")] for name in data if data[name] == ""}
        if blank:
            raise serializers.ValidationError(blank)
        values: dict[str, Any] = super().to_internal_value(data)
        return values


class StrictFilterSet(FilterSet):  # type: ignore[misc]  # no types
    """Refuses a filter without a value: the list would be of more than was asked for."""

    def is_valid(self) -> bool:
        errors = self.form.errors
        for name in self.data or ():
            if name in self.filters and "" in self.data.getlist(name):
                errors[name] = self.form.error_class([ValidationError(NO_VALUE, code="blank")])
        return bool(super().is_valid())


@cache
def parameters_of(view: Any, method: str) -> dict[str, bool]:
    """Return the parameters that a class of views takes with a method, and whether each may be repeated.

    They are the fields of `view.queries`; and of a list its filters, and what names its page.
    """
    found: dict[str, bool] = {}
    if method == "GET":
        for backend in view.filter_backends:
            filters = getattr(backend().get_filterset_class(view, view.queryset), "base_filters", {})
            found |= {name: isinstance(entry, django_filters.MultipleChoiceFilter) for name, entry in filters.items()}
        if view.pagination_class is not None:
            found |= {entry["name"]: False for entry in view.pagination_class().get_schema_operation_parameters(view)}
    if query := view.queries.get(method):
        found |= {name: isinstance(field, serializers.ListField) for name, field in query().fields.items()}
    return found


def check_parameters(given: QueryDict, known: dict[str, bool]) -> None:
    """Check the parameters of an address against those that exist, with whether each may be repeated.

    Raises:
        Invalid: naming each that does not exist, or is there twice and counts once.
    """
    wrong = [name for name in given if name != FORMAT and not (name in known and (known[name] or len(given.getlist(name)) == 1))]
    if wrong:
        raise Invalid(errors=errors_for(wrong, lambda name: _error(name, known)))


def _error(name: str, known: Collection[str]) -> dict[str, Any]:
    if name in known:
        return {"field": name, "code": "repeated", "message": str(_("Give this parameter once."))}
    text = _("Unknown parameter. Available: {known}.") if known else _("Unknown parameter. This address takes none.")
    return {"field": name, "code": "unknown", "message": str(text).format(known=", ".join(known))}


class Backend(DjangoFilterBackend):  # type: ignore[misc]  # no types
    """Filters of the API's lists, also of those that only name fields."""

    filterset_base = StrictFilterSet
