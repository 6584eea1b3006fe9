"""What people do with jobs: make, change, switch, reset and delete them, start a run, and stop one.

Each entry of the audit trail is written in the transaction of its change. The platform's own jobs follow their declaration until people
change them; that is the beat process's own work and not written down (`jobs.services.plans`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import transaction
from django.utils.translation import gettext as _
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from accounts.services import audit
from accounts.services.audit import Actor
from jobs import registry
from jobs.actions import Action
from jobs.models import OPEN_STATES, JobRun, Plan, RunState, Trigger
from jobs.policies import Blocking, Misfire
from jobs.services import calendars, parameters, plans, publishing, timing, transitions
from jobs.services.plans import When
from posthaste.lib.problems import Conflict, Invalid, NotFound
from posthaste.lib.zones import zone

MAX_SHARDS = 64
MAX_RETRIES = 20
MAX_TIMEOUT = 7 * 86_400
MIN_INTERVAL = timedelta(seconds=1)
STOPPED_BY_HAND = "by_hand"


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A job as a form or the API describes it."""

    name: str
    task: str
    when: When
    time_zone: str = "UTC"
    calendar: str = ""
    description: str = ""
    enabled: bool = True
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    blocking: str = Blocking.DISCARD
    misfire: str = Misfire.RUN_ONCE
    timeout_seconds: int = 600
    retries: int = 0
    retry_delay_seconds: int = 60
    shards: int = 1
    child_id: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


PLAN_FIELDS = ("time_zone", "calendar", "blocking", "misfire", "timeout_seconds", "retries", "retry_delay_seconds", "shards", "child_id")
TIME_FIELDS = frozenset({"when", "time_zone", "calendar", "starts_at", "ends_at", "enabled"})


def draft_of(plan: Plan) -> Draft:
    """Return a job as it is."""
    row = plan.job
    try:
        when = plans.when_of(row)
    except ValueError:
        when = When()
    return Draft(
        name=row.name,
        task=row.task,
        when=when,
        description=row.description,
        enabled=row.enabled,
        starts_at=row.start_time,
        ends_at=row.expires,
        parameters=transitions.parameters_of_row(row),
        **{name: getattr(plan, name) for name in PLAN_FIELDS},
    )


def draft_for(task: str) -> Draft:
    """Return what a new job of a task begins with.

    Raises:
        NotFound: this installation has no such task.
    """
    found = _installed(task)
    policies = plans.declared_policies(found)
    return Draft(
        name="",
        task=task,
        when=When(cron=found.cron, every=found.every),
        **{name: policies[name] for name in PLAN_FIELDS if name in policies},
    )


def check(draft: Draft, *, now: datetime, row: PeriodicTask | None = None) -> dict[str, Any]:
    """Check a job and return its parameters as they are stored.

    Raises:
        Invalid: naming each wrong field.
    """
    errors: dict[str, str] = {}
    found = registry.find(draft.task)
    if found is None:
        raise Invalid.field("task", _("This installation has no job {name}.").format(name=draft.task))
    if not draft.name.strip():
        errors["name"] = _("This field is required.")
    elif PeriodicTask.objects.filter(name=draft.name).exclude(pk=row.pk if row else None).exists():
        errors["name"] = _("There is already a job of this name.")
    if zone(draft.time_zone) is None:
        errors["time_zone"] = _("There is no time zone of this name.")
    if not calendars.is_known(draft.calendar):
        errors["calendar"] = _("There is no calendar of this name.")
    ranges = (
        ("timeout_seconds", 1, MAX_TIMEOUT),
        ("retries", 0, MAX_RETRIES),
        ("retry_delay_seconds", 1, 86_400),
        ("shards", 0, MAX_SHARDS),
    )
    for name, least, most in ranges:
        if not least <= getattr(draft, name) <= most:
            errors[name] = _("A number from {least} to {most}.").format(least=least, most=most)
    if not found.keeps_runs and (draft.retries or draft.shards != 1 or draft.child_id or draft.when.every is None):
        errors["when"] = _("Runs of this job are only counted: it takes an interval, and no retries, shards or following job.")
    if draft.starts_at and draft.ends_at and draft.ends_at <= draft.starts_at:
        errors["ends_at"] = _("The end is before the start.")
    if reason := _why_not(draft, found.keeps_runs, now):
        errors.setdefault("when", reason)
    if draft.child_id is not None and _is_circle(draft.child_id, row):
        errors["child_id"] = _("This would start the job itself again and again.")
    stored: dict[str, Any] = {}
    wrong = []
    try:
        stored = parameters.to_store(found, draft.parameters)
    except Invalid as problem:
        wrong = [{**error, "field": f"parameters.{error.get('field', '')}"} for error in problem.errors]
    if errors or wrong:
        raise Invalid(errors=[*({"field": name, "code": "invalid", "message": text} for name, text in errors.items()), *wrong])
    return stored


def _why_not(draft: Draft, keeps_runs: bool, now: datetime) -> str:
    """Say why a schedule can't be, or nothing."""
    when = draft.when
    if when.every is not None:
        if not MIN_INTERVAL <= when.every <= registry.MAX_INTERVAL:
            return _("From one second to {n} days are possible.").format(n=registry.MAX_INTERVAL.days)
        if keeps_runs and when.every < registry.KEPT_FROM:
            return _("Each run of this job is kept with its log, so a minute is the shortest interval.")
        return ""
    if when.at is not None:
        return "" if when.at > now or not draft.enabled else _("This moment has passed.")
    try:
        timing.check_cron(when.cron)
    except ValueError as error:
        return _("This crontab is not valid: {reason}.").format(reason=str(error))
    return ""


