"""Removing old runs with their logs, some at a time so that nothing waits for it."""

from datetime import datetime, timedelta
from typing import Annotated

import structlog
from django.utils.translation import gettext_lazy as _
from pydantic import Field

from jobs.models import OPEN_STATES, Fence, JobRun, LogChunk
from jobs.policies import Blocking
from jobs.registry import job
from jobs.services import current, fence
from posthaste import env
from posthaste.lib import queues
from posthaste.lib.ids import first_id_at

log = structlog.get_logger(__name__)
#: Days that a run by hand may ask for.
KeepDays = Annotated[int, Field(ge=0, le=36_500)]
RUNS_AT_ONCE = 200
CHUNKS_AT_ONCE = 200  # of 64 KiB


@job(
    "jobs.remove_old_runs",
    title=_("Remove old runs of jobs"),
    purpose=_("Removes runs of jobs and their logs that are older than they are kept."),
    every=timedelta(hours=1),
    timeout=timedelta(minutes=30),
    blocking=Blocking.DISCARD,
    queue=queues.NOTIFICATION,
    stoppable=False,
)
def remove_old_runs(*, now: datetime, keep_days: KeepDays = 0) -> int:
    """Remove runs that are older than `keep_days` (0: as the environment says), and return their number."""
    days = keep_days or env.load().job_history_days
    oldest = first_id_at(now - timedelta(days=days))
    removed = 0
    while ids := list(
        JobRun.objects.filter(pk__lt=oldest).exclude(state__in=OPEN_STATES).order_by("pk").values_list("pk", flat=True)[:RUNS_AT_ONCE]
    ):
        if (run := current.run()) is not None:
            run.check()
        while chunks := list(LogChunk.objects.filter(run_id__in=ids).values_list("pk", flat=True)[:CHUNKS_AT_ONCE]):
            LogChunk.objects.filter(pk__in=chunks).delete()
        with fence.guarded_run():
            Fence.objects.filter(name__in=[f"run {pk}" for pk in ids]).delete()
            JobRun.objects.filter(pk__in=ids).delete()
        removed += len(ids)
    log.info("removed old runs of jobs", runs=removed, days=days)
    return removed
