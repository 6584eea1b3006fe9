"""A database scheduler of which several may run: one leads, the others stand by.

The leader holds a lease in Redis and renews it once a second; if it dies, another takes over when the lease has run out. The lease only
saves work: jobs that keep their runs are fired exactly once whatever number of processes believes to lead (`jobs.services.firing`). Jobs
that are due more often than once a minute keep none; in such a moment they are published twice, and every job is safe to run twice.
"""

import os
import socket
import time
import uuid
from datetime import datetime
from typing import Any

import structlog
from celery.schedules import schedstate
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import QuerySet
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from jobs import registry
from jobs.registry import Misfire
from jobs.services import plans, publishing
from jobs.services.firing import GRACE, Clock
from posthaste.lib import heartbeat, redis

log = structlog.get_logger(__name__)
LEASE_MS = 5000
RENEW_SECONDS = 1.0
MIN_PAUSE_SECONDS = 0.05
EARLY_SECONDS = 0.015  # Celery takes 0.010 off each pause
LOOK_SECONDS = 3.0  # how often the tables are asked for changes, and for runs that were not begun
#: How long the database must have answered before a run counts as lost: its worker may only now be able to renew its lease.
TRUST_SECONDS = 15.0

# KEYS[1] lease, ARGV[1] owner, ARGV[2] lease in ms; returns 1 if the caller leads
LEAD = """
local owner = redis.call('GET', KEYS[1])
if owner == false or owner == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
return 0
"""


class Entry(ModelEntry):  # type: ignore[misc]  # django-celery-beat has no types
    """A job whose runs are only counted. One that never ran is due as it was before a restart."""

    last_run_at: datetime

    def __init__(self, model: PeriodicTask, app: Any = None) -> None:
        if not model.last_run_at and model.start_time is None:
            model.last_run_at = model.plan.anchor
        super().__init__(model, app=app)

    def is_due(self) -> schedstate:
        found = registry.find(self.task)
        now = timezone.now()
        if found is not None and found.misfire is Misfire.SKIP and now - self.last_run_at > GRACE:
            every = self.schedule.run_every
            self.last_run_at += (now - self.last_run_at) // every * every
        return super().is_due()


class LeaderScheduler(DatabaseScheduler):  # type: ignore[misc]  # django-celery-beat has no types
    """django-celery-beat's scheduler, ticking only in the process that leads."""

    Entry = Entry

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.leads: bool | None = None
        self._next_look = self._next_renewal = 0.0
        self._lead = redis.client().register_script(LEAD)
        self._next_sweep = 0.0
        self._answers_since = time.monotonic()  # the database
        self.clock = Clock()
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Write the schedule of every registered job into the database, except where people have changed it."""
        plans.declare_all(now=timezone.now())

    def enabled_models(self) -> list[PeriodicTask]:
        """Return the rows that the package schedules: jobs that are installed and whose runs are only counted."""
        return [row for row in super().enabled_models() if registry.find(row.task)]

    def enabled_models_qs(self) -> "QuerySet[PeriodicTask]":
        """Return all rows that are on and whose runs are only counted."""
        found: QuerySet[PeriodicTask] = PeriodicTask.objects.enabled().filter(plan__keeps_runs=False).select_related("plan")
        return found

    def all_as_schedule(self) -> dict[str, ModelEntry]:
        """Return the entries of the rows that the package schedules, and read the times of all others.

        One that can't be scheduled is logged and does not hold up the others.
        """
        self.clock.load()
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
        pause = self._publish_due(*args, **kwargs)
        until_next = self._fire_due()
        if until_next is not None:
            pause = min(pause, max(until_next, MIN_PAUSE_SECONDS))
        # Celery wakes a little before a run is due, and would then ask over and over whether it is.
        return min(max(pause + EARLY_SECONDS, MIN_PAUSE_SECONDS), 1.0)

    def _publish_due(self, *args: Any, **kwargs: Any) -> float:
        """Publish every run that is due of the jobs the package schedules, and return the seconds until the next one is.

        The package publishes one at each tick and says by a pause of 0 that there may be more. A tick that then waited for the next of the
        other jobs would make the runs of all of them late.
        """
        pause = float(super().tick(*args, **kwargs))  # reads the tables anew if they were changed
        for _other in range(len(self.schedule)):
            if pause:
                break
            pause = float(super().tick(*args, **kwargs))
        return pause

    def _fire_due(self) -> float | None:
        """Fire the jobs that are due, look after runs that no worker began, and return the seconds until the next fire time."""
        found = self.clock.fire_due(now=timezone.now())
        if (clock := time.monotonic()) >= self._next_sweep:
            self._next_sweep = clock + LOOK_SECONDS
            try:
                publishing.sweep(now=timezone.now())
                if clock - self._answers_since >= TRUST_SECONDS:
                    publishing.end_lost(now=timezone.now())
            except (DatabaseError, InterfaceError) as error:
                log.warning("runs wait for the database", error=type(error).__name__)
                connection.close()
                self._answers_since = time.monotonic()
        return found

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
            if leads:
                self.clock.load()  # the one that led before has gone on from what this process read
                self._answers_since = clock
        return leads
