"""Days of a calendar as other programs export them: iCalendar (RFC 5545), read with the package `icalendar`.

All-day events are days, each a holiday unless it says that it is worked: by Apple's `X-APPLE-SPECIAL-DAY`, by a category, or by the end of
its name, as calendars of China's exchanged days have it. What repeats each year is given for the years that are asked for. A time of day,
or another way to repeat, is refused with its line, as it is no day of a business calendar.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from posthaste.lib.dates import is_day_in_range
from posthaste.lib.problems import Invalid
from routing.calendars.day_files import KINDS, MAX_ROWS, Faults, FileDay, WrongDay, name_in
from routing.calendars.holiday_data import MAX_NAME
from routing.models import DayKind

BEGIN = "BEGIN:VCALENDAR"
MAX_EVENTS = MAX_ROWS
#: The last year for which repeating events are given.
LAST_YEAR = 2100
#: Of one event: longer ones are no holiday.
MAX_LENGTH = 62
MAX_REPEATING = 200
#: What a yearly rule may have; anything else is refused with words.
PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH", "BYMONTHDAY", "BYDAY", "BYSETPOS"}
#: How names of days end that are worked in exchange for another one.
WORKED = re.compile(r"(?:[（(]\s*班\s*[)）]|补班|上班)$")
ONE_DAY = timedelta(days=1)
#: The step of a rule that is asked for one year only.
NEVER_AGAIN = 9_999


def read_calendar(text: str, *, years: range) -> tuple[list[FileDay], int]:
    """Return the days of a calendar in some years, in order, and how many others it has.

    Raises:
        Invalid: it is no calendar, or events are wrong; each error names the line where the event begins.
    """
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.strip().upper() == "BEGIN:VEVENT"]
    if len(lines) > MAX_EVENTS:  # before they are read, which takes long
        raise Invalid.field("file", _("At most {n} events.").format(n=MAX_EVENTS), "too_many")
    events = _events(text)
    moved = _moved(events)
    faults, found, outside = Faults(), dict[date, FileDay](), 0
    repeating = 0
    for index, event in enumerate(events):
        line = lines[index] if index < len(lines) else 0
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            continue
        repeating += "RRULE" in event
        if repeating > MAX_REPEATING:
            raise Invalid.field("file", _("At most {n} events that repeat.").format(n=MAX_REPEATING), "too_many")
        try:
            kind, name = _kind(event), _name(event)
            for day in _days(event, years, () if "RECURRENCE-ID" in event else moved[str(event.get("UID", ""))]):
                if day.year not in years:
                    outside += 1
                elif day in found:
                    found[day] = _both(found[day], FileDay(day, kind, name, [], line))
                else:
                    found[day] = FileDay(day, kind, name, [], line)
        except WrongDay as error:
            faults.add(line, str(error))
        except (ValueError, TypeError, AttributeError, OverflowError):  # the package's, about a property that is broken
            faults.add(line, _("The event can't be read. Export it again, or remove it."))
    faults.refuse()
    if not events:
        raise Invalid.field("file", _("There is no event in the calendar."))
    if len(found) > MAX_ROWS:
        raise Invalid.field("file", _("At most {n} days.").format(n=MAX_ROWS), "too_many")
    return sorted(found.values(), key=lambda each: each.day), outside


def _events(text: str) -> list[Any]:
    from icalendar import Calendar  # only what reads a file needs it

    try:
        calendars: Any = Calendar.from_ical(text, multiple=True)
        events = [event for calendar in calendars for event in calendar.walk("VEVENT")]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise Invalid.field("file", _("The calendar can't be read: {error}.").format(error=str(error)[:200])) from None
    return events


def _moved(events: Collection[Any]) -> dict[str, set[date]]:
    """Return, by the id of an event, which of its repetitions an event of its own stands for."""
    found: dict[str, set[date]] = defaultdict(set)
    for event in events:
        if (instead := event.get("RECURRENCE-ID")) is not None and isinstance(getattr(instead, "dt", None), date):
            found[str(event.get("UID", ""))].add(_as_day(instead.dt))
    return found


def _both(first: FileDay, second: FileDay) -> FileDay:
    """Return a day that two events name.

    Raises:
        WrongDay: one says that it is worked, the other that it is off.
    """
    if first.kind != second.kind:
        raise WrongDay(_("The same date as in line {line}, but of another kind. Remove one of them.").format(line=first.line))
    if second.name in first.name:
        return first
    return FileDay(first.day, first.kind, f"{first.name}, {second.name}"[:MAX_NAME], [], first.line)


def _kind(event: Any) -> DayKind:
    special = str(event.get("X-APPLE-SPECIAL-DAY", "")).upper()
    if special:
        return DayKind.WORKING if special == "ALTERNATE-WORKDAY" else DayKind.HOLIDAY
    named = [KINDS[word] for word in map(str.casefold, _categories(event)) if word in KINDS]
    if named:
        return named[0]
    return DayKind.WORKING if WORKED.search(str(event.get("SUMMARY", "")).strip()) else DayKind.HOLIDAY


def _categories(event: Any) -> list[str]:
    given = event.get("CATEGORIES", [])
    groups = given if isinstance(given, list) else [given]
    return [str(word).strip() for group in groups for word in getattr(group, "cats", [])]


def _name(event: Any) -> str:
    return name_in(str(event.get("SUMMARY", ""))[:MAX_NAME])


def _days(event: Any, years: range, moved: Collection[date]) -> Iterator[date]:
    """Yield the days of an event: of one that repeats, those in the years; it is left out where another event stands for it.

    Raises:
        WrongDay: with what is wrong, in the reader's language.
    """
    first, length = _span(event)
    repeats = "RRULE" in event
    starts = set(_repeated(event, first, range(years[0] - 1, years[-1] + 1))) if repeats else {first}
    starts |= _dates(event, "RDATE")
    for start in sorted(starts - _dates(event, "EXDATE") - set(moved)):
        days = (start + ONE_DAY * number for number in range(length))
        yield from (day for day in days if not repeats or day.year in years)


def _span(event: Any) -> tuple[date, int]:
    """Return the first day of an event, and how many it has."""
    first = getattr(event.get("DTSTART"), "dt", None)
    if not isinstance(first, date):
        raise WrongDay(_("The event has no day. Give it one, or remove it."))
    if isinstance(first, datetime):
        raise WrongDay(_("The event has a time of day. Make it an all-day event, or remove it."))
    if not is_day_in_range(first):
        raise WrongDay(_("Must be between 1970 and 2999."))
    end, lasts = getattr(event.get("DTEND"), "dt", None), getattr(event.get("DURATION"), "dt", None)
    if isinstance(end, date) and not isinstance(end, datetime):
        length = (end - first).days
    else:
        length = lasts.days if isinstance(lasts, timedelta) else 1
    if not 0 <= length <= MAX_LENGTH:
        raise WrongDay(_("The event must have between 1 and {n} days.").format(n=MAX_LENGTH))
    return first, max(length, 1)


def _dates(event: Any, name: str) -> set[date]:
    given = event.get(name, [])
    found = set()
    for group in given if isinstance(given, list) else [given]:
        found |= {_as_day(each.dt) for each in getattr(group, "dts", []) if isinstance(each.dt, date)}
    if not all(map(is_day_in_range, found)):
        raise WrongDay(_("Must be between 1970 and 2999."))
    if len(found) > MAX_ROWS:
        raise WrongDay(_("At most {n} days.").format(n=MAX_ROWS))
    return found


def _as_day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


def _repeated(event: Any, first: date, years: range) -> list[date]:
    """Return the days in some years on which an event that repeats each year begins."""
    given = event["RRULE"]
    rule: dict[str, list[Any]] = {} if isinstance(given, list) else {str(part).upper(): values for part, values in given.items()}
    if [str(each).upper() for each in rule.get("FREQ", [])] != ["YEARLY"] or set(rule) - PARTS:
        raise WrongDay(_("The event repeats in another way than each year. Export its days one by one, or remove it."))
    interval, count, until = (rule.get(part, [None])[0] for part in ("INTERVAL", "COUNT", "UNTIL"))
    step = max(int(interval or 1), 1)
    last = _as_day(until) if isinstance(until, date) else date.max
    found: list[date] = []
    for year in range(first.year if count else max(first.year, years[0]), years[-1] + 1):
        if (year - first.year) % step == 0:
            found += [day for day in _in_year(rule, first, year) if first <= day <= last]
        if count and len(found) >= int(count):
            break
    return [day for day in (found[: int(count)] if count else found) if day.year in years]


def _in_year(rule: dict[str, list[Any]], first: date, year: int) -> list[date]:
    """Return the days of a yearly rule in one year."""
    from dateutil import rrule

    parts = {name.lower(): ",".join(map(str, rule[name])) for name in ("BYMONTH", "BYMONTHDAY", "BYDAY", "BYSETPOS") if name in rule}
    if not {"bymonthday", "byday"} & set(parts):
        parts.setdefault("bymonth", str(first.month))
        parts["bymonthday"] = str(first.day)
    said = ";".join(f"{name.upper()}={value}" for name, value in parts.items())
    found: Any = rrule.rrulestr(f"FREQ=YEARLY;INTERVAL={NEVER_AGAIN};{said}", dtstart=datetime(year, 1, 1, tzinfo=UTC))
    return [at.date() for at in found]
