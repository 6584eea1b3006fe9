"""The states of a run: claimed by a worker, ended, stopped. Each change is guarded, and takes the lock of the job's plan first.

The lock makes the runs of one job take turns here, so two of them never both see that none is running.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction
from django_celery_beat.models import PeriodicTask

from jobs import registry
from jobs.models import JobRun, Plan, RunState, Trigger
from jobs.policies import Blocking
from jobs.services import fence
from posthaste.lib import heartbeat, redis
from posthaste.lib.ids import new_id

#: How long a run is believed to go on without a sign of life.
LEASE = timedelta(seconds=30)
#: Codes of ends that have no error of their own; jobs.labels has their words.
WORKER_LOST = "worker_lost"
EXPIRED = "expired"
OVERLAPS = "overlaps"
NOT_INSTALLED = "not_installed"
COVERED = "covered"
MISSED = "missed"
NEVER = datetime(2000, 1, 1, tzinfo=UTC)
MAX_ERROR = 20_000
#: After these a run is tried again.
RETRIED = (RunState.FAILED, RunState.TIMED_OUT)


def claim(run_id: UUID, *, worker: str, now: datetime) -> JobRun | None:
    """Begin a waiting run and return it, with its plan's lock released; None where it is not to be begun now, or not any more."""
    job_id = JobRun.objects.filter(pk=run_id, state=RunState.WAITING, due_at__lte=now).values_list("job_id", flat=True).first()
    if job_id is None:
        return None
    with transaction.atomic():
        plan = Plan.objects.select_for_update(of=("self",)).filter(pk=job_id).first()
        run = JobRun.objects.select_for_update(of=("self",)).select_related("job").filter(pk=run_id, state=RunState.WAITING).first()
        if run is None or plan is None:
            return None
        found = registry.find(run.task)
        if found is None:
            _end(run, RunState.FAILED, NOT_INSTALLED, now)
            return None
        if not _has_its_turn(run, plan, now):
            return None
        if run.trigger == Trigger.CLOCK and plan.blocking not in (Blocking.QUEUE, Blocking.COVER) and now - run.due_at > found.expires:
            _end(run, RunState.SKIPPED, EXPIRED, now)
            return None
        run.fence = f"run {run.pk}" if plan.blocking == Blocking.OVERLAP else f"run {run.job_id} {run.shard}"
        run.token = fence.overtake(run.fence)
        run.state, run.started_at, run.worker, run.lease_until = RunState.RUNNING, now, worker[:200], now + LEASE
        run.is_stoppable, run.timeout_seconds = found.stoppable, plan.timeout_seconds
        run.save(update_fields=["fence", "token", "state", "started_at", "worker", "lease_until", "is_stoppable", "timeout_seconds"])
        return run


def _has_its_turn(run: JobRun, plan: Plan, now: datetime) -> bool:
    """Apply the blocking strategy, and return whether the run begins now."""
    if plan.blocking == Blocking.OVERLAP:
        return True
    others = JobRun.objects.filter(job_id=run.job_id, shard=run.shard, state=RunState.RUNNING)
    if plan.blocking == Blocking.COVER:
        for other in others.filter(is_stoppable=False):  # no process to end: it is over from here on, and its fence refuses what it writes
            fence.overtake(other.fence)
            _end(other, RunState.KILLED, COVERED, now)
        return not others.update(stop_asked_at=now, stop_reason=COVERED)
    if not others.exists():
        return True
    if plan.blocking == Blocking.DISCARD:
        _end(run, RunState.DISCARDED, OVERLAPS, now)
    return False


def _end(run: JobRun, state: RunState, error: str, now: datetime) -> None:
    JobRun.objects.filter(pk=run.pk).update(state=state, error=error[:MAX_ERROR], ended_at=now)


def finish(run_id: UUID, *, token: int, state: RunState, error: str = "", now: datetime) -> list[JobRun] | None:
    """End a run that was begun under `token`, and return the runs that follow and are to be published; None: it had ended already.

    What follows: a retry where the run failed, the child job where it succeeded and with it all shards of its fire time, and the run of the
    same job that waited for this one. The lock of the plan lets the last two shards end one after the other, so one of them is the last.
    """
    job_id = JobRun.objects.values_list("job_id", flat=True).filter(pk=run_id).first()
    if job_id is None:
        return None
    with transaction.atomic():
        plan = Plan.objects.select_for_update(of=("self",)).filter(pk=job_id).first()
        running = JobRun.objects.filter(pk=run_id, state=RunState.RUNNING, token=token)
        if not running.update(state=state, error=error[:MAX_ERROR], ended_at=now):
            return None
        run = JobRun.objects.select_related("job").get(pk=run_id)
        if state is not RunState.SUCCEEDED:
            fence.overtake(run.fence)
        followers: list[JobRun] = []
        if plan is not None:
            if state in RETRIED and run.attempt <= plan.retries:
                _retry(run, plan, now)
            if state is RunState.SUCCEEDED and plan.child_id is not None and _is_complete(run):
                followers += _child(run, plan.child_id, now)
        waiting = JobRun.objects.filter(job_id=job_id, shard=run.shard, state=RunState.WAITING, due_at__lte=now)
        followers += waiting.select_related("job").order_by("due_at")[:1]
        return followers


def _retry(run: JobRun, plan: Plan, now: datetime) -> None:
    delay = timedelta(seconds=min(plan.retry_delay_seconds * 2 ** (run.attempt - 1), 86_400))
    copied: dict[str, Any] = {
        name: getattr(run, name) for name in ("job", "task", "nominal_at", "parameters", "shard", "shards", "fire_id", "asked_by")
    }
    follower = JobRun(**copied, trigger=Trigger.RETRY, parent_id=run.pk, attempt=run.attempt + 1, due_at=now + delay, published_at=NEVER)
    JobRun.objects.bulk_create([follower], ignore_conflicts=True)


def _is_complete(run: JobRun) -> bool:
    """Return whether all shards of a run's fire time have succeeded."""
    if run.shards == 1:
        return True
    succeeded = JobRun.objects.filter(fire_id=run.fire_id, shards__gt=1, state=RunState.SUCCEEDED)
    return succeeded.values("shard").distinct().count() >= run.shards


def _child(run: JobRun, child_id: int, now: datetime) -> list[JobRun]:
    row = PeriodicTask.objects.filter(pk=child_id).select_related("plan").first()
    if row is None or not hasattr(row, "plan"):
        return []
    made = runs_of(row.plan, nominal_at=run.nominal_at, trigger=Trigger.CHILD, now=now)
    for follower in made:
        follower.parent_id = run.pk
    return JobRun.objects.bulk_create(made)


def runs_of(plan: Plan, *, nominal_at: datetime, trigger: Trigger, now: datetime, **fields: Any) -> list[JobRun]:
    """Make the runs of one fire time, one for each shard. They are not stored yet."""
    shards = plan.shards
    if shards == 0:
        try:
            shards = max(1, heartbeat.alive().get("aux", 1))
        except redis.Unavailable:
            shards = 1
    fields.setdefault("parameters", parameters_of_row(plan.job))
    fire_id = new_id()
    return [
        JobRun(
            job=plan.job,
            task=plan.job.task,
            nominal_at=nominal_at,
            trigger=trigger,
            shard=shard,
            shards=shards,
            fire_id=fire_id,
            due_at=now,
            published_at=now,
            **fields,
        )
        for shard in range(shards)
    ]


def parameters_of_row(row: PeriodicTask) -> dict[str, Any]:
    """Return the parameters that a job is scheduled with; what can't be read counts as none."""
    try:
        found = orjson.loads(row.kwargs or "{}")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
