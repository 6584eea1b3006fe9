"""A database scheduler of which several may run: one leads, the others stand by.

The leader holds a lease in Redis and renews it with every tick; if it dies, another takes over when the lease has run
out. Should both think they lead for a moment, a job is at worst published twice, and every job is safe to run twice.
"""

import os
import socket
import uuid
from typing import Any

import structlog
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from jobs import registry
from posthaste.lib import heartbeat, redis

log = structlog.get_logger(__name__)
LEASE_MS = 5000

# KEYS[1] lease, ARGV[1] owner, ARGV[2] lease in ms; returns 1 if the caller leads
LEAD = """
local owner = redis.call('GET', KEYS[1])
if owner == false or owner == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
return 0
"""


class LeaderScheduler(DatabaseScheduler):  # type: ignore[misc]  # django-celery-beat has no types
    """django-celery-beat's scheduler, ticking only in the process that leads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.leads: bool | None = None
        self._lead = redis.client().register_script(LEAD)
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Write the schedule of every registered job into the database, whatever was changed there meanwhile."""
        self.app.conf.beat_schedule = registry.beat_schedule()
        super().setup_schedule()

    def enabled_models(self) -> list[PeriodicTask]:
        """Return the rows to be scheduled, without those whose job is not installed any more: nothing could run them."""
        return [row for row in super().enabled_models() if registry.find(row.task)]

    def tick(self, *args: Any, **kwargs: Any) -> float:
        heartbeat.start("beat")  # before this point SIGTERM is not handled either
        try:
            leads = bool(self._lead(keys=[redis.key("beat", "leader")], args=[self.owner, LEASE_MS]))
        except redis.Unavailable:
            # Better twice than never: the jobs are safe to run twice.
            leads = True
        if leads != self.leads:
            log.info("beat leads" if leads else "beat stands by", owner=self.owner)
            self.leads = leads
        if not leads:
            return 1.0
        return min(float(super().tick(*args, **kwargs)), 1.0)
