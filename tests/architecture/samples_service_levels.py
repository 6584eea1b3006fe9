"""A calendar and a clock for the walks over all addresses."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from accounts.models import Tenant
from routing.models import BusinessCalendar, CalendarDay, Clock
from tests.builders import CsvBody
from tests.routing.calendars.builders import make_calendar, make_day
from tests.routing.service_levels.builders import make_clock, make_ticket


@dataclass(frozen=True, slots=True)
class OwnedLevels:
    """A calendar with a day, and a clock."""

    calendar: BusinessCalendar
    day: CalendarDay
    clock: Clock

    def rows(self) -> list[Any]:
        """List those whose ids are told to no other tenant."""
        return [self.calendar, self.clock]


def make_levels(tenant: Tenant) -> OwnedLevels:
    """Make one of everything about service levels."""
    calendar = make_calendar(tenant, at=timezone.now(), name="a-own-calendar", title="A's own calendar")
    return OwnedLevels(calendar=calendar, day=make_day(calendar, "2026-12-25"), clock=make_clock(make_ticket(tenant)))


CALENDAR = "levels.calendar.pk"
#: As `SAMPLES` of test_tenants.
LEVELS: dict[str, tuple[str, dict[str, Any]]] = {
    "api/business-calendars/<uuid:id>/": (CALENDAR, {"PATCH": {"title": "mine now"}}),
    "api/business-calendars/<uuid:id>/days/": (CALENDAR, {"POST": {"day": "2026-12-31"}}),
    "api/business-calendars/<uuid:id>/days/<int:day>/": (f"{CALENDAR} levels.day.pk", {}),
    "api/business-calendars/<uuid:id>/import/": (CALENDAR, {"POST": {"country": "DE", "year": 2026}}),
    "api/business-calendars/<uuid:id>/import-file/": (CALENDAR, {"POST": CsvBody(b"2027-01-01,mine")}),
    "api/clocks/<uuid:id>/": ("levels.clock.pk", {}),
}
