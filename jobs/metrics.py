"""Figures of the scheduled jobs."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import Count, F, Max, OuterRef, Subquery
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import PeriodicTask

from jobs import registry
from jobs.models import JobRun, Plan, RunState
from jobs.selectors import FAILURES
from jobs.services import counting
from jobs.services.counting import Counted
from posthaste.lib.ids import first_id_at
from posthaste.lib.metric_readings import once_a_reading
from posthaste.lib.metrics import metric

RECENTLY = timedelta(hours=1)
#: Ends that say how the job is; one that was stopped by hand, discarded or skipped says nothing.
TELLING = (RunState.SUCCEEDED, *FAILURES)


@once_a_reading
def _recent() -> list[dict[str, Any]]:
    """Return number and longest duration of the runs of the last hour, by job and state."""
    rows = JobRun.objects.filter(pk__gte=first_id_at(timezone.now() - RECENTLY)).order_by()
    found = rows.values("task", "state").annotate(number=Count("pk"), longest=Max(F("ended_at") - F("started_at")))
    return [{**row} for row in found]


@once_a_reading
def _counted() -> Mapping[str, Counted]:
    frequent = Plan.objects.filter(keeps_runs=False).values_list("job__task", flat=True).distinct()
    return counting.counted({*frequent} & {found.name for found in registry.jobs()})


@metric(
    "failed_jobs",
    title=_("Jobs whose last run failed"),
    help=_("Whether the last run of an enabled job failed or timed out: 1 or 0."),
    labels=("job",),
)
def failed_jobs() -> Mapping[str, float]:
    """Look at the last telling run of each job; retries count as runs."""
    last = JobRun.objects.filter(job=OuterRef("pk"), state__in=TELLING).order_by("-pk").values("state")[:1]
    rows = PeriodicTask.objects.filter(enabled=True).annotate(last=Subquery(last)).values_list("name", "last")
    return {name: float(state in FAILURES) for name, state in rows if state is not None}


@metric(
    "recent_job_runs",
    help=_("Runs of jobs of the last hour, by task and state. Jobs that are due more often than once a minute are not among them."),
    labels=("job", "state"),
)
def recent_job_runs() -> Mapping[tuple[str, ...], float]:
    """Count the rows of the last hour."""
    return {(row["task"], row["state"]): float(row["number"]) for row in _recent()}


@metric(
    "recent_job_seconds",
    help=_("The longest run of each job in the last hour that has ended."),
    unit="seconds",
    labels=("job",),
)
def recent_job_seconds() -> Mapping[str, float]:
    """Compare the runs of the last hour."""
    found: dict[str, float] = {}
    for row in _recent():
        if row["longest"] is not None:
            found[row["task"]] = max(found.get(row["task"], 0.0), row["longest"].total_seconds())
    return found


@metric(
    "frequent_job_runs_total",
    kind="counter",
    help=_("Runs of jobs that are due more often than once a minute, and those of them that failed."),
    labels=("job", "state"),
)
def frequent_job_runs_total() -> Mapping[tuple[str, ...], float]:
    """Return what workers have counted in Redis."""
    return {
        (name, state): float(number)
        for name, counted in _counted().items()
        for state, number in (("succeeded", counted.runs - counted.failures), ("failed", counted.failures))
    }
