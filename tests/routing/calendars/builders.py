"""Calendars for tests."""

from datetime import date, datetime
from typing import Any

from accounts.models import Tenant
from routing.calendars.reading import forget
from routing.models import BusinessCalendar, CalendarDay, DayKind

OFFICE = [{"day": day, "start": "09:00", "end": "17:00"} for day in range(1, 6)]
ALWAYS = [{"day": day, "start": "00:00", "end": "00:00"} for day in range(1, 8)]


def make_calendar(tenant: Tenant, *, at: datetime, holidays: tuple[str, ...] = (), **fields: Any) -> BusinessCalendar:
    """Make a tenant's default calendar, open from nine to five from Monday to Friday."""
    made = {"name": "office", "title": "Office", "hours": OFFICE, "is_default": True, **fields}
    calendar = BusinessCalendar.objects.create(tenant=tenant, created_at=at, **made)
    CalendarDay.objects.bulk_create([CalendarDay(calendar=calendar, day=date.fromisoformat(day)) for day in holidays])
    forget(tenant.pk)
    return calendar


def make_day(calendar: BusinessCalendar, day: str, kind: DayKind = DayKind.HOLIDAY, **fields: Any) -> CalendarDay:
    """Make a day of a calendar."""
    return CalendarDay.objects.create(calendar=calendar, day=date.fromisoformat(day), kind=kind, **fields)
