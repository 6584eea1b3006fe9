"""A worker stops and starts again: the alarm is told and ends, and a page that is open shows both."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests import packages
from tests.integration.stack import Stack
from tests.integration.waiting import poll
from tests.peers.gateway import Gateway

CHROMIUM = str(packages.chromium() or "")
pytestmark = pytest.mark.both_stacks
NAME, TITLE = "no-consumers", "Workers missing"


@pytest.fixture
def receiver(stack: Stack) -> Iterator[Gateway]:
    """Listen for notices of critical alarms."""
    with Gateway() as gateway:
        usual = stack.http.get("/api/config/modules/alarms/").json()["effective"]
        receivers = [{"name": "hook", "kind": "webhook", "address": gateway.url, "least_severity": "critical"}]
        stack.configure("alarms", receivers=receivers, group_interval_seconds=0)
        yield gateway
        stack.configure("alarms", **usual)


@pytest.fixture
def page(stack: Stack) -> Iterator[Any]:
    """Open the alarms in a browser; None where there is none."""
    if not CHROMIUM:
        yield None
        return
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1440, "height": 900})
        opened.set_default_timeout(90_000)
        opened.goto(f"{stack.base_url}/admin/login/?next=/alarms/")
        opened.fill("#id_username", stack.demo["admin"]["username"])
        opened.fill("#id_password", stack.demo["admin"]["password"])
        opened.press("#id_password", "Enter")
        opened.wait_for_selector("#all-alarms")
        yield opened
        browser.close()


def told(gateway: Gateway, status: str) -> list[dict[str, Any]]:
    """Return the notices about the worker that were received, by status."""
    found = [record.body["metadata"] for record in list(gateway.records)]
    return [one for one in found if one["status"] == status and any(alarm["rule"] == NAME for alarm in one["alarms"])]


def alarms(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.http.get("/api/alarms/", rule=NAME).json()["results"]
    return found


def await_notice(stack: Stack, gateway: Gateway, status: str) -> dict[str, Any]:
    poll(
        lambda: told(gateway, status),
        progress=lambda: (len(gateway.records), [(one["state"], one["value"]) for one in alarms(stack)]),
        quiet_seconds=75,
        reason=lambda: f"no notice {status}: {alarms(stack)}; {stack.log_tail('beat')}",
    )
    return told(gateway, status)[0]


def acknowledge(page: Any) -> None:
    """Find the alarm in the list that was open all the time, go to its page and take charge."""
    row = page.locator("#all-alarms tbody tr", has_text=TITLE).first
    row.locator(".badge", has_text="Firing").wait_for()
    row.locator("th a").click()
    page.wait_for_selector("#alarm-now")
    page.locator("#ack-comment").fill("on it")
    page.get_by_role("button", name="Acknowledge").click()
    page.locator("#alarm-now .badge", has_text="Acknowledged").wait_for()


def test_a_stopped_worker_is_told_once_an_open_page_shows_it_and_the_alarm_ends_when_it_runs_again(
    stack: Stack, receiver: Gateway, page: Any
) -> None:
    stack.end("worker")
    notice = await_notice(stack, receiver, "firing")
    assert (notice["severity"], [one["rule"] for one in notice["alarms"]]) == ("critical", [NAME])
    shown = stack.http.get(f"/api/alarms/{notice['alarms'][0]['id']}/").json()
    assert (shown["state"], [one["way"] for one in shown["notices"]]) == ("firing", ["straight"])  # nothing could send it otherwise
    if page is not None:
        acknowledge(page)
    stack.start("worker")
    await_notice(stack, receiver, "resolved")
    assert len(told(receiver, "firing")) == len(told(receiver, "resolved")) == 1
    assert stack.http.get(f"/api/alarms/{notice['alarms'][0]['id']}/").json()["state"] == "resolved"
    if page is not None:
        page.locator("#alarm-now .badge", has_text="Resolved").wait_for()
