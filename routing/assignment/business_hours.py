"""Whether a tenant's service desk is open."""

from datetime import datetime, timedelta

from routing.calendars.reading import calendar_of


def open_at(tenant_id: int, moment: datetime) -> bool:
    """Return whether a moment lies within the tenant's business hours: its default calendar's, else those of the module."""
    return calendar_of(tenant_id).is_open(moment)


def next_opening(tenant_id: int, moment: datetime, *, within: timedelta) -> datetime | None:
    """Return when the desk opens, which is the moment itself if it is open; None: not within that time."""
    times = calendar_of(tenant_id)
    # Asked first: a calendar that never opens is looked through for twenty years.
    return times.next_opening(moment) if times.business_seconds_between(moment, moment + within) else None
