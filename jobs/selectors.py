"""What pages, the API and other apps read of jobs and their runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery
from django_celery_beat.models import PeriodicTask

from jobs import registry
from jobs.models import JobRun, Plan, RunState
from jobs.registry import Job
from jobs.services import counting, plans
from jobs.services.counting import Counted
from posthaste.lib import redis

FAILURES = (RunState.FAILED, RunState.TIMED_OUT)


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as a list shows it."""

    plan: Plan
    job: Job | None  # None: not installed
    when: plans.When
    next_at: datetime | None
    last: JobRun | None
    counted: Counted | None
    failing: bool


def plan_rows() -> "QuerySet[Plan]":
    """Return all plans with their jobs and schedules, by name."""
    return Plan.objects.select_related("job", *plans.WITH_SCHEDULES).order_by("job__name")


def get_plan(job_id: int) -> Plan:
    """Return a plan with its job.

    Raises:
        Plan.DoesNotExist: there is none.
    """
    return plan_rows().get(job__id=job_id)  # by the id itself, for which Django knows that a huge number is none


def job_rows(found: Iterable[Plan], *, now: datetime) -> list[JobRow]:
    """Return jobs as a list shows them. Counts are missing while Redis is away."""
    held = list(found)
    newest = JobRun.objects.filter(job=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    last_ids = PeriodicTask.objects.filter(pk__in=[plan.pk for plan in held]).annotate(last=Subquery(newest)).values_list("last", flat=True)
    last = {run.job_id: run for run in JobRun.objects.filter(pk__in=[pk for pk in last_ids if pk])}
    try:
        counts = counting.counted({plan.job.task for plan in held if not plan.keeps_runs})
    except redis.Unavailable:
        counts = {}
    return [_row(plan, last.get(plan.pk), counts.get(plan.job.task), now) for plan in held]


def _row(plan: Plan, last: JobRun | None, counted: Counted | None, now: datetime) -> JobRow:
    try:
        when = plans.when_of(plan.job)
        upcoming = plans.schedule_of(plan).next_after(max(now, plan.cursor)) if plan.job.enabled and plan.keeps_runs else None
    except (ValueError, LookupError, ArithmeticError, NotImplementedError):
        when, upcoming = plans.When(), None
    found = registry.find(plan.job.task)
    return JobRow(plan, found, when, upcoming, last, None if plan.keeps_runs else counted, last is not None and last.state in FAILURES)


def upcoming(plan: Plan, *, now: datetime, number: int = 5) -> list[datetime]:
    """Return the next fire times of a job, or none where it has no schedule that comes round."""
    try:
        return plans.schedule_of(plan).upcoming(max(now, plan.cursor), number)
    except (ValueError, LookupError, ArithmeticError, NotImplementedError):
        return []


def runs(*, job_id: int | None = None, states: Iterable[str] = ()) -> "QuerySet[JobRun]":
    """Return runs, newest first."""
    found = JobRun.objects.select_related("job").order_by("-pk")
    if job_id is not None:
        found = found.filter(job_id=job_id)
    chosen = [state for state in states if state]
    return found.filter(state__in=chosen) if chosen else found


def get_run(run_id: UUID) -> JobRun:
    """Return a run with its job.

    Raises:
        JobRun.DoesNotExist: there is none.
    """
    return JobRun.objects.select_related("job").get(pk=run_id)


def followers(run: JobRun) -> "QuerySet[JobRun]":
    """Return the runs that a run was followed by: its retry and its child."""
    return JobRun.objects.select_related("job").filter(parent_id=run.pk).order_by("pk")
