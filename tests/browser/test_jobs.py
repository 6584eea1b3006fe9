"""A job is run once in a real browser: its parameters, its log while it is written, its end, and stopping it."""

import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import structlog
from django.db import connections
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from jobs.models import JobRun
from jobs.services import execution, publishing, schedule
from tests.browser.looks import open_as
from tests.builders import TESTER
from tests.jobs.builders import declared, make_plan

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
log = structlog.get_logger(__name__)
go_on = threading.Event()


def talk(*, now: datetime, word: str = "hello", times: int = 3) -> None:
    """Say something, wait until the test has seen it, and say more."""
    for number in range(times):
        log.warning(f"{word} {number}")
    go_on.wait(60)
    log.warning("goodbye")


@pytest.fixture(autouse=True)
def _in_an_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright keeps one in this thread


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[threading.Thread]]:
    """Carry out what is published in threads of this process, as a worker would."""
    threads: list[threading.Thread] = []

    def carry_out(run: JobRun) -> None:
        try:
            execution.carry_out(str(run.pk))
        finally:
            connections.close_all()

    def publish(runs: Any) -> None:
        for run in runs:
            threads.append(threading.Thread(target=carry_out, args=[run]))
            threads[-1].start()

    monkeypatch.setattr(publishing, "publish", publish)
    go_on.clear()
    with declared("tests.talk", talk, stoppable=False):
        yield threads
        go_on.set()
        for thread in threads:
            thread.join(60)


def test_a_job_is_run_once_and_its_log_is_followed_to_its_end(live_server: Any, browser: Any, worker: list[threading.Thread]) -> None:
    plan, boss = make_plan("talks", task="tests.talk"), User.objects.create(username="boss", is_staff=True, is_superuser=True)
    page, said = open_as(browser, live_server.url, boss)
    page.goto(live_server.url + reverse("jobs"))
    page.get_by_role("link", name="talks").click()
    page.locator("#upcoming li").nth(4).wait_for()
    page.get_by_role("link", name="Run once").click()
    page.get_by_label("word").fill("good day")
    page.get_by_label("times").fill("2")
    page.get_by_role("button", name="Run now").click()
    page.wait_for_url("**/jobs/runs/**")
    page.locator("#job-log", has_text="good day 1").wait_for()
    page.locator("#run-facts", has_text="Running").wait_for()
    page.locator("#log-state", has_text="Live").wait_for()
    go_on.set()
    page.locator("#job-log", has_text="goodbye").wait_for()
    page.locator("#run-facts", has_text="Succeeded").wait_for()
    assert "good day 0" in page.locator("#job-log").inner_text()
    assert page.get_by_role("button", name="Stop").count() == 0
    page.goto(live_server.url + reverse("job", args=[plan.pk]))
    page.locator("#history", has_text="Succeeded").wait_for()
    assert said == []


def test_the_form_tells_the_next_runs_while_one_types(live_server: Any, browser: Any) -> None:
    plan, boss = make_plan(cron="0 6 * * *"), User.objects.create(username="boss", is_staff=True, is_superuser=True)
    page, said = open_as(browser, live_server.url, boss, width=390)
    page.goto(live_server.url + reverse("job-edit", args=[plan.pk]))
    page.locator("[data-times] li", has_text="06:00:00 UTC").nth(4).wait_for()
    page.get_by_label("Crontab").fill("30 7 * * *")
    page.get_by_label("Time zone").fill("Asia/Shanghai")
    page.locator("[data-times] li", has_text="07:30:00 CST").nth(4).wait_for()
    page.get_by_label("Fires").select_option("interval")
    page.get_by_label("Every").wait_for()
    assert not page.get_by_label("Crontab").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert said == []


def test_a_job_and_a_run_open_beside_their_lists_and_a_selection_outlasts_the_refresh(
    live_server: Any, browser: Any, worker: list[threading.Thread]
) -> None:
    plan, boss = make_plan("talks", task="tests.talk"), User.objects.create(username="boss", is_staff=True, is_superuser=True)
    other = make_plan("whispers", task="tests.talk")
    page, said = open_as(browser, live_server.url, boss)
    page.goto(live_server.url + reverse("jobs"))
    box = page.get_by_label("Select whispers")
    box.check()
    page.locator("[data-bulk]", has_text="1").wait_for()
    clock = page.locator("#all-jobs .live-line time").get_attribute("datetime")
    page.wait_for_function("(was) => document.querySelector('#all-jobs .live-line time').getAttribute('datetime') !== was", arg=clock)
    assert box.is_checked()
    page.locator("#all-jobs tbody tr", has_text="talks").locator("td").last.click()
    page.locator("#panel #upcoming li").nth(4).wait_for()
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.locator("#panel #upcoming li").nth(4).wait_for()
    run = schedule.run_job(row=plan.job, by=TESTER, now=timezone.now())[0]
    page.goto(live_server.url + reverse("job", args=[plan.pk]))
    page.locator("#history tbody tr").first.locator("td").first.click()
    page.locator("#panel #job-log", has_text="hello 2").wait_for()
    page.locator("#panel #log-state", has_text="Live").wait_for()
    go_on.set()
    page.locator("#panel #job-log", has_text="goodbye").wait_for()
    page.locator("#panel #run-facts", has_text="Succeeded").wait_for()
    page.goto(live_server.url + reverse("jobs"))
    page.get_by_label("Select whispers").check()
    page.locator("[data-bulk]").get_by_role("button", name="Disable").click()
    page.get_by_text("1 job is disabled.").wait_for()
    other.job.refresh_from_db()
    run.refresh_from_db()
    assert (other.job.enabled, run.state) == (False, "succeeded")
    assert said == []
