"""Whether the desk is open, and when it opens next."""

from datetime import datetime, timedelta

from routing.assignment import business_hours

AHEAD = timedelta(days=8)


def opens_at(tenant_id: int, *, now: datetime) -> datetime | None:
    """Return when a desk that is closed opens; None: not within a week."""
    return business_hours.next_opening(tenant_id, now, within=AHEAD)
