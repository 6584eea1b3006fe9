"""Which days a report is about: days of a time zone, as the reader or the schedule has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from posthaste.lib import zones
from posthaste.lib.dates import is_day_in_range
from posthaste.lib.problems import Invalid
from routing.calendars.reading import calendar_of

MAX_DAYS = 92
USUAL_DAYS = 7


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days, the last one included, in a zone."""

    first: date
    last: date
    zone: ZoneInfo

    @property
    def since(self) -> datetime:
        """When the first day begins."""
        return datetime.combine(self.first, time(), self.zone)

    @property
    def until(self) -> datetime:
        """When the last day is over."""
        return datetime.combine(self.last + timedelta(days=1), time(), self.zone)

    def each(self) -> list[date]:
        """Return all days, oldest first."""
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]


def zone_of(tenant_id: int, name: str = "") -> ZoneInfo:
    """Return a zone by its name; by default that of the tenant's default calendar.

    Raises:
        Invalid: there is no such zone.
    """
    found = zones.zone(name or str(calendar_of(tenant_id).zone))
    if found is None:
        raise Invalid.field("zone", _("There is no time zone with this name. Use one such as Europe/Paris."))
    return found


def days_of(given: Mapping[str, str], *, tenant_id: int, now: datetime) -> Days:
    """Return the days that `from`, `to` and `zone` ask for; by default the last seven, today included.

    Raises:
        Invalid: they are no days, in the wrong order, or too many.
    """
    zone = zone_of(tenant_id, given.get("zone", ""))
    today = now.astimezone(zone).date()
    last = _day("to", given.get("to", "")) or today
    first = _day("from", given.get("from", "")) or last - timedelta(days=USUAL_DAYS - 1)
    if first > last:
        raise Invalid.field("from", _("The first day must not be after the last one."))
    if (last - first).days >= MAX_DAYS:
        raise Invalid.field("from", _("At most {n} days at once.").format(n=MAX_DAYS))
    return Days(first, last, zone)


def _day(name: str, text: str) -> date | None:
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or not is_day_in_range(found):
        raise Invalid.field(name, _("Must be a date such as 2026-12-25."))
    return found
