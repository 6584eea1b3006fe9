"""Business calendars and clocks in the admin."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.test import Client

from accounts.models import Member, Tenant, User
from routing.models import BusinessCalendar, CalendarDay
from tests.routing.calendars.builders import make_calendar, make_day
from tests.routing.service_levels.builders import make_clock, make_talk, make_ticket

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 30, 10, tzinfo=UTC)
LIST = "/admin/routing/businesscalendar/"


@pytest.fixture
def client(tenant: Tenant) -> Client:
    user = User.objects.create(username="ada", is_staff=True)
    Member.objects.create(user=user, tenant=tenant, role="operator")
    client = Client()
    client.force_login(user)
    return client


def filled(tenant: Tenant, days: list[dict[str, Any]] | None = None, kept: int = 0, **changes: Any) -> dict[str, Any]:
    """Return the form of a calendar; the first `kept` of its days are there already."""
    inputs = {"tenant": tenant.pk, "title": "Office", "name": "office", "time_zone": "Asia/Shanghai", "country": "", "day_1": "9:00-18:00"}
    inputs |= {"days-TOTAL_FORMS": len(days or []), "days-INITIAL_FORMS": kept}
    for number, day in enumerate(days or []):
        inputs |= {f"days-{number}-{name}": value for name, value in {"name": "", "hours": "", "kind": "holiday", **day}.items()}
    return {**inputs, **changes}


def test_a_calendar_is_made_with_a_line_for_each_day_of_the_week(client: Client, tenant: Tenant) -> None:
    wrong = client.post(f"{LIST}add/", filled(tenant, day_2="nine to five"))
    assert "Write periods such as" in wrong.content.decode()
    assert client.post(f"{LIST}add/", filled(tenant, day_2="09:00-12:00, 13:00-24:00")).status_code == 302
    calendar = BusinessCalendar.objects.get()
    assert [(each["day"], each["start"], each["end"]) for each in calendar.hours] == [
        (1, "09:00", "18:00"),
        (2, "09:00", "12:00"),
        (2, "13:00", "00:00"),
    ]
    page = client.get(f"{LIST}{calendar.pk}/change/").content.decode()
    assert "09:00-12:00, 13:00-24:00" in page
    assert "No holidays of" in page
    assert "No holidays of" in client.get(LIST).content.decode()


def test_days_are_changed_on_the_page_of_their_calendar(client: Client, tenant: Tenant) -> None:
    calendar = make_calendar(tenant, at=NOW, version=1)
    imported, gone = make_day(calendar, "2026-12-25", is_imported=True), make_day(calendar, "2026-12-26", is_imported=True)
    days = [
        {"id": imported.pk, "calendar": calendar.pk, "day": "2026-12-25", "kind": "working", "hours": "10:00-12:00"},
        {"id": gone.pk, "calendar": calendar.pk, "day": "2026-12-26", "DELETE": "on"},
        {"calendar": calendar.pk, "day": "2026-12-31", "name": "Inventory"},
    ]
    answer = client.post(f"{LIST}{calendar.pk}/change/", filled(tenant, days, kept=2))
    assert answer.status_code == 302, answer.content.decode()
    found = {day.day: (day.kind, day.hours, day.is_imported) for day in CalendarDay.objects.all()}
    assert found == {date(2026, 12, 25): ("working", [["10:00", "12:00"]], False), date(2026, 12, 31): ("holiday", [], False)}
    calendar.refresh_from_db()
    assert calendar.version == 5


def test_an_import_is_previewed_before_it_is_made(client: Client, tenant: Tenant) -> None:
    calendar = make_calendar(tenant, at=NOW)
    address, asked = f"{LIST}{calendar.pk}/import/", {"country": "CN", "part": "", "year": 2026}
    assert client.get(address).status_code == 200
    assert "Parts that are known" in client.post(address, {**asked, "country": "DE", "part": "XX"}).content.decode()
    assert "2026-02-14" in client.post(address, asked).content.decode()
    assert not CalendarDay.objects.exists()
    assert client.post(address, {**asked, "apply": "1"}).status_code == 302
    assert CalendarDay.objects.filter(is_imported=True).count() == 28


def test_what_lacks_holidays_needs_attention(client: Client, tenant: Tenant) -> None:
    make_calendar(tenant, at=NOW)
    assert "A calendar lacks holidays" in client.get("/admin/").content.decode()


def test_clocks_are_listed_and_opened(client: Client, tenant: Tenant) -> None:
    clock = make_clock(make_talk(tenant), facts={"priority": "urgent", "level": "gold"})
    make_clock(make_ticket(tenant, number=4711), metric="due_day", facts={"due_on": "2026-12-24"})
    page = client.get("/admin/routing/clock/").content.decode()
    assert all(text in page for text in ("First response", "Urgent · gold", "#4711", "2026-12-24"))
    assert client.get(f"/admin/routing/clock/{clock.pk}/change/").status_code == 200
