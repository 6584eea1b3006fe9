"""Which calendar counts, and how often the database is asked."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from accounts.models import Tenant
from routing.calendars.reading import Calendars
from routing.configuration import service_levels
from routing.models import BusinessCalendar, DayKind
from tests.routing.calendars.builders import OFFICE, make_calendar, make_day

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)  # a Tuesday
SATURDAY = datetime(2026, 12, 5, 10, tzinfo=UTC)


class Seconds:
    """A clock that stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def calendars(seconds: Seconds) -> Calendars:
    return Calendars(clock=seconds)


def test_the_named_calendar_counts_then_the_default_one_then_the_module(tenant: Tenant, calendars: Calendars, seconds: Seconds) -> None:
    with service_levels.set(hours=[]):
        assert not calendars.of(tenant.pk).is_open(NOW)
        make_calendar(tenant, at=NOW, hours=OFFICE)
        make_calendar(tenant, at=NOW, name="night", is_default=False, hours=[{"day": 2, "start": "20:00", "end": "00:00"}])
        seconds.now += 2
        assert calendars.of(tenant.pk).is_open(NOW)
        assert calendars.of(tenant.pk, "no such calendar").is_open(NOW)
        assert not calendars.of(tenant.pk, "night").is_open(NOW)


def test_the_database_is_asked_at_most_once_a_second_and_reads_only_what_changed(
    tenant: Tenant,
    calendars: Calendars,
    seconds: Seconds,
    django_assert_num_queries: Callable[[int], CaptureQueriesContext],
) -> None:
    calendar = make_calendar(tenant, at=NOW)
    with django_assert_num_queries(3):
        assert not calendars.of(tenant.pk).is_open(SATURDAY)
    with django_assert_num_queries(0):
        calendars.of(tenant.pk)
    seconds.now += 2
    with django_assert_num_queries(1):
        calendars.of(tenant.pk)
    make_day(calendar, "2026-12-05", DayKind.WORKING)
    BusinessCalendar.objects.update(version=F("version") + 1)
    seconds.now += 2
    assert calendars.of(tenant.pk).is_open(SATURDAY)
