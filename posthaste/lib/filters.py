"""Filters of lists that refuse what they do not understand, in place of a guess."""

from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

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
