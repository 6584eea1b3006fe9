"""Housekeeping of what is remembered about requests."""

from datetime import datetime, timedelta

from django.utils.translation import gettext_lazy as _

from jobs.registry import Blocking, job
from messaging.models import IdempotencyKey
from posthaste.lib import queues

KEEP = timedelta(hours=24)


@job(
    "messaging.forget_idempotency_keys",
    entry="forget idempotency keys",
    title=_("Remove idempotency keys"),
    purpose=_("Removes records of requests with an Idempotency-Key after a day."),
    every=timedelta(hours=1),
    timeout=timedelta(minutes=10),
    expires=timedelta(minutes=10),
    blocking=Blocking.OVERLAP,
    queue=queues.NOTIFICATION,
)
def forget_idempotency_keys(*, now: datetime) -> int:
    """Remove keys older than a day and return their number."""
    deleted, _by_model = IdempotencyKey.objects.filter(created_at__lt=now - KEEP).delete()
    return deleted
