"""Jobs are declared beside what they run: their schedule, their queue and how their runs are kept apart follow from that."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any

import pytest
from celery import current_app
from celery.exceptions import NotRegistered
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from structlog.testing import capture_logs

from jobs import registry
from jobs.models import Plan
from jobs.registry import Blocking, job
from jobs.scheduler import LeaderScheduler
from jobs.services import plans
from posthaste.lib import locks, redis

DECLARED: dict[str, Any] = {"title": "Tidy", "purpose": "Tidies.", "timeout": timedelta(seconds=30)}


@pytest.fixture(autouse=True)
def _registered_for_the_test() -> Iterator[None]:
    known = set(registry._queues)
    yield
    for name in set(registry._queues) - known:
        current_app.tasks.pop(name, None)
        registry._queues.pop(name)
        registry._jobs.pop(name, None)


def test_the_platform_has_the_jobs_that_it_had() -> None:
    found = {job.entry: (job.name, job.every, job.expires.total_seconds(), job.stoppable) for job in registry.jobs()}
    expected = {
        "feed": ("messaging.feed", timedelta(seconds=1), 3.0, False),
        "recover": ("messaging.recover", timedelta(seconds=2), 5.0, False),
        "look up unknown outcomes": ("messaging.look_up_unknown", timedelta(seconds=30), 30.0, False),
        "maintain partitions": ("messaging.maintain_partitions", timedelta(hours=1), 600.0, True),
        "set aside unreadable messages": ("messaging.set_aside_unreadable", timedelta(minutes=10), 300.0, False),
        "forget idempotency keys": ("messaging.forget_idempotency_keys", timedelta(hours=1), 600.0, True),
        "remove old events": ("messaging.remove_old_events", timedelta(minutes=15), 600.0, False),
        "forget old releases": ("configcenter.forget_old_releases", timedelta(days=1), 3600.0, True),
        "jobs.remove_old_runs": ("jobs.remove_old_runs", timedelta(hours=1), 3600.0, False),
    }
    assert {entry: found.get(entry) for entry in expected} == expected


@pytest.mark.django_db(transaction=True)  # the scheduler closes connections
def test_the_scheduler_writes_the_registered_jobs_into_its_table() -> None:
    job("tests.tidy", cron="30 4 * * *", time_zone="Asia/Shanghai", retries=2, **DECLARED)(lambda: None)
    scheduler = LeaderScheduler(app=current_app._get_current_object())
    assert set(scheduler.schedule) == {each.entry for each in registry.frequent()}, "the others keep their runs"
    row = PeriodicTask.objects.select_related("plan", "crontab").get(name="tests.tidy")
    assert (row.task, row.crontab.hour, row.crontab.minute) == ("tests.tidy", "4", "30")
    assert (row.plan.time_zone, row.plan.retries, row.plan.timeout_seconds) == ("Asia/Shanghai", 2, 30)
    assert not PeriodicTask.objects.filter(name="celery.backend_cleanup").exists()


@pytest.mark.django_db(transaction=True)
def test_what_people_changed_outlasts_a_start_and_what_they_did_not_follows_the_declaration() -> None:
    job("tests.tidy", every=timedelta(hours=1), **DECLARED)(lambda: None)
    plans.declare_all(now=timezone.now())
    Plan.objects.filter(job__name="tests.tidy").update(timeout_seconds=7)
    plans.declare_all(now=timezone.now())
    assert Plan.objects.get(job__name="tests.tidy").timeout_seconds == 30
    Plan.objects.filter(job__name="tests.tidy").update(timeout_seconds=7, is_edited=True)
    plans.declare_all(now=timezone.now())
    assert Plan.objects.get(job__name="tests.tidy").timeout_seconds == 7


@pytest.mark.django_db(transaction=True)
def test_a_row_whose_job_is_not_installed_any_more_is_not_started() -> None:
    every = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.SECONDS)
    row = PeriodicTask.objects.create(name="removed", task="removed.job", interval=every)
    Plan.objects.create(job=row, keeps_runs=False, anchor=timezone.now(), cursor=timezone.now())
    scheduler = LeaderScheduler(app=current_app._get_current_object())
    assert "feed" in scheduler.schedule
    assert "removed" not in scheduler.schedule


def test_a_job_is_routed_to_its_queue_and_an_unknown_task_nowhere() -> None:
    job("tests.tidy", every=timedelta(hours=1), queue="delayed", **DECLARED)(lambda: None)
    router = current_app.amqp.Router()
    for name, queue in (("tests.tidy", "delayed"), ("messaging.deliver", "message.send"), ("messaging.sandbox_receipts", "notification")):
        assert router.route({}, name)["queue"].name == queue
    with pytest.raises(NotRegistered):
        router.route({}, "nobody.knows")


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"every": timedelta(hours=1), "cron": "0 6 * * *"},
        {"cron": "every day"},
        {"cron": "99 4 * * *"},
        {"every": timedelta(0)},
        {"every": timedelta(hours=1), "timeout": timedelta(minutes=-5)},
        {"every": timedelta(hours=1), "expires": timedelta(0)},
        {"every": timedelta(hours=1), "queue": "nowhere"},
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"tests\.tidy|[Cc]ron"):
        job("tests.tidy", **(DECLARED | wrong))(lambda: None)


def test_a_crontab_with_a_wrong_value_is_refused_with_that_value() -> None:
    with pytest.raises(ValueError, match="99"):
        job("tests.tidy", cron="99 4 * * *", **DECLARED)(lambda: None)


def test_a_function_that_needs_arguments_is_no_job() -> None:
    def tidy(order: int) -> None:
        raise AssertionError(order)

    with pytest.raises(ValueError, match="default to order"):
        job("tests.tidy", every=timedelta(hours=1), **DECLARED)(tidy)


def test_a_name_is_taken_once() -> None:
    for name, entry in (("messaging.feed", "another"), ("tests.once", "feed")):
        with pytest.raises(ValueError, match="declared twice"):
            job(name, every=timedelta(hours=1), entry=entry, **DECLARED)(lambda: None)


def test_the_worker_runs_the_function_with_the_time_of_the_run() -> None:
    seen: list[datetime] = []

    @job("tests.tidy", every=timedelta(hours=1), **DECLARED)
    def tidy(*, now: datetime) -> None:
        seen.append(now)

    current_app.tasks["tests.tidy"]()
    tidy(now=seen[0])
    assert len(seen) == 2


def overlapping(blocking: Blocking) -> tuple[Event, Event, list[str], Thread]:
    """Start a run that goes on until it is let go."""
    has_begun, may_end, order = Event(), Event(), list[str]()

    @job("tests.slow", every=timedelta(hours=1), blocking=blocking, **DECLARED)
    def slow() -> None:
        order.append("began")
        if len(order) == 1:
            has_begun.set()
            may_end.wait(20)
            lock = locks.current("job tests.slow")
            order.append("overtaken" if lock and lock.lost.wait(2 if blocking is Blocking.COVER else 0) else "ended")

    thread = Thread(target=registry.run, args=["tests.slow"], kwargs={"now": timezone.now()})
    thread.start()
    assert has_begun.wait(20)
    return has_begun, may_end, order, thread


@pytest.mark.parametrize(
    ("blocking", "ran", "order"),
    [
        (Blocking.DISCARD, False, ["began", "ended"]),
        (Blocking.OVERLAP, True, ["began", "began", "ended"]),
        (Blocking.COVER, True, ["began", "began", "overtaken"]),
    ],
)
def test_a_run_that_is_due_while_one_runs(blocking: Blocking, ran: bool, order: list[str]) -> None:
    _begun, may_end, seen, thread = overlapping(blocking)
    try:
        assert registry.run("tests.slow", now=timezone.now()) is ran
    finally:
        may_end.set()
        thread.join(20)
    assert seen == order


def test_a_queued_run_waits_for_the_running_one() -> None:
    _begun, may_end, seen, thread = overlapping(Blocking.QUEUE)
    second = Thread(target=registry.run, args=["tests.slow"], kwargs={"now": timezone.now()})
    second.start()
    may_end.set()
    thread.join(20)
    second.join(20)
    assert seen == ["began", "ended", "began"]


def test_a_job_runs_without_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    job("tests.tidy", every=timedelta(hours=1), **DECLARED)(lambda: seen.append(1))

    def away(*_args: Any, **_kwargs: Any) -> None:
        raise redis.Unavailable

    monkeypatch.setattr(locks, "simple", away)
    assert registry.run("tests.tidy", now=timezone.now())
    assert seen == [1]


def test_a_run_past_its_time_out_is_logged() -> None:
    job("tests.late", every=timedelta(hours=1), **(DECLARED | {"timeout": timedelta(microseconds=1)}))(lambda: None)
    with capture_logs() as logged:
        registry.run("tests.late", now=timezone.now())
    assert [(entry["log_level"], entry["job"]) for entry in logged] == [("warning", "tests.late")]
