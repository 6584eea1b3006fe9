"""Import days of a calendar from a file of staff: look first, then all of it or nothing. They are as if written by hand."""

from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict, Invalid
from posthaste.lib.rows import lock
from routing.actions import Action
from routing.calendars import day_files, ics_files
from routing.calendars.day_files import FileDay
from routing.calendars.editing import MAX_DAYS, recount
from routing.models import BusinessCalendar, CalendarDay

#: Years that a calendar of events gives, if none are asked for: this one and those after it.
YEARS = 3
MOST_YEARS = 10
FIRST_YEAR, LAST_YEAR = 1970, 2999


@dataclass(slots=True)
class FileChanges:
    """What a file changes in a calendar."""

    format: str
    added: list[FileDay] = field(default_factory=list)
    changed: list[FileDay] = field(default_factory=list)
    removed: list[CalendarDay] = field(default_factory=list)
    same: int = 0
    #: Days of the same years that are not in the file, and stay.
    kept: int = 0
    #: Days of the file in other years than those that were asked for.
    left_out: int = 0

    @property
    def number(self) -> int:
        """How many days differ."""
        return len(self.added) + len(self.changed) + len(self.removed)


@dataclass(frozen=True, slots=True)
class DayFile:
    """A file, and what is wanted of it: the years (0: all of a table, the next ones of a calendar), and whether others are removed."""

    content: bytes
    replace: bool = False
    from_year: int = 0
    to_year: int = 0


def preview(*, calendar: BusinessCalendar, file: DayFile, now: datetime) -> FileChanges:
    """Return what a file would change in a calendar; nothing is written.

    Raises:
        Invalid: it can't be read, is too large, or lines are wrong; each error names its line.
    """
    days, found = _read(file, now=now)
    touched = {each.day.year for each in days}
    there = {row.day: row for row in CalendarDay.objects.filter(calendar=calendar)}
    for one in days:
        row = there.pop(one.day, None)
        if row is None:
            found.added.append(one)
        elif (row.kind, row.name, row.hours) == (one.kind, one.name, one.hours):
            found.same += 1
        else:
            found.changed.append(one)
    for row in there.values():
        if row.day.year not in touched:
            continue
        if file.replace and not (row.is_imported and calendar.country):  # those come again with the next import of the country
            found.removed.append(row)
        else:
            found.kept += 1
    if len(there) + len(days) - len(found.removed) > MAX_DAYS:
        raise Invalid.field("file", _("The calendar would have more than {n} days.").format(n=MAX_DAYS), "too_many")
    return found


@transaction.atomic
def import_file(*, calendar: BusinessCalendar, file: DayFile, version: int | None = None, by: Actor, now: datetime) -> FileChanges:
    """Store the days of a file, and return what they changed. `version` is that of the calendar when its preview was shown.

    Raises:
        Invalid: as for `preview`.
        Conflict: the calendar was changed since the preview.
        NotFound: it was deleted meanwhile.
    """
    lock(calendar)
    calendar.refresh_from_db(fields=["version", "country"])
    if version is not None and version != calendar.version:
        raise Conflict(_("The calendar was changed in the meantime. Look at the new preview, then import."))
    changes = preview(calendar=calendar, file=file, now=now)
    if not changes.number:
        return changes
    own = CalendarDay.objects.filter(calendar=calendar)
    own.filter(day__in=[*(row.day for row in changes.removed), *(one.day for one in changes.changed)]).delete()
    new = [*changes.added, *changes.changed]
    CalendarDay.objects.bulk_create(
        CalendarDay(calendar=calendar, day=one.day, kind=one.kind, name=one.name, hours=one.hours) for one in new
    )
    told = {"added": len(changes.added), "changed": len(changes.changed), "removed": len(changes.removed), "same": changes.same}
    recount(calendar, Action.CALENDAR_IMPORT, by, file=changes.format, **told)
    return changes


def _read(file: DayFile, *, now: datetime) -> tuple[list[FileDay], FileChanges]:
    text = day_files.text_of(file.content)
    is_calendar = text.lstrip().upper().startswith(ics_files.BEGIN)
    first = file.from_year or (now.year if is_calendar else FIRST_YEAR)
    last = file.to_year or (max(first, now.year) + YEARS - 1 if is_calendar else LAST_YEAR)
    if not FIRST_YEAR <= first <= last <= LAST_YEAR:
        raise Invalid.field("to_year", _("Must not be before the first year."))
    if not is_calendar:
        days = day_files.read_table(text)
        wanted = [each for each in days if first <= each.day.year <= last]
        return wanted, FileChanges("csv", left_out=len(days) - len(wanted))
    if last - first >= MOST_YEARS:
        raise Invalid.field("to_year", _("At most {n} years.").format(n=MOST_YEARS))
    if last > ics_files.LAST_YEAR:
        raise Invalid.field("to_year", _("Must be between {first} and {last}.").format(first=FIRST_YEAR, last=ics_files.LAST_YEAR))
    found, left_out = ics_files.read_calendar(text, years=range(first, last + 1))
    return found, FileChanges("ics", left_out=left_out)
