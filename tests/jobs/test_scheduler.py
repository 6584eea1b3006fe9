"""The beat process: what it fires when jobs are switched on, and when it gives up runs of workers that are silent."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from celery import current_app
from django.db import OperationalError
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from jobs import registry
from jobs import scheduler as beat
from jobs.models import JobRun, Plan
from jobs.scheduler import Entry, LeaderScheduler
from jobs.services import drafts, plans, publishing, schedule, transitions
from posthaste.lib import heartbeat
from tests.builders import TESTER
from tests.jobs.builders import make_plan

pytestmark = pytest.mark.django_db(transaction=True)  # the scheduler closes connections


def feed() -> Plan:
    return Plan.objects.select_related("job", *plans.WITH_SCHEDULES).get(job__name="feed")


@pytest.mark.parametrize("way", ["switch", "edit"])
def test_a_frequent_job_that_is_enabled_is_due_at_its_next_time_and_not_for_the_past(way: str) -> None:
    now = timezone.now()
    plans.declare_all(now=now - timedelta(days=3))
    every = timedelta(hours=2)
    schedule.change_job(row=feed().job, draft=replace(drafts.draft_of(feed()), when=plans.When(every=every)), by=TESTER, now=now)
    PeriodicTask.objects.filter(name="feed").update(last_run_at=now - timedelta(days=2))
    schedule.disable_jobs(ids=[feed().pk], by=TESTER, now=now)
    if way == "switch":
        schedule.enable_jobs(ids=[feed().pk], by=TESTER, now=now)
    else:
        schedule.change_job(row=feed().job, draft=replace(drafts.draft_of(feed()), enabled=True), by=TESTER, now=now)
    is_due, seconds = Entry(feed().job, app=current_app._get_current_object()).is_due()
    assert not is_due
    assert every.total_seconds() - 60 < seconds <= every.total_seconds()


def test_all_runs_that_are_due_are_published_at_one_tick_though_the_next_of_the_other_jobs_is_far(monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[str] = []
    monkeypatch.setattr(DatabaseScheduler, "apply_entry", lambda _self, entry, producer=None: published.append(entry.task))
    monkeypatch.setattr(registry, "is_needed", lambda _task: True)
    monkeypatch.setattr(heartbeat, "start", lambda _kind: None)
    now = timezone.now()
    plans.declare_all(now=now)
    PeriodicTask.objects.filter(plan__keeps_runs=False).update(last_run_at=now - timedelta(minutes=1))
    scheduler = LeaderScheduler(app=current_app._get_current_object())
    pause = scheduler.tick()
    scheduler.close()  # what it has noted goes into the database
    assert sorted(published) == sorted(each.name for each in registry.frequent())
    assert len(published) > 10
    assert 0 < pause <= 1.0, "then it rests until the next one"


def test_a_run_counts_as_lost_only_when_its_worker_had_time_to_tell_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(beat, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(publishing, "publish", lambda _runs: None)
    now = timezone.now()
    run = schedule.run_job(row=make_plan().job, by=TESTER, now=now)[0]
    transitions.claim(run.pk, worker="test", now=now)
    JobRun.objects.update(lease_until=now - timedelta(seconds=1))
    scheduler = LeaderScheduler(app=current_app._get_current_object())
    swept = publishing.sweep

    def away(**_: object) -> None:
        raise OperationalError("the database is away")

    def state_after(seconds: float) -> str:
        clock[0] += seconds
        scheduler._fire_due()
        run.refresh_from_db()
        return run.state

    assert state_after(beat.TRUST_SECONDS - 1) == "running", "this process has just begun to look"
    monkeypatch.setattr(publishing, "sweep", away)
    assert state_after(60) == "running"
    monkeypatch.setattr(publishing, "sweep", swept)
    assert state_after(beat.TRUST_SECONDS - 1) == "running", "the database is back, and leases are being renewed"
    assert state_after(beat.LOOK_SECONDS) == "failed"
    assert run.error == "worker_lost"
