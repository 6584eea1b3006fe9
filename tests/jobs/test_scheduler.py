"""When jobs are due: after a restart, after an outage of beat, and with schedules that never come round."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from celery.schedules import crontab, schedule
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from accounts.models import User
from jobs import registry
from jobs import scheduler as jobs_scheduler
from jobs.models import Counted
from jobs.registry import Misfire, job
from jobs.scheduler import Entry, LeaderScheduler, without_missed
from jobs.services import schedule as schedules
from tests.builders import TESTER

pytestmark = pytest.mark.django_db(transaction=True)  # the scheduler closes connections
DECLARED: dict[str, Any] = {"title": "Tidy", "purpose": "Tidies.", "timeout": timedelta(seconds=30)}


@pytest.fixture(autouse=True)
def _registered_for_the_test() -> Iterator[None]:
    known = set(registry._queues)
    yield
    for name in set(registry._queues) - known:
        current_app.tasks.pop(name, None)
        registry._queues.pop(name)
        registry._jobs.pop(name, None)


def beat() -> LeaderScheduler:
    """Start a beat process, as far as the schedule goes."""
    return LeaderScheduler(app=current_app._get_current_object())


def seen_since(name: str, span: timedelta) -> None:
    """Let a job that never ran be known for some time."""
    assert Counted.objects.filter(name=name).update(since=timezone.now() - span) == 1


def test_a_restart_keeps_the_first_due_time() -> None:
    job("tests.tidy", every=timedelta(days=1), **DECLARED)(lambda: None)
    beat()
    seen_since("tests.tidy", timedelta(hours=20))
    for _restart in range(3):
        due, seconds = beat().schedule["tests.tidy"].is_due()
        assert not due
        assert 3.9 * 3600 < seconds <= 4 * 3600
    seen_since("tests.tidy", timedelta(hours=25))
    assert beat().schedule["tests.tidy"].is_due().is_due


def test_a_changed_description_postpones_nothing_and_another_schedule_counts_anew() -> None:
    every = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.DAYS)
    row = schedules.create_job(job=PeriodicTask(name="mine", task="messaging.recover", interval=every), by=TESTER)
    seen_since("mine", timedelta(hours=25))
    row.description = "changed"
    schedules.change_job(job=row, fields=["description"], by=TESTER)
    assert beat().schedule["mine"].is_due().is_due
    schedules.change_job(job=row, fields=["interval"], by=TESTER)
    assert not beat().schedule["mine"].is_due().is_due
    seen_since("mine", timedelta(hours=25))
    every.every = 2
    every.save()
    assert not beat().schedule["mine"].is_due().is_due


def test_a_job_that_is_switched_on_again_is_not_started_for_the_time_it_was_off() -> None:
    every = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.DAYS)
    row = schedules.create_job(job=PeriodicTask(name="mine", task="messaging.recover", interval=every), by=TESTER)
    schedules.disable_jobs(ids=[row.pk], by=TESTER)
    Counted.objects.update_or_create(name="mine", defaults={"since": timezone.now() - timedelta(days=9), "schedule": "every 1 days"})
    schedules.enable_jobs(ids=[row.pk], by=TESTER)
    assert not beat().schedule["mine"].is_due().is_due


def test_what_was_missed_is_made_up_for_once_or_skipped_as_the_job_declares() -> None:
    for name, misfire in (("tests.once", Misfire.RUN_ONCE), ("tests.skips", Misfire.SKIP)):
        job(name, every=timedelta(hours=1), misfire=misfire, **DECLARED)(lambda: None)
    beat()
    PeriodicTask.objects.filter(task__startswith="tests.").update(last_run_at=timezone.now() - timedelta(hours=5, minutes=30))
    found = beat().schedule
    assert found["tests.once"].is_due().is_due
    made_up = next(found["tests.once"])
    assert not made_up.is_due().is_due
    due, seconds = found["tests.skips"].is_due()
    assert not due
    assert 29 * 60 < seconds <= 30 * 60, "an interval keeps its beat"


def test_the_only_run_of_a_job_is_never_skipped() -> None:
    job("tests.skips", every=timedelta(hours=1), misfire=Misfire.SKIP, **DECLARED)(lambda: None)
    beat()
    PeriodicTask.objects.filter(name="tests.skips").update(one_off=True, last_run_at=timezone.now() - timedelta(hours=5, minutes=30))
    assert Entry(PeriodicTask.objects.get(name="tests.skips"), app=current_app).is_due().is_due


NOW = datetime(2026, 5, 4, 10, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("last", "counted"),
    [
        (NOW - timedelta(seconds=59), NOW - timedelta(seconds=59)),
        (NOW - timedelta(minutes=61), NOW - timedelta(minutes=1)),
        (NOW - timedelta(hours=3, minutes=10), NOW - timedelta(minutes=10)),
    ],
)
def test_missed_runs_of_an_interval_are_left_out_in_whole_steps(last: datetime, counted: datetime) -> None:
    assert without_missed(schedule(timedelta(hours=1)), last, NOW) == counted


def test_a_crontab_run_that_is_a_moment_late_was_not_missed() -> None:
    daily = crontab(minute="0", hour="10", nowfun=lambda: NOW)
    counted = without_missed(daily, NOW - timedelta(days=3), NOW)
    assert daily.is_due(counted).is_due
    later = NOW + timedelta(minutes=5)
    daily = crontab(minute="0", hour="10", nowfun=lambda: later)
    assert not daily.is_due(without_missed(daily, NOW - timedelta(days=3), later)).is_due


def test_a_missed_crontab_is_made_up_for_at_once_whatever_the_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    far = (timezone.now() - timedelta(hours=6)).hour
    job("tests.daily", cron=f"0 {far} * * *", **DECLARED)(lambda: None)
    beat()
    PeriodicTask.objects.filter(name="tests.daily").update(last_run_at=timezone.now() - timedelta(days=1, hours=12))
    assert beat().schedule["tests.daily"].is_due().is_due


NEVER: list[dict[str, str]] = [
    {"day_of_month": "31", "month_of_year": "2"},
    {"day_of_month": "31", "month_of_year": "4,6,9,11"},
    {"day_of_month": "30,31", "month_of_year": "2"},
]


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    return client


def save(client: Client, model: type[Model], **fields: str) -> str:
    name = model._meta.model_name
    answer = client.post(reverse(f"admin:django_celery_beat_{name}_add"), fields)
    return "" if answer.status_code == 302 else answer.content.decode()


@pytest.mark.parametrize("wrong", NEVER)
def test_a_crontab_that_never_comes_round_is_refused_with_the_reason(boss: Client, wrong: dict[str, str]) -> None:
    usual = {"minute": "0", "hour": "6", "day_of_month": "*", "month_of_year": "*", "day_of_week": "*", "timezone": "UTC"}
    before = CrontabSchedule.objects.count()
    assert "none of these months has such a day" in save(boss, CrontabSchedule, **(usual | wrong))
    assert CrontabSchedule.objects.count() == before
    assert save(boss, CrontabSchedule, **(usual | {"day_of_month": "29", "month_of_year": "2"})) == ""


def test_an_interval_beyond_the_calendar_is_refused(boss: Client) -> None:
    for every in ("2000000000", "3651"):
        assert "At most 3650 days" in save(boss, IntervalSchedule, every=every, period="days")
    assert not IntervalSchedule.objects.exists()


def test_a_job_is_not_put_on_a_schedule_that_never_comes_round(boss: Client) -> None:
    never = CrontabSchedule.objects.create(minute="0", hour="0", **NEVER[0])
    form = {"name": "mine", "regtask": "messaging.recover", "enabled": "on", "crontab": str(never.pk), "headers": "{}"}
    assert "none of these months has such a day" in save(boss, PeriodicTask, **form)
    assert not PeriodicTask.objects.filter(name="mine").exists()


@pytest.mark.parametrize("wrong", [{"cron": "0 0 31 2 *"}, {"cron": "0 0 30,31 2 *"}, {"every": timedelta(days=3651)}])
def test_a_declared_schedule_that_never_comes_round_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"tests\.tidy"):
        job("tests.tidy", **(DECLARED | wrong))(lambda: None)


def test_rows_that_cannot_be_scheduled_are_logged_and_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    never = CrontabSchedule.objects.create(minute="0", hour="0", **NEVER[0])
    endless = IntervalSchedule.objects.create(every=2_000_000_000, period=IntervalSchedule.DAYS)
    PeriodicTask.objects.create(name="never", task="messaging.recover", crontab=never)
    PeriodicTask.objects.create(name="endless", task="messaging.recover", interval=endless)
    said: list[str] = []
    monkeypatch.setattr(jobs_scheduler.log, "error", lambda _event, job, **_more: said.append(job))
    found = beat().schedule
    assert "feed" in found
    assert not {"never", "endless"} & set(found)
    assert {"never", "endless"} <= set(said)


def test_a_run_that_would_find_nothing_to_do_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> bool:
        raise ConnectionError

    answers: dict[str, Any] = {"tests.idle": lambda: False, "tests.needed": lambda: True, "tests.unknown": broken, "tests.always": None}
    for name, is_needed in answers.items():
        job(name, every=timedelta(hours=1), is_needed=is_needed, **DECLARED)(lambda: None)
    scheduler, published = beat(), []
    monkeypatch.setattr(scheduler, "apply_async", lambda entry, **_options: published.append(entry.task))
    for name in answers:
        scheduler.apply_entry(scheduler.schedule[name])
    assert published == ["tests.needed", "tests.unknown", "tests.always"]


def test_beat_rests_between_two_looks_also_when_a_run_is_nearly_due(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = beat()
    for said, pause in ((0.0, 0.0), (0.004, 0.05), (-0.006, 0.05), (0.4, 0.415), (5.0, 1.0)):
        monkeypatch.setattr(DatabaseScheduler, "tick", lambda *_args, said=said, **_options: said)
        assert scheduler.tick() == pytest.approx(pause)


@pytest.mark.parametrize(("renew_seconds", "times"), [(100.0, 1), (0.0, 3)])
def test_the_leader_renews_its_lease_when_that_is_due_however_often_it_ticks(
    renew_seconds: float, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler, asked = beat(), []

    def lead(**options: Any) -> int:
        asked.append(options)
        return 1

    monkeypatch.setattr(jobs_scheduler, "RENEW_SECONDS", renew_seconds)
    monkeypatch.setattr(scheduler, "_lead", lead)
    monkeypatch.setattr(DatabaseScheduler, "tick", lambda *_args, **_options: 0.0)
    for _ in range(3):
        assert scheduler.tick() == 0.0
    assert len(asked) == times


def test_a_process_that_stands_by_asks_with_every_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler, answers = beat(), [0, 0, 1]
    monkeypatch.setattr(scheduler, "_lead", lambda **_options: answers.pop(0))
    monkeypatch.setattr(DatabaseScheduler, "tick", lambda *_args, **_options: 0.4)
    assert [scheduler.tick() == 1.0 for _ in range(3)] == [True, True, False]
