"""A database scheduler of which several may run: one leads, the others stand by.

The leader holds a lease in Redis and renews it once a second; if it dies, another takes over when the lease has run
out. Should both think they lead for a moment, a job is at worst published twice, and every job is safe to run twice.
"""

import os
import socket
import time
import uuid
from datetime import datetime, timedelta
from typing import Any

import structlog
from celery.schedules import BaseSchedule, schedstate, schedule
from django.db.models import QuerySet
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from jobs import registry
from jobs.registry import Misfire
from jobs.services.first_due import counted_from
from posthaste.lib import heartbeat, redis

log = structlog.get_logger(__name__)
LEASE_MS = 5000
RENEW_SECONDS = 1.0
MIN_PAUSE_SECONDS = 0.05
EARLY_SECONDS = 0.015  # Celery takes 0.010 off each pause
LOOK_SECONDS = 3.0  # how often the table is asked for changes; each tick asks several times
#: A run that starts later than this was missed; a standby takes over, and a beat process restarts, within that time.
MISFIRE_GRACE = timedelta(minutes=1)

# KEYS[1] lease, ARGV[1] owner, ARGV[2] lease in ms; returns 1 if the caller leads
LEAD = """
local owner = redis.call('GET', KEYS[1])
if owner == false or owner == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
return 0
"""


def without_missed(when: BaseSchedule, last_run_at: datetime, now: datetime) -> datetime:
    """Return the moment to count from so that runs missed before the last minute are skipped. An interval keeps its beat."""
    since = now - MISFIRE_GRACE
    if last_run_at >= since:
        return last_run_at
    if isinstance(when, schedule):
        every: timedelta = when.run_every
        return last_run_at + (since - last_run_at) // every * every
    return since


class Entry(ModelEntry):  # type: ignore[misc]  # django-celery-beat has no types
    """A job of the table. One that never ran is due as it was before a restart, and missed runs are treated as the job declares."""

    last_run_at: datetime

    def __init__(self, model: PeriodicTask, app: Any = None) -> None:
        if not model.last_run_at and model.start_time is None:
            model.last_run_at = counted_from(model, now=timezone.now())
        super().__init__(model, app=app)

    def is_due(self) -> schedstate:
        if self._skips_missed() and self.schedule.remaining_estimate(self.last_run_at) < -MISFIRE_GRACE:
            log.info("missed runs of a job are skipped", job=self.name, last_run_at=self.last_run_at.isoformat())
            self.last_run_at = without_missed(self.schedule, self.last_run_at, timezone.now())
        return super().is_due()

    def _skips_missed(self) -> bool:
        """Whether missed runs are skipped: not the only run of a job, nor the first one of a job with a start."""
        found = registry.find(self.task)
        if found is None or found.misfire is not Misfire.SKIP or self.model.one_off:
            return False
        return self.model.start_time is None or self.total_run_count > 0


class LeaderScheduler(DatabaseScheduler):  # type: ignore[misc]  # django-celery-beat has no types
    """django-celery-beat's scheduler, ticking only in the process that leads."""

    Entry = Entry

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.leads: bool | None = None
        self._next_look = self._next_renewal = 0.0
        self._lead = redis.client().register_script(LEAD)
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Write the schedule of every registered job into the database, whatever was changed there meanwhile."""
        self.app.conf.beat_schedule = registry.beat_schedule()
        super().setup_schedule()

    def enabled_models(self) -> list[PeriodicTask]:
        """Return the rows to be scheduled, without those whose job is not installed any more: nothing could run them."""
        return [row for row in super().enabled_models() if registry.find(row.task)]

    def enabled_models_qs(self) -> "QuerySet[PeriodicTask]":
        """Return all rows that are on.

        The package leaves out crontabs whose hour is not near, and so makes up for a missed run at a time that has nothing to do with it.
        """
        found: QuerySet[PeriodicTask] = PeriodicTask.objects.enabled()
        return found

    def all_as_schedule(self) -> dict[str, ModelEntry]:
        """Return the entries of all rows; one that can't be scheduled is logged and does not hold up the others."""
        entries = {}
        for row in self.enabled_models():
            try:
                entries[row.name] = self.Entry(row, app=self.app)
            except (ValueError, ArithmeticError, TypeError, LookupError) as error:
                log.error("job can't be scheduled", job=row.name, reason=str(error))
        return entries

    def schedule_changed(self) -> bool:
        """Return whether a job was changed since it was last asked, looking at most every three seconds."""
        clock = time.monotonic()
        if clock < self._next_look:
            return False
        self._next_look = clock + LOOK_SECONDS
        return bool(super().schedule_changed())

    def apply_entry(self, entry: ModelEntry, producer: Any = None) -> None:
        """Publish a run, unless it would find nothing to do."""
        if registry.is_needed(entry.task):
            super().apply_entry(entry, producer=producer)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        heartbeat.start("beat")  # before this point SIGTERM is not handled either
        if not self._still_leads():
            return 1.0
        pause = float(super().tick(*args, **kwargs))
        # Celery wakes a little before a run is due, and would then ask over and over whether it is.
        return min(max(pause + EARLY_SECONDS, MIN_PAUSE_SECONDS), 1.0) if pause else 0.0

    def _still_leads(self) -> bool:
        """Return whether this process leads; asked and renewed once a second, as each run takes a tick or two."""
        clock = time.monotonic()
        if self.leads and clock < self._next_renewal:
            return True
        try:
            leads = bool(self._lead(keys=[redis.key("beat", "leader")], args=[self.owner, LEASE_MS]))
        except redis.Unavailable:
            # Better twice than never: the jobs are safe to run twice.
            leads = True
        self._next_renewal = clock + RENEW_SECONDS
        if leads != self.leads:
            log.info("beat leads" if leads else "beat stands by", owner=self.owner)
            self.leads = leads
        return leads
