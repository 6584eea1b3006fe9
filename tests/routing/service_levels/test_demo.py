"""The demo has a calendar with holidays and a conversation that is late, however often it is loaded."""

from datetime import UTC, datetime

import pytest

from accounts.models import Tenant
from routing.demo.service_levels import load_calendar, load_late
from routing.models import BusinessCalendar, Clock
from routing.service_levels import sweeping
from tests.builders import TESTER
from tests.routing.builders import make_entrance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
MONDAY = datetime(2026, 11, 30, 4, tzinfo=UTC)


def test_one_conversation_is_late_after_the_first_sweep(tenant: Tenant) -> None:
    entrance = make_entrance(tenant)
    for _time in range(2):
        load_calendar(tenant=tenant, by=TESTER, now=MONDAY)
        load_late(entrance=entrance, now=MONDAY)
    sweeping.sweep(now=MONDAY)
    assert BusinessCalendar.objects.get().days.filter(day__year=2026, is_imported=True).exists()
    assert [clock.metric for clock in Clock.objects.filter(breached_at__isnull=False)] == ["first_response"]
