"""Housekeeping of what is remembered about requests."""

from datetime import datetime, timedelta

from messaging.models import IdempotencyKey

KEEP = timedelta(hours=24)


def forget_idempotency_keys(*, now: datetime) -> int:
    """Remove keys older than a day and return their number."""
    deleted, _by_model = IdempotencyKey.objects.filter(created_at__lt=now - KEEP).delete()
    return deleted
