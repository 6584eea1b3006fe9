"""Whole numbers in addresses are taken in ASCII digits only."""

import pytest
from django.core.exceptions import ValidationError
from rest_framework import serializers

from posthaste.lib.filters import WholeField, WholeNumber

OTHERS = ["1.0", "1_0", "+5", "٣", "5\n", " 5", "１", "1e3", "0x10"]


@pytest.mark.parametrize("text", OTHERS)
def test_other_forms_of_a_number_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        WholeField().clean(text)
    with pytest.raises(serializers.ValidationError):
        WholeNumber().run_validation(text)


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("42", 42), ("-1", -1), ("007", 7)])
def test_digits_are_read(text: str, number: int) -> None:
    assert (WholeField().clean(text), WholeNumber().run_validation(text)) == (number, number)
