"""What alarms and `/metrics` learn of jobs."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import metrics
from jobs.models import JobRun, Plan, RunState, Trigger
from posthaste.lib import redis
from tests.jobs.builders import make_plan

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]


def run(plan: Plan, state: RunState, *, seconds: float = 1.0) -> JobRun:
    """Make a run that has ended, or has begun."""
    now = timezone.now()
    ended_at = None if state == RunState.RUNNING else now
    times = {"nominal_at": now, "due_at": now, "published_at": now, "started_at": now - timedelta(seconds=seconds), "ended_at": ended_at}
    return JobRun.objects.create(job=plan.job, task=plan.job.task, trigger=Trigger.HAND, state=state, **times)


def test_a_job_is_failed_from_its_failed_run_to_the_next_one_that_succeeds() -> None:
    plan, untried = make_plan("nightly"), make_plan("untried")
    name = plan.job.name
    run(plan, RunState.SUCCEEDED)
    assert metrics.failed_jobs()[name] == 0
    for failure in (RunState.FAILED, RunState.TIMED_OUT):
        run(plan, failure)
        for says_nothing in (RunState.KILLED, RunState.DISCARDED, RunState.SKIPPED, RunState.RUNNING):
            run(plan, says_nothing)
        assert metrics.failed_jobs()[name] == 1
        run(plan, RunState.SUCCEEDED)
        assert metrics.failed_jobs()[name] == 0
    assert untried.job.name not in metrics.failed_jobs()
    run(plan, RunState.FAILED)
    plan.job.enabled = False
    plan.job.save()
    assert name not in metrics.failed_jobs(), "a job that is off is no alarm"


def test_runs_of_the_last_hour_are_told_by_state_with_the_longest() -> None:
    plan = make_plan("nightly")
    run(plan, RunState.SUCCEEDED, seconds=2)
    run(plan, RunState.SUCCEEDED, seconds=30)
    run(plan, RunState.FAILED, seconds=5)
    run(plan, RunState.RUNNING, seconds=900)
    task = plan.job.task
    numbers = {state: number for (name, state), number in metrics.recent_job_runs().items() if name == task}
    assert numbers == {"succeeded": 2, "failed": 1, "running": 1}
    assert metrics.recent_job_seconds()[task] == pytest.approx(30)


def test_frequent_jobs_are_counters() -> None:
    plan = make_plan("often", keeps_runs=False)
    redis.client().hset(redis.key("jobs", "counts", plan.job.task), mapping={"runs": 10, "failures": 3})
    found = metrics.frequent_job_runs_total()
    assert (found[plan.job.task, "succeeded"], found[plan.job.task, "failed"]) == (7, 3)
