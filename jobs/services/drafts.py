"""A job as a form or the API describes it, and what may be wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _
from django_celery_beat.models import PeriodicTask

from jobs import registry
from jobs.models import Plan
from jobs.policies import Blocking, Misfire
from jobs.services import calendars, parameters, plans, transitions
from jobs.services.plans import When
from jobs.services.timing import Schedule
from posthaste.lib.crontab import check_cron
from posthaste.lib.problems import Invalid, NotFound
from posthaste.lib.zones import zone

MAX_SHARDS = 64
MAX_RETRIES = 20
MAX_TIMEOUT = 7 * 86_400
MAX_RETRY_DELAY = 86_400
MIN_INTERVAL = timedelta(seconds=1)


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
    found = installed(task)
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
    elif row is not None and draft.name != row.name and declared(row) is not None:
        errors["name"] = _("The platform's own jobs keep their names.")
    elif PeriodicTask.objects.filter(name=draft.name).exclude(pk=row.pk if row else None).exists():
        errors["name"] = _("There is already a job of this name.")
    if zone(draft.time_zone) is None:
        errors["time_zone"] = _("There is no time zone of this name.")
    if not calendars.is_known(draft.calendar):
        errors["calendar"] = _("There is no calendar of this name.")
    ranges = (
        ("timeout_seconds", 1, MAX_TIMEOUT),
        ("retries", 0, MAX_RETRIES),
        ("retry_delay_seconds", 1, MAX_RETRY_DELAY),
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
    if not errors and draft.enabled and _is_retimed(draft, row) and never_fires(draft, now):
        errors["when"] = _("This schedule never comes round.")
    if draft.child_id is not None:
        if not Plan.objects.filter(pk=draft.child_id, keeps_runs=True).exists():
            errors["child_id"] = _("There is no job of this id whose runs are kept.")
        elif _is_circle(draft.child_id, row):
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
    if not when.cron:
        return _("This field is required.")
    try:
        check_cron(when.cron)
    except ValueError as error:
        return _("This crontab is not valid: {reason}.").format(reason=str(error))
    return ""


def _is_retimed(draft: Draft, row: PeriodicTask | None) -> bool:
    if row is None:
        return True
    before = draft_of(row.plan)
    return any(getattr(draft, name) != getattr(before, name) for name in TIME_FIELDS)


def never_fires(draft: Draft, now: datetime) -> bool:
    """Return whether a schedule has no fire time after a moment: its calendar, start and end leave none."""
    planned = Schedule(
        cron=draft.when.cron,
        every=draft.when.every,
        at=draft.when.at,
        zone=draft.time_zone,
        calendar=draft.calendar,
        starts_at=draft.starts_at,
        ends_at=draft.ends_at,
    )
    try:
        return planned.next_after(now) is None
    except (ValueError, OverflowError):  # beyond the calendar of Python
        return True


def _is_circle(child_id: int, row: PeriodicTask | None) -> bool:
    seen: set[int] = set()
    following: int | None = child_id
    while following is not None and following not in seen:
        if row is not None and following == row.pk:
            return True
        seen.add(following)
        following = Plan.objects.filter(pk=following).values_list("child_id", flat=True).first()
    return following is not None


def installed(task: str) -> registry.Job:
    """Return the job of a task.

    Raises:
        NotFound: this installation has none of that name.
    """
    found = registry.find(task)
    if found is None:
        raise NotFound(_("This installation has no job {name}.").format(name=task))
    return found


def declared(row: PeriodicTask) -> registry.Job | None:
    """Return the declaration that a row belongs to, or None for a job that people made."""
    return next((found for found in registry.jobs() if found.entry == row.name), None)
