"""The overview in a real browser: its chart has an axis and a peak, and what is well is not drawn as trouble."""

import time
from typing import Any

import orjson
import pytest
from django.urls import reverse

from accounts.models import User
from tests.browser.looks import open_as

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


def frame(failed: int) -> bytes:
    """Return the figures of 15 minutes in which 37 messages a second came and left, and some failed in the last minute."""
    now = int(time.time()) // 5 * 5
    points = [
        {"at": at, "seconds": 5, "events": {"accepted": 185, "sent": 185, "failed": 5 * failed if at > now - 60 else 0}}
        for at in range(now - 900, now, 5)
    ]
    rates = {"accepted": 37.0, "sent": 37.0, "failed": float(failed)}
    queue = {"depth": 12, "capacity": 10_000, "waiting_in_database": 0, "usage_percent": 0.1}
    pool = {"threads": 10, "active_count": 4, "queue_usage_percent": 0.1}
    as_of = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    figures = {"type": "snapshot", "status": "live", "as_of": as_of, "points": points, "queues": {"message.send": queue}}
    return orjson.dumps(figures | {"pool": pool, "rates_per_second": rates})


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> User:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps an event loop in this thread
    return User.objects.create(username="root", is_staff=True, is_superuser=True)


@pytest.mark.parametrize("failed", [0, 3])
def test_the_chart_has_an_axis_and_a_peak_and_no_line_of_what_did_not_happen(
    live_server: Any, browser: Any, root: User, failed: int
) -> None:
    page, said = open_as(browser, live_server.url, root)
    page.route_web_socket("**/ws/statistics/**", lambda socket: socket.send(frame(failed).decode()))
    page.goto(live_server.url + reverse("admin:index"))
    page.locator("#live-state", has_text="live").wait_for()
    assert page.locator("[data-figure=axis-top]").inner_text() == "50"
    assert page.locator("[data-figure=axis-middle]").inner_text() == "25"
    assert page.locator("[data-figure=peak]").inner_text() == "37"
    lines = {name: page.locator(f"#spark .{name}").get_attribute("points") or "" for name in ("accepted", "sent", "failed")}
    assert len(lines["accepted"].split()) == 180
    assert bool(lines["failed"]) is bool(failed)
    heights = {float(point.split(",")[1]) for point in lines["accepted"].split()}
    assert heights == {39 - 38 * 37 / 50}
    assert said == []


def test_figures_that_no_longer_come_are_shown_as_old(live_server: Any, browser: Any, root: User) -> None:
    page, _said = open_as(browser, live_server.url, root)
    page.route_web_socket("**/ws/statistics/**", lambda socket: socket.send(frame(0).decode()))
    page.goto(live_server.url + reverse("admin:index"))
    page.locator("#live-state", has_text="live").wait_for()
    page.locator("#live-state", has_text="as of").wait_for()
    assert page.locator("#live [data-live]:not(.stale)").count() == 0


def test_the_strip_is_checked_again_and_says_when_it_could_not_be(live_server: Any, browser: Any, root: User) -> None:
    page, _said = open_as(browser, live_server.url, root)
    page.goto(live_server.url + reverse("admin:index"))
    page.route("**/admin/", lambda route: route.abort())
    page.locator("#health.stale", has_text="as of").wait_for()
    page.unroute("**/admin/")
    page.locator("#health:not(.stale)", has_text="checked").wait_for()
