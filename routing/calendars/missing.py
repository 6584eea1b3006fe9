"""Which calendars lack holidays: none of this year, or, from October on, not all of the next year."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db.models import Count
from django.utils.translation import gettext as _

from routing.calendars import holiday_data
from routing.models import BusinessCalendar, CalendarDay

#: The month from which on the next year is looked at.
AUTUMN = 10


class Lack(StrEnum):
    """What a calendar lacks."""

    THIS_YEAR = "this_year"
    NEXT_YEAR = "next_year"
    #: Holidays of the next year are there, but not yet the days that are exchanged.
    NOT_ANNOUNCED = "not_announced"


@dataclass(frozen=True, slots=True)
class Missing:
    """What a calendar lacks of a year."""

    calendar: BusinessCalendar
    lack: Lack
    year: int

    @property
    def text(self) -> str:
        """Say it in the reader's language."""
        if self.lack == Lack.NOT_ANNOUNCED:
            return _("The make-up days of {year} are not known yet. Add them by hand, or import them after an update.").format(
                year=self.year
            )
        return _("No holidays of {year}.").format(year=self.year)


def missing(calendars: Iterable[BusinessCalendar], *, now: datetime) -> list[Missing]:
    """Return what some calendars lack; one query. A calendar that is open on all seven days needs no holidays."""
    asked = [each for each in calendars if len({entry["day"] for entry in each.hours}) < 7]
    numbers = _numbers([each.pk for each in asked], (now.year, now.year + 1))
    found: list[Missing] = []
    for calendar in asked:
        this, following = (numbers.get((calendar.pk, year), {}) for year in (now.year, now.year + 1))
        if not this:
            found.append(Missing(calendar, Lack.THIS_YEAR, now.year))
        if now.month < AUTUMN:
            continue
        if not following:
            found.append(Missing(calendar, Lack.NEXT_YEAR, now.year + 1))
        elif calendar.country and not following.get(False) and not holiday_data.is_announced(calendar.country, now.year + 1):
            found.append(Missing(calendar, Lack.NOT_ANNOUNCED, now.year + 1))
    return found


def of_tenants(tenant_ids: Collection[int] | None, *, now: datetime) -> list[Missing]:
    """Return what the calendars of some tenants, or of all, lack."""
    rows = BusinessCalendar.objects.filter(tenant__is_active=True)
    return missing(rows if tenant_ids is None else rows.filter(tenant_id__in=list(tenant_ids)), now=now)


def _numbers(calendar_ids: Collection[UUID], years: Collection[int]) -> dict[tuple[UUID, int], dict[bool, int]]:
    """Count the days of calendars by year and by whether they were imported."""
    rows = CalendarDay.objects.filter(calendar__in=calendar_ids, day__year__in=years).order_by()
    found: dict[tuple[UUID, int], dict[bool, int]] = defaultdict(dict)
    for pk, year, is_imported, number in rows.values_list("calendar", "day__year", "is_imported").annotate(number=Count("pk")):
        found[pk, year][is_imported] = number
    return found
