"""Fire times become runs: each exactly once, none missed, nothing for the past."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction
from django_celery_beat.models import PeriodicTask

from jobs.models import JobRun, Plan, RunState, Trigger
from jobs.policies import Misfire
from jobs.services import drafts, firing, plans, publishing, schedule
from jobs.services.firing import Clock
from jobs.services.plans import When
from tests.builders import TESTER
from tests.crowds import at_once
from tests.jobs.builders import T0, make_plan
from tests.jobs.test_timing import NIGHTS, fired

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
LOOK = timedelta(seconds=47)  # no part of a minute, so that beats look at ever other moments of it


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> list[JobRun]:
    """Collect what is published instead of handing it to the broker."""
    runs: list[JobRun] = []
    monkeypatch.setattr(publishing, "publish", runs.extend)
    return runs


def nominal(plan: Plan, **filters: object) -> list[datetime]:
    return list(JobRun.objects.filter(job_id=plan.pk, **filters).order_by("nominal_at").values_list("nominal_at", flat=True))


@pytest.mark.parametrize("night", NIGHTS)
@pytest.mark.parametrize("cron", ["30 2 * * *", "45 1 * * *", "*/7 * * * *", "0 * * * *"])
def test_in_a_night_of_a_clock_change_three_beats_fire_each_time_once(cron: str, night: str, published: list[JobRun]) -> None:
    zone, start, end = NIGHTS[night]
    plan = make_plan(cron=cron, since=start, time_zone=zone)
    beats = [Clock(), Clock(), Clock()]
    for beat in beats:
        beat.load()
    looks = (end - start) // LOOK
    for turn, now in enumerate([*(start + LOOK * number for number in range(looks + 1)), end], start=1):
        if turn % 5 == 0:  # one dies, and another process takes its place
            beats[turn // 5 % 3] = Clock()
            beats[turn // 5 % 3].load()
        for beat in beats[turn % 3 :]:
            beat.fire_due(now=now)
    expected = fired(plans.schedule_of(plan), start, end)
    assert nominal(plan) == expected
    assert [run.nominal_at for run in published] == expected
    assert all(run.nominal_at.astimezone(ZoneInfo(zone)).utcoffset() for run in published)


@pytest.mark.django_db(transaction=True)
def test_beats_that_fire_at_the_same_moment_make_one_run_together() -> None:
    plan = make_plan()
    results = at_once(*[lambda: firing.fire(plan.pk, now=T0 + HOUR)[0]] * 8)
    assert sum(map(len, results)) == 1
    assert nominal(plan) == [T0 + HOUR]


def test_the_database_refuses_a_second_run_of_a_fire_time() -> None:
    plan = make_plan()
    firing.fire(plan.pk, now=T0 + HOUR)
    Plan.objects.update(cursor=T0)  # as a copy of the database that was put back would have it
    firing.fire(plan.pk, now=T0 + HOUR)
    assert nominal(plan) == [T0 + HOUR]
    run = JobRun.objects.get()
    run.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        JobRun.objects.create(job_id=plan.pk, task=run.task, nominal_at=run.nominal_at, trigger=Trigger.CLOCK, due_at=T0, published_at=T0)


def test_missed_runs_are_made_up_for_once_or_skipped_as_the_job_says() -> None:
    now = T0 + 5 * HOUR + timedelta(minutes=30)
    once, skips = make_plan("once"), make_plan("skips", misfire=Misfire.SKIP)
    for plan in (once, skips):
        _runs, following = firing.fire(plan.pk, now=now)
        assert following == T0 + 6 * HOUR, "an interval keeps its beat"
        firing.fire(plan.pk, now=now + timedelta(seconds=20))
    assert nominal(once, state=RunState.WAITING) == [T0 + 5 * HOUR]
    assert nominal(skips, state=RunState.SKIPPED) == [T0 + 5 * HOUR]
    assert nominal(skips, state=RunState.WAITING) == []


def test_a_run_that_is_a_moment_late_was_not_missed() -> None:
    plan = make_plan(misfire=Misfire.SKIP)
    firing.fire(plan.pk, now=T0 + HOUR + timedelta(seconds=59))
    assert nominal(plan, state=RunState.WAITING) == [T0 + HOUR]


def test_enabling_fires_nothing_for_the_past() -> None:
    plan = make_plan()
    schedule.disable_jobs(ids=[plan.pk], by=TESTER, now=T0)
    later = T0 + timedelta(days=9, minutes=30)
    assert firing.fire(plan.pk, now=later) == ([], None)
    schedule.enable_jobs(ids=[plan.pk], by=TESTER, now=later)
    assert firing.fire(plan.pk, now=later) == ([], later + timedelta(minutes=30))
    assert nominal(plan) == []


def test_edits_neither_fire_for_the_past_nor_postpone_a_long_interval() -> None:
    plan = make_plan(every=timedelta(days=1))
    for hour in range(1, 30):
        now = T0 + hour * HOUR
        firing.fire(plan.pk, now=now)
        held = Plan.objects.select_related("job", *plans.WITH_SCHEDULES).get(pk=plan.pk)
        draft = drafts.draft_of(held)
        every = timedelta(days=1) if hour % 2 else timedelta(hours=12)
        schedule.change_job(row=held.job, draft=replace(draft, description=f"edit {hour}", when=When(every=every)), by=TESTER, now=now)
    assert nominal(plan) == [T0 + 24 * HOUR] or nominal(plan) == [T0 + 12 * HOUR, T0 + 24 * HOUR]


def test_a_job_that_fires_once_is_disabled_after_it() -> None:
    plan = make_plan(at=T0 + HOUR)
    assert firing.fire(plan.pk, now=T0) == ([], T0 + HOUR)
    runs, following = firing.fire(plan.pk, now=T0 + 5 * HOUR)
    assert (len(runs), following) == (1, None)
    assert not PeriodicTask.objects.get(pk=plan.pk).enabled


def test_a_job_of_four_shards_fires_four_runs_that_know_their_part() -> None:
    plan = make_plan(shards=4)
    runs, _following = firing.fire(plan.pk, now=T0 + HOUR)
    assert sorted((run.shard, run.shards) for run in runs) == [(0, 4), (1, 4), (2, 4), (3, 4)]


def test_a_run_whose_beat_died_before_publishing_is_published_by_another(published: list[JobRun]) -> None:
    plan = make_plan()
    firing.fire(plan.pk, now=T0 + HOUR)  # and the process ends
    publishing.sweep(now=T0 + HOUR + timedelta(seconds=10))
    assert published == []
    publishing.sweep(now=T0 + HOUR + timedelta(seconds=31))
    publishing.sweep(now=T0 + HOUR + timedelta(seconds=32))
    assert [run.nominal_at for run in published] == [T0 + HOUR]


def test_a_job_that_can_not_be_scheduled_does_not_hold_up_the_others() -> None:
    broken, sound = make_plan("broken", time_zone="Nowhere/At_All"), make_plan("sound")
    clock = Clock()
    clock.load()
    clock.fire_due(now=T0 + HOUR)
    assert (nominal(broken), nominal(sound)) == ([], [T0 + HOUR])


def test_times_are_those_of_utc_whatever_the_zone() -> None:
    plan = make_plan(cron="0 6 * * *", time_zone="Asia/Shanghai", since=datetime(2026, 5, 4, tzinfo=UTC))
    firing.fire(plan.pk, now=datetime(2026, 5, 4, 22, 0, 10, tzinfo=UTC))
    assert nominal(plan) == [datetime(2026, 5, 4, 22, tzinfo=UTC)]
