"""The log of what was sent to endpoints, and sending some of it again."""

from datetime import datetime

from accounts.services.audit import Actor
from messaging.models import Event, WebhookDelivery, WebhookEndpoint

COUNT_UP_TO = 100_000
MAX_REPLAYED = 10_000  # events of one call


def waiting(*, endpoint: WebhookEndpoint) -> int:
    """Count the events of the endpoint's tenant after its cursor, up to COUNT_UP_TO; some may not be for this endpoint."""
    rows = Event.objects.filter(tenant_id=endpoint.tenant_id, position__gt=endpoint.cursor).order_by()
    return rows.values("position")[:COUNT_UP_TO].count()


def replay(*, endpoint: WebhookEndpoint, delivery: WebhookDelivery, by: Actor, now: datetime) -> WebhookDelivery:
    """Send the events of a delivery once more, now and with a new webhook-id, and return the new entry of the log.

    The endpoint's cursor stays where it is, and a failure is not repeated.

    Raises:
        Conflict: it was a test, or its events are not kept any more.
    """
    raise NotImplementedError


def replay_range(*, endpoint: WebhookEndpoint, from_position: int, until_position: int, by: Actor, now: datetime) -> list[WebhookDelivery]:
    """Send the endpoint's events of a range of positions once more, as `replay` does, and return the new entries of the log.

    It takes several requests if there are many events, and stops at the first that fails.

    Raises:
        Invalid: the range is wrong, or holds more than MAX_REPLAYED events for this endpoint.
        Conflict: none of its events is kept any more.
    """
    raise NotImplementedError
