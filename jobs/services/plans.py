"""The plans of jobs: how the rows of django-celery-beat and ours are read as one schedule, and written from the declarations."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks

from jobs import registry
from jobs.models import Plan
from jobs.registry import Job
from jobs.services.timing import Schedule

WITH_SCHEDULES = ("job__interval", "job__crontab", "job__clocked")


@dataclass(frozen=True, slots=True)
class When:
    """When a job fires, as people say it: one of a cron expression, an interval, and a moment."""

    cron: str = ""
    every: timedelta | None = None
    at: datetime | None = None


def when_of(row: PeriodicTask) -> When:
    """Return what a row of django-celery-beat says.

    Raises:
        ValueError: it has a schedule that is not understood here (of the sun), or none.
    """
    if row.interval is not None:
        return When(every=timedelta(**{row.interval.period: row.interval.every}))
    if (cron := row.crontab) is not None:
        return When(cron=f"{cron.minute} {cron.hour} {cron.day_of_month} {cron.month_of_year} {cron.day_of_week}")
    if row.clocked is not None:
        return When(at=row.clocked.clocked_time)
    raise ValueError("This job has no schedule.")


def schedule_of(plan: Plan) -> Schedule:
    """Return the schedule of a job.

    Raises:
        ValueError: as `when_of`.
    """
    when = when_of(plan.job)
    return Schedule(
        cron=when.cron,
        every=when.every,
        at=when.at,
        zone=plan.time_zone,
        calendar=plan.calendar,
        anchor=plan.anchor,
        starts_at=plan.job.start_time,
        ends_at=plan.job.expires,
    )


def columns_of(when: When, *, zone: str) -> dict[str, Any]:
    """Return the columns of django-celery-beat's row for a schedule; rows of intervals and crontabs are shared among jobs."""
    found: dict[str, Any] = {"interval": None, "crontab": None, "clocked": None, "solar": None, "one_off": when.at is not None}
    if when.every is not None:
        seconds = when.every.total_seconds()
        every, period = (
            (int(seconds), IntervalSchedule.SECONDS)
            if seconds == int(seconds)
            else (
                round(seconds * 1_000_000),
                IntervalSchedule.MICROSECONDS,
            )
        )
        interval = IntervalSchedule.objects.filter(every=every, period=period).first()
        return found | {"interval": interval or IntervalSchedule.objects.create(every=every, period=period)}
    if when.at is not None:
        clocked = ClockedSchedule.objects.filter(clocked_time=when.at).first()
        return found | {"clocked": clocked or ClockedSchedule.objects.create(clocked_time=when.at)}
    names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    fields: dict[str, Any] = dict(zip(names, when.cron.split(), strict=True)) | {"timezone": zone}
    crontab = CrontabSchedule.objects.filter(**fields).first()
    return found | {"crontab": crontab or CrontabSchedule.objects.create(**fields)}


def declared_policies(found: Job) -> dict[str, Any]:
    """Return the columns of a plan as a declaration has them."""
    return {
        "time_zone": found.time_zone,
        "calendar": found.calendar,
        "blocking": found.blocking,
        "misfire": found.misfire,
        "timeout_seconds": max(1, round(found.timeout.total_seconds())),
        "retries": found.retries,
        "retry_delay_seconds": round(found.retry_delay.total_seconds()),
        "shards": found.shards,
        "keeps_runs": found.keeps_runs,
    }


def declare_all(*, now: datetime) -> None:
    """Write the schedule of every registered job, except where people have changed it. A new job counts from now."""
    for found in registry.jobs():
        with transaction.atomic():
            _declare(found, now=now)


def _declare(found: Job, *, now: datetime) -> None:
    when = When(cron=found.cron, every=found.every)
    row = PeriodicTask.objects.select_related("interval", "crontab", "clocked").filter(name=found.entry).first()
    if row is None:
        columns = columns_of(when, zone=found.time_zone)
        row, _made = PeriodicTask.objects.get_or_create(name=found.entry, defaults={"task": found.name, "queue": None, **columns})
    plan, made = Plan.objects.get_or_create(job=row, defaults={**declared_policies(found), "anchor": now, "cursor": now})
    if made or plan.is_edited:
        return
    reset_to_declaration(row, plan, found, now=now)


def reset_to_declaration(row: PeriodicTask, plan: Plan, found: Job, *, now: datetime) -> bool:
    """Give a job the schedule and policies of its declaration, and return whether it had others."""
    when = When(cron=found.cron, every=found.every)
    policies = declared_policies(found)
    try:
        same_time = when_of(row) == when and plan.time_zone == found.time_zone and plan.calendar == found.calendar
    except ValueError:
        same_time = False
    same = same_time and row.task == found.name and all(getattr(plan, name) == value for name, value in policies.items())
    if same and not plan.is_edited:
        return False
    if not same_time:
        for name, value in columns_of(when, zone=found.time_zone).items():
            setattr(row, name, value)
        plan.cursor = now
    row.task = found.name
    row.save()
    for name, value in policies.items():
        setattr(plan, name, value)
    plan.is_edited = False
    plan.save()
    PeriodicTasks.update_changed()
    return True
