"""The dates that are taken from outside: years 1970 to 2999, in every time zone.

Python, SQLite and PostgreSQL each have their own range (years 1–9999, any text, 4713 BC–294276 AD). A date near the edge of one
of them is stored and then can't be read, or can't be shown in the reader's time zone.
"""

from datetime import UTC, date, datetime

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

#: A day less at both ends: the year stays within the bounds whatever the offset.
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
LATEST = datetime(2999, 12, 30, tzinfo=UTC)
OUT_OF_RANGE = _("Must be between 1970-01-02 and 2999-12-30, in UTC.")


def is_in_range(value: datetime) -> bool:
    """Return whether an aware time lies in the years 1970 to 2999 in UTC and with any offset."""
    return EARLIEST <= value < LATEST


def is_day_in_range(value: date) -> bool:
    """Return whether a day lies in the years 1970 to 2999."""
    return 1970 <= value.year <= 2999


def within_range(value: datetime) -> None:
    """Validate a time for forms and serializers.

    Raises:
        ValidationError: it is out of range.
    """
    if not is_in_range(value):
        raise ValidationError(OUT_OF_RANGE, code="out_of_range")
