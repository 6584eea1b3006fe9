"""Create, change and delete business calendars and their days. Each change counts the calendar's version up, so that clocks follow."""

from collections.abc import Iterable
from datetime import date, datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib import zones
from posthaste.lib.dates import is_day_in_range
from posthaste.lib.problems import Conflict, Invalid, NotFound
from posthaste.lib.rows import lock
from routing.actions import Action
from routing.calendars import holiday_data, periods, reading
from routing.configuration import service_levels
from routing.models import BusinessCalendar, CalendarDay, DayKind

FIELDS = ("name", "title", "time_zone", "hours", "is_default", "country")
MAX_DAYS = 2_000


@transaction.atomic
def create_calendar(*, calendar: BusinessCalendar, by: Actor, now: datetime) -> BusinessCalendar:
    """Check and store a new calendar. A tenant's first one, and one that is to be it, becomes the default.

    Raises:
        Invalid: the name is taken, or the time zone, the hours or the country is wrong.
    """
    check_calendar(calendar)
    calendar.created_at = now
    calendar.version = 1
    _leave_one_default(calendar)
    calendar.save(force_insert=True)
    _changed(calendar, Action.CALENDAR_CREATE, by)
    return calendar


@transaction.atomic
def change_calendar(*, calendar: BusinessCalendar, fields: Iterable[str], by: Actor) -> BusinessCalendar:
    """Check and store a changed calendar; `fields` are of `FIELDS`.

    Raises:
        Invalid: as for `create_calendar`.
        NotFound: it was deleted meanwhile.
    """
    changed = sorted(set(fields))
    if wrong := set(changed) - set(FIELDS):
        raise ValueError(f"Not to be changed here: {', '.join(sorted(wrong))}")
    lock(calendar)
    check_calendar(calendar)
    if "is_default" in changed:
        _leave_one_default(calendar)
    if changed:
        calendar.save(update_fields=changed)
    _count_up(calendar)
    _changed(calendar, Action.CALENDAR_CHANGE, by, fields=changed)
    return calendar


@transaction.atomic
def delete_calendar(*, calendar: BusinessCalendar, by: Actor) -> None:
    """Delete a calendar that no target names. Without a default one the hours of the module Service levels count.

    Raises:
        Conflict: a target names it.
        NotFound: it was deleted meanwhile.
    """
    lock(calendar)
    if any(target.calendar == calendar.name for target in service_levels.of(calendar.tenant_id).targets):
        raise Conflict(_("A target of the service levels names this calendar. Change the target first."))
    _changed(calendar, Action.CALENDAR_DELETE, by)
    calendar.delete()


@transaction.atomic
def set_day(*, calendar: BusinessCalendar, day: CalendarDay, by: Actor) -> CalendarDay:
    """Store a day of a calendar, in place of the one it had for that date. No import changes it any more.

    Raises:
        Invalid: its hours are wrong, or there are too many days.
        NotFound: the calendar was deleted meanwhile.
    """
    lock(calendar)
    check_day(day)
    if calendar.days.exclude(day=day.day).count() >= MAX_DAYS:
        raise Invalid.field("days", _("At most {n} days.").format(n=MAX_DAYS), "max_length")
    values = {"kind": day.kind, "name": day.name, "hours": day.hours, "is_imported": False}
    row, _made = CalendarDay.objects.update_or_create(calendar=calendar, day=day.day, defaults=values)
    _count_up(calendar)
    _changed(calendar, Action.CALENDAR_CHANGE, by, day=day.day.isoformat(), kind=str(day.kind))
    return row


@transaction.atomic
def remove_day(*, calendar: BusinessCalendar, day: date, by: Actor) -> None:
    """Remove a day of a calendar. One that was imported comes with the next import again: make it a working day instead.

    Raises:
        NotFound: the calendar, or the day in it, is not there.
    """
    lock(calendar)
    gone, _by_model = calendar.days.filter(day=day).delete()
    if not gone:
        raise NotFound
    _count_up(calendar)
    _changed(calendar, Action.CALENDAR_CHANGE, by, removed=day.isoformat())


def check_calendar(calendar: BusinessCalendar) -> None:
    """Check a calendar before it is stored, and put its hours in order.

    Raises:
        Invalid: the name is taken, or the time zone, the hours or the country is wrong.
    """
    for field in ("name", "title"):
        if not str(getattr(calendar, field)).strip():
            raise Invalid.field(field, _("Must not be empty."), "blank")
    same = BusinessCalendar.objects.filter(tenant_id=calendar.tenant_id, name=calendar.name).exclude(pk=calendar.pk)
    if same.exists():
        raise Invalid.field("name", _("There is already a calendar with this name."), "unique")
    if zones.zone(calendar.time_zone) is None:
        raise Invalid.field("time_zone", _("There is no time zone with this name. Use one such as Europe/Paris."))
    if calendar.country and not holiday_data.is_known(calendar.country):
        raise Invalid.field("country", _("Must be a country, or a part of one, such as CN or DE-BE."))
    try:
        calendar.hours = periods.check((each["day"], each["start"], each["end"]) for each in calendar.hours)
    except (ValueError, TypeError, KeyError) as error:
        raise Invalid.field("hours", str(error) if type(error) is ValueError else _("Each entry has day, start and end.")) from None


def check_day(day: CalendarDay) -> None:
    """Check a day before it is stored.

    Raises:
        Invalid: its date is out of range, or its hours are wrong.
    """
    if not is_day_in_range(day.day):
        raise Invalid.field("day", _("Must be between 1970 and 2999."))
    if day.kind == DayKind.HOLIDAY:
        day.hours = []
    try:
        made = periods.check((1, start, end) for start, end in day.hours)
    except (ValueError, TypeError) as error:
        raise Invalid.field("hours", str(error) if type(error) is ValueError else _("Each period has a start and an end.")) from None
    day.hours = [[each["start"], each["end"]] for each in made]


def recount(calendar: BusinessCalendar, action: Action, by: Actor, **detail: Any) -> None:
    """Count a calendar's version up and note what was done, in the caller's transaction, which has locked it."""
    _count_up(calendar)
    _changed(calendar, action, by, **detail)


def _leave_one_default(calendar: BusinessCalendar) -> None:
    others = BusinessCalendar.objects.filter(tenant_id=calendar.tenant_id).exclude(pk=calendar.pk)
    if calendar._state.adding and not others.exists():
        calendar.is_default = True
    if calendar.is_default:
        others.filter(is_default=True).update(is_default=False)


def _count_up(calendar: BusinessCalendar) -> None:
    BusinessCalendar.objects.filter(pk=calendar.pk).update(version=F("version") + 1)


def _changed(calendar: BusinessCalendar, action: Action, by: Actor, **detail: Any) -> None:
    audit.record(by=by, action=action, target=calendar.name, tenant_id=calendar.tenant_id, detail={"id": str(calendar.pk), **detail})
    transaction.on_commit(partial(reading.forget, calendar.tenant_id), robust=True)
