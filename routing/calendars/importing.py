"""Import holidays and make-up days of a country into a calendar: what was imported before is replaced, what staff wrote stays."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import structlog
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services.audit import Actor
from jobs.registry import Blocking, job
from posthaste.lib import queues
from posthaste.lib.problems import Invalid
from posthaste.lib.rows import lock
from routing.actions import Action
from routing.calendars import holiday_data
from routing.calendars.editing import recount
from routing.calendars.holiday_data import Day
from routing.calendars.missing import AUTUMN
from routing.models import BusinessCalendar, CalendarDay

log = structlog.get_logger(__name__)
YEARS = range(2000, 2100)


@dataclass(slots=True)
class Changes:
    """What an import changes in a calendar."""

    added: list[Day] = field(default_factory=list)
    changed: list[Day] = field(default_factory=list)
    removed: list[CalendarDay] = field(default_factory=list)
    #: Days that staff wrote, and the import leaves as they are.
    kept: list[CalendarDay] = field(default_factory=list)
    same: int = 0
    is_announced: bool = True

    @property
    def number(self) -> int:
        """How many days differ."""
        return len(self.added) + len(self.changed) + len(self.removed)


def preview(*, calendar: BusinessCalendar, place: str, year: int, language: str = "") -> Changes:
    """Return what an import of a year would change; nothing is written.

    Raises:
        Invalid: the place or the year is not known.
    """
    if not holiday_data.is_known(place):
        raise Invalid.field("country", _("Must be a country, or a part of one, such as CN or DE-BE."))
    if year not in YEARS:
        raise Invalid.field("year", _("Must be between {first} and {last}.").format(first=YEARS[0], last=YEARS[-1]))
    there = {row.day: row for row in CalendarDay.objects.filter(calendar=calendar, day__year=year)}
    found = Changes(is_announced=holiday_data.is_announced(place, year))
    for day in holiday_data.days_of(place, year, language=language):
        row = there.pop(day.day, None)
        if row is None:
            found.added.append(day)
        elif not row.is_imported:
            found.kept.append(row)
        elif (row.kind, row.name) == (day.kind, day.name):
            found.same += 1
        else:
            found.changed.append(day)
    for row in there.values():
        (found.removed if row.is_imported else found.kept).append(row)
    return found


@transaction.atomic
def import_days(*, calendar: BusinessCalendar, place: str, year: int, language: str = "", by: Actor) -> Changes:
    """Replace the imported days of a year by those of a country or one of its parts, and keep the place for the next years.

    Raises:
        Invalid: the place or the year is not known.
        NotFound: the calendar was deleted meanwhile.
    """
    lock(calendar)
    changes = preview(calendar=calendar, place=place, year=year, language=language)
    own = CalendarDay.objects.filter(calendar=calendar, is_imported=True)
    own.filter(day__in=[*(row.day for row in changes.removed), *(day.day for day in changes.changed)]).delete()
    new = [CalendarDay(calendar=calendar, day=day.day, kind=day.kind, name=day.name, is_imported=True) for day in _new(changes)]
    CalendarDay.objects.bulk_create(new)
    BusinessCalendar.objects.filter(pk=calendar.pk).update(country=place)
    calendar.country = place
    told = {"added": len(changes.added), "changed": len(changes.changed), "removed": len(changes.removed), "kept": len(changes.kept)}
    recount(calendar, Action.CALENDAR_IMPORT, by, place=place, year=year, **told)
    return changes


def _new(changes: Changes) -> Collection[Day]:
    return [*changes.added, *changes.changed]


@job(
    "routing.import_holidays",
    title=gettext_lazy("Import holidays"),
    purpose=gettext_lazy("Imports the holidays of this year, and from October on of the next, into calendars that name a country."),
    cron="20 3 * * *",
    timeout=timedelta(minutes=5),
    blocking=Blocking.DISCARD,
    queue=queues.AI,
)
def import_holidays() -> None:
    """Import what calendars lack."""
    import_missing(now=timezone.now(), by=Actor.system("import_holidays"))


def import_missing(*, now: datetime, by: Actor) -> int:
    """Import each year that a calendar with a country has no imported days of, once it was announced; return how many were imported."""
    years = [now.year, now.year + 1] if now.month >= AUTUMN else [now.year]
    done = 0
    for calendar in BusinessCalendar.objects.exclude(country="").filter(tenant__is_active=True):
        there = set(calendar.days.filter(is_imported=True, day__gte=date(years[0], 1, 1)).values_list("day__year", flat=True))
        for year in years:
            if year not in there and holiday_data.is_announced(calendar.country, year):
                try:
                    import_days(calendar=calendar, place=calendar.country, year=year, by=by)
                    done += 1
                except Exception:
                    log.exception("holidays not imported", calendar=str(calendar.pk), year=year)
    return done
