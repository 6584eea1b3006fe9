"""Whether a tenant's service desk is open."""

from datetime import datetime

from routing.configuration import service_levels
from routing.configuration.hours import is_open


def open_at(tenant_id: int, moment: datetime) -> bool:
    """Return whether a moment lies within the tenant's business hours, by its own time zone, hours and holidays."""
    return is_open(service_levels.of(tenant_id), moment)
