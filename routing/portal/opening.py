"""Whether the desk is open, and when it opens next."""

from datetime import datetime, timedelta

from routing.assignment import business_hours

STEP = timedelta(minutes=15)
AHEAD = timedelta(days=8)


def opens_at(tenant_id: int, *, now: datetime) -> datetime | None:
    """Return when a desk that is closed opens, to the quarter of an hour; None: not within a week."""
    moment = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0) + STEP
    while moment < now + AHEAD:
        if business_hours.open_at(tenant_id, moment):
            return moment
        moment += STEP
    return None
