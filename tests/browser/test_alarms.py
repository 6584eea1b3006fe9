"""The pages of the alarms in a real browser: filters, the panel beside the list, and times in the reader's zone."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from monitor.models import Alarm, Silence
from tests.browser.alarms import alarm_pages
from tests.browser.looks import open_as
from tests.builders import TESTER

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]
SHANGHAI = timedelta(hours=8)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, live_server: Any, browser: Any) -> Iterator[Any]:
    """Open pages as an administrator in Shanghai; nothing may be said on the console, but of a form that was refused."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    admin = User.objects.create(username="admin", is_staff=True, is_superuser=True)
    alarm_pages()
    page, said = open_as(browser, live_server.url, admin, zone="Asia/Shanghai")
    yield page
    assert [line for line in said if "status of 422" not in line] == []


def shown(page: Any) -> list[str]:
    return list(page.locator("#all-alarms tbody th a").all_inner_texts())


def test_the_list_is_filtered_by_chips_and_by_words(live_server: Any, opened: Any) -> None:
    opened.goto(live_server.url + reverse("alarms"))
    assert len(shown(opened)) == 7
    opened.locator(".chip summary", has_text="Severity").click()
    opened.locator(".chip a", has_text="Warning").click()
    opened.wait_for_url("**severity=warning")
    assert shown(opened) == ["Backlog too large"]
    opened.fill("#list-search", "breaker")
    opened.press("#list-search", "Enter")
    opened.get_by_text("No alarm fits these filters.").wait_for()
    opened.get_by_role("link", name="Remove the filter: Severity").click()
    opened.wait_for_url("**?q=breaker")
    assert len(shown(opened)) == 6


def test_an_alarm_opens_beside_the_list_and_is_acknowledged_there(live_server: Any, opened: Any) -> None:
    opened.goto(live_server.url + reverse("alarms"))
    opened.locator("#all-alarms tbody tr", has_text="Backlog too large").locator("td").first.click()
    panel = opened.locator("#panel")
    panel.locator(".alarm-plot polyline").wait_for()
    assert unquote(opened.url).endswith(f"#row={reverse('alarm', args=[Alarm.objects.get(rule='backlog').pk])}")
    panel.locator("#ack-comment").fill("mine")
    panel.get_by_role("button", name="Acknowledge").click()
    opened.locator("#alarm-now .badge", has_text="Acknowledged").wait_for()
    assert Alarm.objects.get(rule="backlog").acknowledged_by == "user:admin"


def test_a_maintenance_window_is_planned_in_the_zone_of_its_reader(live_server: Any, opened: Any) -> None:
    opened.goto(live_server.url + reverse("alarm-silences"))
    assert opened.locator("[data-zone-name]").inner_text() == "Asia/Shanghai"
    start = (timezone.now() + SHANGHAI + timedelta(days=2)).replace(hour=9, minute=0, second=0, microsecond=0)
    opened.fill("#starts_at", f"{start:%Y-%m-%dT%H:%M}")
    opened.fill("#ends_at", f"{start:%Y-%m-%d}T08:00")
    opened.fill("#comment", "Planned work")
    opened.get_by_role("button", name="Plan", exact=True).click()
    opened.get_by_text("Must be in the future, and after the start.").wait_for()
    assert opened.input_value("#starts_at") == f"{start:%Y-%m-%dT%H:%M}"
    opened.fill("#ends_at", f"{start:%Y-%m-%d}T10:00")
    opened.get_by_role("button", name="Plan", exact=True).click()
    opened.get_by_text("Planned.", exact=True).wait_for()
    planned: datetime = Silence.objects.get(comment="Planned work").starts_at
    assert planned == start.replace(tzinfo=planned.tzinfo) - SHANGHAI
    row = opened.locator("table.rows tr", has_text="Planned work")
    assert "9:00:00" in row.inner_text()
    assert TESTER.name not in row.inner_text()


def test_the_axis_of_the_plot_is_in_the_readers_zone(live_server: Any, opened: Any) -> None:
    opened.goto(live_server.url + reverse("alarm", args=[Alarm.objects.get(rule="backlog").pk]))
    marks = opened.locator(".alarm-plot text[data-at]")
    last = datetime.fromisoformat(marks.last.get_attribute("data-at")).astimezone(timezone.get_fixed_timezone(SHANGHAI))
    assert f"{last:%H:%M}" in marks.last.text_content()
