"""Public holidays and make-up working days of countries and their parts, from the package `holidays`.

A place is a country's code, or one of its parts after a hyphen: CN, DE-BE. The package knows the days that China's State Council exchanges,
holidays and make-up days alike, for the years that were announced (a test compares 2026), so `chinesecalendar` would add nothing.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from django.utils.translation import get_language, to_locale

from routing.models import DayKind

#: Years back in which a place that exchanges days has done so.
LOOK_BACK = 3
MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class Day:
    """A day that differs from others of its weekday."""

    day: date
    kind: DayKind
    name: str


def is_known(place: str) -> bool:
    """Return whether holidays of a place are known."""
    country, _hyphen, part = place.partition("-")
    return country in _parts() and (not part or part in _parts()[country])


def countries() -> dict[str, str]:
    """Return the countries by code, named in the reader's language as Unicode's CLDR has it, in the order of their names."""
    named = _named(to_locale(get_language() or "en"))
    return dict(sorted(named.items(), key=lambda pair: pair[1]))


def parts_of(country: str) -> list[str]:
    """Return the codes of a country's parts that have holidays of their own."""
    return _parts().get(country, [])


def days_of(place: str, year: int, *, language: str = "") -> list[Day]:
    """Return the holidays and make-up days of a place in a year, in order. `language` is tried for their names, such as zh-hans.

    Raises:
        ValueError: the place is not known.
    """
    if not is_known(place):
        raise ValueError(place)
    return list(_days(place, year, language.replace("_", "-").lower()))


def is_announced(place: str, year: int) -> bool:
    """Return whether the days of a year are known in full: where days are exchanged each year, once those of the year are published."""
    if not is_known(place):
        return False
    exchanged = [any(day.kind == DayKind.WORKING for day in _days(place, each, "")) for each in range(year - LOOK_BACK, year + 1)]
    return bool(_days(place, year, "")) and (exchanged[-1] or not any(exchanged[:-1]))


@lru_cache(maxsize=1)
def _parts() -> dict[str, list[str]]:
    from holidays.utils import list_supported_countries  # takes long to import, which only what reads holidays should

    return {code: list(parts) for code, parts in list_supported_countries(include_aliases=False).items()}


@lru_cache(maxsize=8)
def _named(locale: str) -> dict[str, str]:
    from babel import Locale

    known = Locale.parse(locale).territories
    return {code: str(known.get(code, code)) for code in _parts()}


@lru_cache(maxsize=256)
def _days(place: str, year: int, language: str) -> tuple[Day, ...]:
    from holidays import country_holidays

    country, _hyphen, part = place.partition("-")
    known: Any = country_holidays(country, subdiv=part or None, years=year)
    if chosen := _language(known.supported_languages, language):
        known = country_holidays(country, subdiv=part or None, years=year, language=chosen)
    found = [Day(day, DayKind.HOLIDAY, str(name)[:MAX_NAME]) for day, name in known.items() if day.year == year]
    first = date(year, 1, 1)
    for number in range((date(year + 1, 1, 1) - first).days):
        day = first + timedelta(days=number)
        if known.is_weekend(day) and known.is_working_day(day):
            found.append(Day(day, DayKind.WORKING, ""))
    return tuple(sorted(found, key=lambda each: each.day))


def _language(supported: tuple[str, ...], wanted: str) -> str:
    """Return the best of the languages that names are known in; empty: the package's choice."""
    base = "zh_CN" if wanted.startswith("zh-hans") or wanted == "zh" else wanted.partition("-")[0] or "en"
    return next((each for each in supported if each == base), "") or next(
        (each for each in supported if each.partition("_")[0] == base), ""
    )
