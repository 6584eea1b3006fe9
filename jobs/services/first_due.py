"""The moment from which a job that never ran is counted, kept in the database so that a restart does not postpone it."""

from collections.abc import Collection
from datetime import datetime

from django_celery_beat.models import PeriodicTask

from jobs.models import Counted

#: Another value of one of these makes a job count anew.
COUNTED_FIELDS = frozenset({"enabled", "interval", "crontab", "solar", "clocked", "start_time"})


def counted_from(row: PeriodicTask, *, now: datetime) -> datetime:
    """Return since when a job's schedule counts: from `now` where it is seen for the first time, or its schedule is another one."""
    schedule = _schedule_of(row)
    counted, made = Counted.objects.get_or_create(name=row.name, defaults={"since": now, "schedule": schedule})
    if not made and counted.schedule != schedule:
        counted.since, counted.schedule = now, schedule
        counted.save()
    return counted.since


def count_anew(names: Collection[str]) -> None:
    """Count these jobs from when they are seen again: they were switched on or off, changed or deleted."""
    Counted.objects.filter(name__in=names).delete()


def _schedule_of(row: PeriodicTask) -> str:
    if row.interval is not None:
        return f"every {row.interval.every} {row.interval.period}"
    if (cron := row.crontab) is not None:
        return f"{cron.minute} {cron.hour} {cron.day_of_month} {cron.month_of_year} {cron.day_of_week} {cron.timezone}"[:200]
    return f"{'solar' if row.solar_id else 'clocked'} {row.solar_id or row.clocked_id}"
