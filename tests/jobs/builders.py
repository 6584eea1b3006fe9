"""Jobs for tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import current_app
from django_celery_beat.models import PeriodicTask

from jobs import registry
from jobs.models import Plan
from jobs.services import parameters, plans
from jobs.services.plans import When

T0 = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
TASK = "jobs.remove_old_runs"


def make_plan(
    name: str = "mine",
    *,
    task: str = TASK,
    every: timedelta | None = None,
    cron: str = "",
    since: datetime = T0,
    at: datetime | None = None,
    **fields: Any,
) -> Plan:
    """Make a job that is counted from `since`; by default it is due each hour."""
    when = When(cron=cron, every=every if every or cron or at else timedelta(hours=1), at=at)
    row = PeriodicTask.objects.create(name=name, task=task, **plans.columns_of(when, zone=fields.get("time_zone", "UTC")))
    return Plan.objects.create(job=row, anchor=since, cursor=since, is_edited=True, **fields)


@contextmanager
def declared(name: str, function: Callable[..., Any], **options: Any) -> Iterator[None]:
    """Register a job for the block."""
    settings: dict[str, Any] = {"title": "Tidy", "purpose": "Tidies.", "timeout": timedelta(seconds=30), "every": timedelta(hours=1)}
    settings |= options
    if settings.get("cron"):
        settings.pop("every")
    registry.job(name, **settings)(function)
    try:
        yield
    finally:
        current_app.tasks.pop(name, None)
        registry._queues.pop(name)
        registry._jobs.pop(name)
        parameters._shape.cache_clear()
