"""Telling the workers of runs. A run is a row first; its task only says "look at this row", so it may come late, twice or never."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
from celery import current_app

from jobs.models import JobRun, RunState
from jobs.services import transitions

log = structlog.get_logger(__name__)
#: A waiting run is published again after this; its earlier task has then expired.
AGAIN = timedelta(seconds=30)
MOST = 500


def publish(runs: Iterable[JobRun]) -> None:
    """Publish the tasks of runs. What the broker refuses is published by `sweep` later."""
    for run in runs:
        options = {"queue": run.job.queue} if run.job.queue else {}
        try:
            current_app.send_task(run.task, kwargs={"run": str(run.pk)}, expires=AGAIN.total_seconds(), **options)
        except Exception as error:  # noqa: BLE001 - whatever the broker's client raises: the row is there, and is looked at again
            log.warning("run waits for the broker", job=run.job.name, run=str(run.pk), error=type(error).__name__)
            return


def sweep(*, now: datetime) -> None:
    """Publish runs that are due and were not begun."""
    due = JobRun.objects.filter(state=RunState.WAITING, due_at__lte=now, published_at__lt=now - AGAIN)
    found = list(due.select_related("job").order_by("due_at")[:MOST])
    if found:
        JobRun.objects.filter(pk__in=[run.pk for run in found], state=RunState.WAITING).update(published_at=now)
        publish(found)


def end_lost(*, now: datetime) -> None:
    """End the runs whose worker gives no sign of life. Ask only if workers could reach the database for long enough to give one."""
    for run in JobRun.objects.filter(state=RunState.RUNNING, lease_until__lt=now)[:MOST]:
        publish(transitions.finish(run.pk, token=run.token, state=RunState.FAILED, error=transitions.WORKER_LOST, now=now) or [])
