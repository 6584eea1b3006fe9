"""Whether a tenant's service desk is open."""

from datetime import datetime

from routing.calendars.reading import calendar_of


def open_at(tenant_id: int, moment: datetime) -> bool:
    """Return whether a moment lies within the tenant's business hours: its default calendar's, else those of the module."""
    return calendar_of(tenant_id).is_open(moment)
