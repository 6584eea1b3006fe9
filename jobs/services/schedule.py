"""What people do with jobs: make, change, switch, reset and delete them, start a run, and stop one.

Each entry of the audit trail is written in the transaction of its change. The platform's own jobs follow their declaration until people
change them; that is the beat process's own work and not written down (`jobs.services.plans`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from accounts.services import audit
from accounts.services.audit import Actor
from jobs.actions import Action
from jobs.models import OPEN_STATES, JobRun, Plan, RunState, Trigger
from jobs.services import drafts, fence, parameters, plans, publishing, transitions
from jobs.services.drafts import Draft, installed
from posthaste.lib.problems import Conflict, Invalid, NotFound

#: How the error of a run that a person or a key has stopped begins; then comes who it was, and a full stop.
STOPPED_BY = "Stopped by "


@transaction.atomic
def create_job(*, draft: Draft, by: Actor, now: datetime) -> PeriodicTask:
    """Store a new job; it counts from now.

    Raises:
        Invalid: naming each wrong field.
    """
    stored = drafts.check(draft, now=now)
    found = installed(draft.task)
    row = PeriodicTask(**_row_fields(draft, stored), **plans.columns_of(draft.when, zone=draft.time_zone))
    _save(row)
    policies = {name: getattr(draft, name) for name in drafts.PLAN_FIELDS}
    Plan.objects.create(job=row, anchor=now, cursor=now, is_edited=True, keeps_runs=found.keeps_runs, **policies)
    PeriodicTasks.update_changed()
    _record(row, Action.JOB_CREATE, by)
    return row


@transaction.atomic
def change_job(*, row: PeriodicTask, draft: Draft, by: Actor, now: datetime) -> list[str]:
    """Store a changed job and return the names of what changed. Another schedule counts from now and makes up for nothing.

    Raises:
        Invalid: naming each wrong field.
    """
    plan = Plan.objects.select_for_update(of=("self",)).select_related("job", *plans.WITH_SCHEDULES).get(pk=row.pk)
    before = drafts.draft_of(plan)
    stored = drafts.check(draft, now=now, row=plan.job)
    changed = sorted(name for name, value in asdict(draft).items() if name not in ("parameters", "when") and value != getattr(before, name))
    changed += [
        name for name, differs in (("when", draft.when != before.when), ("parameters", stored != dict(before.parameters))) if differs
    ]
    if not changed:
        return []
    fields = {**_row_fields(draft, stored), **plans.columns_of(draft.when, zone=draft.time_zone)}
    if drafts.TIME_FIELDS & set(changed):
        plan.cursor = now
        fields["last_run_at"] = now  # what the package counts an interval from
    if draft.when.every is not None and before.when.every is None:
        plan.anchor = now
    for name, value in fields.items():
        setattr(plan.job, name, value)
    _save(plan.job)
    for name in drafts.PLAN_FIELDS:
        setattr(plan, name, getattr(draft, name))
    plan.is_edited = True
    plan.save()
    PeriodicTasks.update_changed()
    if edited := [name for name in changed if name != "enabled"]:
        _record(row, Action.JOB_CHANGE, by, fields=edited)
    if draft.enabled != before.enabled:
        _record(row, Action.JOB_ENABLE if draft.enabled else Action.JOB_DISABLE, by)
    return changed


def _save(row: PeriodicTask) -> None:
    try:
        with transaction.atomic():
            row.save()
    except (IntegrityError, ValidationError):  # another one of this name was stored since the check
        raise Invalid.field("name", _("There is already a job of this name.")) from None


def _row_fields(draft: Draft, stored: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": draft.name.strip(),
        "task": draft.task,
        "description": draft.description,
        "enabled": draft.enabled,
        "start_time": draft.starts_at,
        "expires": draft.ends_at,
        "kwargs": orjson.dumps(stored).decode(),
    }


@transaction.atomic
def reset_job(*, row: PeriodicTask, by: Actor, now: datetime) -> None:
    """Give one of the platform's jobs its declared schedule and policies again.

    Raises:
        NotFound: it is a job that people made.
    """
    found = drafts.declared(row)
    plan = Plan.objects.select_for_update(of=("self",)).select_related("job", *plans.WITH_SCHEDULES).filter(pk=row.pk).first()
    if found is None or plan is None:
        raise NotFound(_("This job has no default to return to."))
    plan.job.kwargs = "{}"
    plan.job.start_time = plan.job.expires = None
    if plans.reset_to_declaration(plan.job, plan, found, now=now):
        _record(row, Action.JOB_CHANGE, by, fields=["default"])


@transaction.atomic
def delete_job(*, row: PeriodicTask, by: Actor) -> None:
    """Delete a job with its runs. What is running is ended, and writes nothing more.

    Raises:
        Conflict: it is one of the platform's own, which can only be disabled.
    """
    if drafts.declared(row) is not None:
        raise Conflict(_("The platform's own jobs can't be deleted. Disable the job instead."))
    Plan.objects.select_for_update(of=("self",)).filter(pk=row.pk).first()
    for name in JobRun.objects.filter(job_id=row.pk, state=RunState.RUNNING).values_list("fence", flat=True):
        fence.overtake(name)
    _record(row, Action.JOB_DELETE, by)
    row.delete()
    PeriodicTasks.update_changed()


def enable_jobs(*, ids: Sequence[int], by: Actor, now: datetime) -> int:
    """Enable jobs and return how many were disabled. Nothing is started for the time they were.

    Raises:
        Conflict: the schedule of one of them has no fire time any more; none is enabled then.
    """
    return _switch(ids, is_enabled=True, by=by, now=now)


def disable_jobs(*, ids: Sequence[int], by: Actor, now: datetime) -> int:
    """Disable jobs and return how many were enabled. A run that has begun goes on."""
    return _switch(ids, is_enabled=False, by=by, now=now)


@transaction.atomic
def _switch(ids: Sequence[int], *, is_enabled: bool, by: Actor, now: datetime) -> int:
    held = Plan.objects.filter(pk__in=ids).exclude(job__enabled=is_enabled).select_related("job", *plans.WITH_SCHEDULES)
    found = list(held.select_for_update(of=("self",)).order_by("pk"))
    keys = [plan.pk for plan in found]
    for plan in found if is_enabled else ():
        if drafts.never_fires(drafts.draft_of(plan), now):
            raise Conflict(_("The schedule of {name} never comes round. Change it first.").format(name=plan.job.name))
    changes: dict[str, Any] = {"last_run_at": now} if is_enabled else {}
    PeriodicTask.objects.filter(pk__in=keys).update(enabled=is_enabled, **changes)
    if is_enabled:
        Plan.objects.filter(pk__in=keys).update(cursor=now)
    PeriodicTasks.update_changed()
    for plan in found:
        _record(plan.job, Action.JOB_ENABLE if is_enabled else Action.JOB_DISABLE, by)
    return len(found)


def run_job(*, row: PeriodicTask, given: Mapping[str, Any] | None = None, by: Actor, now: datetime) -> list[JobRun]:
    """Start a run now, also of a job that is disabled, with other parameters than usual if `given`. Return it, or one for each shard.

    Raises:
        NotFound: this installation has no job of that name.
        Invalid: the parameters do not fit.
    """
    found = installed(row.task)
    fields = {} if given is None else {"parameters": parameters.to_store(found, given)}
    with transaction.atomic():
        plan = Plan.objects.select_related("job").get(pk=row.pk)
        made = transitions.runs_of(plan, nominal_at=now, trigger=Trigger.HAND, now=now, asked_by=str(by)[:150], **fields)
        JobRun.objects.bulk_create(made)
        _record(row, Action.JOB_RUN, by, runs=[str(run.pk) for run in made], parameters=sorted(made[0].parameters))
    publishing.publish(made)
    return made


@transaction.atomic
def stop_run(*, run: JobRun, by: Actor, now: datetime) -> None:
    """Stop a run: one that waits is over at once, one that runs is ended by its worker within seconds.

    Raises:
        Conflict: it has ended.
    """
    Plan.objects.select_for_update(of=("self",)).filter(pk=run.job_id).first()
    error = f"{STOPPED_BY}{str(by)[:150]}."
    ended = {"state": RunState.KILLED, "error": error, "ended_at": now}
    if not JobRun.objects.filter(pk=run.pk, state=RunState.WAITING).update(**ended):
        asked = {"stop_asked_at": now, "stop_reason": error}
        if not JobRun.objects.filter(pk=run.pk, state__in=OPEN_STATES).update(**asked):
            raise Conflict(_("This run has ended."))
    audit.record(by=by, action=Action.JOB_STOP, target=run.pk, detail={"name": run.job.name})


def _record(row: PeriodicTask, action: Action, by: Actor, **detail: object) -> None:
    audit.record(by=by, action=action, target=row.pk, detail={"name": row.name, **detail})
