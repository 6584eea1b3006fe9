"""Working days: of a country with its public holidays and exchanged days, or simply Monday to Friday."""

from datetime import date
from functools import lru_cache
from typing import Any

from django.utils.translation import get_language, to_locale
from django.utils.translation import gettext as _

WEEKDAYS = "weekdays"


@lru_cache(maxsize=32)
def _country(code: str) -> Any:
    import holidays

    return holidays.country_holidays(code)


def names() -> dict[str, str]:
    """Return the calendars by code: every day, Monday to Friday, and each country that is known."""
    return {"": _("Every day"), WEEKDAYS: _("Monday to Friday"), **_countries(to_locale(get_language() or "en"))}


@lru_cache(maxsize=8)
def _countries(locale: str) -> dict[str, str]:
    """Return the countries by code, named in a language as Unicode's CLDR has it."""
    from babel import Locale
    from holidays.registry import COUNTRIES

    known = Locale.parse(locale).territories
    return {code: f"{code} · {known.get(code, code)}" for code in sorted(codes[1] for codes in COUNTRIES.values())}


def is_known(code: str) -> bool:
    """Return whether there is a calendar of that code."""
    return code in ("", WEEKDAYS) or code in names()


def last_year(code: str) -> int | None:
    """Return the last year whose days off a calendar knows, or None where it knows all."""
    return int(_country(code).end_year) if code not in ("", WEEKDAYS) else None


def is_working_day(code: str, day: date) -> bool:
    """Return whether a job with that calendar runs on a day. Days that are worked in exchange for others count as working days."""
    if not code:
        return True
    if code == WEEKDAYS:
        return day.weekday() < 5
    return bool(_country(code).is_working_day(day))