def _is_circle(child_id: int, row: PeriodicTask | None) -> bool:
    seen: set[int] = set()
    following: int | None = child_id
    while following is not None and following not in seen:
        if row is not None and following == row.pk:
            return True
        seen.add(following)
        following = Plan.objects.filter(pk=following).values_list("child_id", flat=True).first()
    return following is not None


@transaction.atomic
def create_job(*, draft: Draft, by: Actor, now: datetime) -> PeriodicTask:
    """Store a new job; it counts from now.

    Raises:
        Invalid: naming each wrong field.
    """
    stored = check(draft, now=now)
    found = _installed(draft.task)
    row = PeriodicTask(**_row_fields(draft, stored), **plans.columns_of(draft.when, zone=draft.time_zone))
    row.save()
    policies = {name: getattr(draft, name) for name in PLAN_FIELDS}
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
    before = draft_of(plan)
    stored = check(draft, now=now, row=plan.job)
    changed = sorted(name for name, value in asdict(draft).items() if name not in ("parameters", "when") and value != getattr(before, name))
    changed += [
        name for name, differs in (("when", draft.when != before.when), ("parameters", stored != dict(before.parameters))) if differs
    ]
    if not changed:
        return []
    if TIME_FIELDS & set(changed):
        plan.cursor = now
    if draft.when.every is not None and before.when.every is None:
        plan.anchor = now
    fields = {**_row_fields(draft, stored), **plans.columns_of(draft.when, zone=draft.time_zone)}
    for name, value in fields.items():
        setattr(plan.job, name, value)
    plan.job.save()
    for name in PLAN_FIELDS:
        setattr(plan, name, getattr(draft, name))
    plan.is_edited = True
    plan.save()
    PeriodicTasks.update_changed()
    _record(row, Action.JOB_CHANGE, by, fields=changed)
    return changed


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


def declared(row: PeriodicTask) -> registry.Job | None:
    """Return the declaration that a row belongs to, or None for a job that people made."""
    return next((found for found in registry.jobs() if found.entry == row.name), None)


@transaction.atomic
def reset_job(*, row: PeriodicTask, by: Actor, now: datetime) -> None:
    """Give one of the platform's jobs its declared schedule and policies again.

    Raises:
        NotFound: it is a job that people made.
    """
    found = declared(row)
    plan = Plan.objects.select_for_update(of=("self",)).select_related("job", *plans.WITH_SCHEDULES).filter(pk=row.pk).first()
    if found is None or plan is None:
        raise NotFound(_("This job has no default to return to."))
    plan.job.kwargs = "{}"
    plan.job.start_time = plan.job.expires = None
    if plans.reset_to_declaration(plan.job, plan, found, now=now):
        _record(row, Action.JOB_CHANGE, by, fields=["default"])


@transaction.atomic
def delete_job(*, row: PeriodicTask, by: Actor) -> None:
    """Delete a job with its runs.

    Raises:
        Conflict: it is one of the platform's own, which can only be disabled.
    """
    if declared(row) is not None:
        raise Conflict(_("The platform's own jobs can't be deleted. Disable the job instead."))
    _record(row, Action.JOB_DELETE, by)
    row.delete()
    PeriodicTasks.update_changed()


def enable_jobs(*, ids: Sequence[int], by: Actor, now: datetime) -> int:
    """Enable jobs and return how many were disabled. Nothing is started for the time they were."""
    return _switch(ids, is_enabled=True, by=by, now=now)


def disable_jobs(*, ids: Sequence[int], by: Actor, now: datetime) -> int:
    """Disable jobs and return how many were enabled. A run that has begun goes on."""
    return _switch(ids, is_enabled=False, by=by, now=now)


@transaction.atomic
def _switch(ids: Sequence[int], *, is_enabled: bool, by: Actor, now: datetime) -> int:
    held = Plan.objects.filter(pk__in=ids).exclude(job__enabled=is_enabled)
    found = list(held.select_for_update(of=("self",)).select_related("job").order_by("pk"))
    keys = [plan.pk for plan in found]
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
    found = _installed(row.task)
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
    ended = {"state": RunState.KILLED, "error": STOPPED_BY_HAND, "ended_at": now}
    if not JobRun.objects.filter(pk=run.pk, state=RunState.WAITING).update(**ended):
        asked = {"stop_asked_at": now, "stop_reason": STOPPED_BY_HAND}
        if not JobRun.objects.filter(pk=run.pk, state__in=OPEN_STATES).update(**asked):
            raise Conflict(_("This run has ended."))
    audit.record(by=by, action=Action.JOB_STOP, target=run.pk, detail={"name": run.job.name})


def _installed(task: str) -> registry.Job:
    found = registry.find(task)
    if found is None:
        raise NotFound(_("This installation has no job {name}.").format(name=task))
    return found


def _record(row: PeriodicTask, action: Action, by: Actor, **detail: object) -> None:
    audit.record(by=by, action=action, target=row.pk, detail={"name": row.name, **detail})
