"""Turning fire times into runs: each exactly once, by whichever of several beat processes comes first.

A fire time is decided in one transaction, under the lock of the job's plan: the runs are inserted and the plan's cursor moves past it.
Only then are they published. A process that dies before the commit has done nothing; one that dies after it leaves runs that another one
publishes (`publishing.sweep`). The unique key of (job, nominal fire time, shard) holds even against a cursor that was put back.
"""

from datetime import datetime, timedelta

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django_celery_beat.models import PeriodicTask

from jobs import registry
from jobs.models import JobRun, Plan, RunState, Trigger
from jobs.policies import Misfire
from jobs.services import plans, publishing, transitions

log = structlog.get_logger(__name__)
#: A run that starts later than this was missed; a standby takes over, and a beat process restarts, within that time.
GRACE = timedelta(minutes=1)
#: Fire times that one transaction decides at most.
MOST = 100
AWAY = timedelta(seconds=1)  # before the next try when the database is away
FAILED = timedelta(minutes=1)  # before the next try with a job that can't be scheduled


def fire(job_id: int, *, now: datetime) -> tuple[list[JobRun], datetime | None]:
    """Decide the fire times of a job up to now. Return the runs to publish, and when to look again (None: never)."""
    with transaction.atomic():
        plan = Plan.objects.select_for_update(of=("self",)).select_related("job", *plans.WITH_SCHEDULES).filter(pk=job_id).first()
        if plan is None or not plan.job.enabled or not plan.keeps_runs:
            return [], None
        made = _decide(plan, now)
        schedule = plans.schedule_of(plan)
        following = schedule.next_after(plan.cursor)
        if made:
            Plan.objects.filter(pk=job_id).update(cursor=plan.cursor)
            known = set(
                JobRun.objects.filter(job_id=job_id, trigger=Trigger.CLOCK, nominal_at__in={run.nominal_at for run in made}).values_list(
                    "nominal_at", "shard"
                )
            )
            made = [run for run in made if (run.nominal_at, run.shard) not in known]
            if not registry.is_needed(plan.job.task):
                made = []
            JobRun.objects.bulk_create(made)
            changes = {"enabled": False} if plan.job.one_off and following is None else {}
            PeriodicTask.objects.filter(pk=job_id).update(
                last_run_at=plan.cursor, total_run_count=F("total_run_count") + len({run.nominal_at for run in made}), **changes
            )
    return [run for run in made if run.state == RunState.WAITING], following


def _decide(plan: Plan, now: datetime) -> list[JobRun]:
    """Make the runs of the fire times after the plan's cursor, and move the cursor of the object in memory."""
    schedule = plans.schedule_of(plan)
    made: list[JobRun] = []
    for _time in range(MOST):
        nominal = schedule.next_after(plan.cursor)
        if nominal is None or nominal > now:
            break
        runs = []
        if nominal < now - GRACE:
            nominal = schedule.last_until(after=plan.cursor, until=now - GRACE) or nominal
            runs = transitions.runs_of(plan, nominal_at=nominal, trigger=Trigger.CLOCK, now=now)
            if plan.misfire == Misfire.SKIP and not plan.job.one_off:
                log.info("missed runs of a job are skipped", job=plan.job.name, until=nominal.isoformat())
                for run in runs:
                    run.state, run.error, run.ended_at = RunState.SKIPPED, transitions.MISSED, now
        else:
            runs = transitions.runs_of(plan, nominal_at=nominal, trigger=Trigger.CLOCK, now=now)
        made += runs
        plan.cursor = nominal
    return made


class Clock:
    """When each job is to be looked at next, as one beat process knows it. The database decides; this only saves asking it."""

    def __init__(self) -> None:
        self._next: dict[int, datetime] = {}

    def load(self) -> None:
        """Read the schedules of all jobs that keep their runs."""
        found: dict[int, datetime] = {}
        known = [job.name for job in registry.jobs()]
        rows = Plan.objects.filter(job__enabled=True, keeps_runs=True, job__task__in=known)
        for plan in rows.select_related("job", *plans.WITH_SCHEDULES):
            try:
                following = plans.schedule_of(plan).next_after(plan.cursor)
            except (ValueError, ArithmeticError, TypeError, LookupError, NotImplementedError) as error:
                log.error("job can't be scheduled", job=plan.job.name, reason=str(error))
                continue
            if following is not None:
                found[plan.pk] = following
        self._next = found

    def fire_due(self, *, now: datetime) -> float | None:
        """Fire what is due, and return the seconds until the next fire time, or None where there is none."""
        for job_id in [job_id for job_id, at in self._next.items() if at <= now]:
            try:
                runs, following = fire(job_id, now=now)
            except (OperationalError, InterfaceError) as error:
                log.warning("a job waits for the database", job=job_id, error=type(error).__name__)
                connection.close()
                self._next[job_id] = now + AWAY
                continue
            except Exception:
                log.exception("a job can't be fired", job=job_id)
                self._next[job_id] = now + FAILED
                continue
            if following is None:
                del self._next[job_id]
            else:
                self._next[job_id] = following
            publishing.publish(runs)
        return (min(self._next.values()) - now).total_seconds() if self._next else None
