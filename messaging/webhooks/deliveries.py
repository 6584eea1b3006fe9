"""The log of what was sent to endpoints, and sending some of it again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from messaging.actions import Action
from messaging.models import DeliveryKind, Event, WebhookDelivery, WebhookEndpoint
from messaging.webhooks import content, event_types, reading, request
from messaging.webhooks.reading import StoredEvent
from posthaste.lib.problems import Conflict

COUNT_UP_TO = 100_000


def waiting(*, endpoint: WebhookEndpoint) -> int:
    """Count the events of the endpoint's tenant after its cursor, up to COUNT_UP_TO; some may not be for this endpoint."""
    rows = Event.objects.filter(tenant_id=endpoint.tenant_id, position__gt=endpoint.cursor).order_by()
    return rows.values("position")[:COUNT_UP_TO].count()


def is_wanted(endpoint: WebhookEndpoint, event: StoredEvent) -> bool:
    """Return whether an event is for an endpoint."""
    if event.is_sandbox and not endpoint.includes_sandbox:
        return False
    return (not endpoint.channels or event.channel in endpoint.channels) and event_types.matches(event.type, endpoint.event_types)


def events_of(*, delivery: WebhookDelivery, limit: int) -> list[dict[str, Any]]:
    """Return the first events of a delivery as receivers see them, as far as they are kept and still for its endpoint."""
    if not delivery.from_position:
        return []
    return content.as_seen(
        _between(delivery.endpoint, delivery.from_position, delivery.until_position, limit=min(limit, delivery.events or limit))
    )


def replay(*, endpoint: WebhookEndpoint, delivery: WebhookDelivery, by: Actor, now: datetime) -> WebhookDelivery:
    """Send the events of a delivery once more, now and with a new webhook-id, and return the new entry of the log.

    The endpoint's cursor stays where it is, and a failure is not repeated.

    Raises:
        Conflict: it was a test, or its events are not kept any more.
    """
    if delivery.kind == DeliveryKind.TEST:
        raise Conflict(_("This was a test. Send another one instead."))
    found = stored_events(endpoint, delivery)
    if not found:
        raise Conflict(_("The events of this delivery are not kept any more, or are not for this endpoint any more."))
    entry = send_again(endpoint, found, now, replayed_from=delivery)
    _record(endpoint, by, found, entry)
    return entry


def stored_events(endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> list[StoredEvent]:
    """Return the events of a delivery, as far as they are kept and still for the endpoint."""
    return _between(endpoint, delivery.from_position, delivery.until_position, limit=max(1, delivery.events))


def _between(endpoint: WebhookEndpoint, first: int, last: int, *, limit: int) -> list[StoredEvent]:
    return reading.read(
        tenant_id=endpoint.tenant_id, position=first - 1, last=last, limit=limit, wanted=lambda event: is_wanted(endpoint, event)
    ).rows


def send_again(endpoint: WebhookEndpoint, rows: Sequence[StoredEvent], now: datetime, *, replayed_from: WebhookDelivery) -> WebhookDelivery:
    """Send events in one request with a new webhook-id, and return its entry of the log."""
    webhook_id = request.new_webhook_id()
    answer = request.post(endpoint, webhook_id=webhook_id, events=content.as_seen(rows), now=now)
    return request.log(
        endpoint,
        answer,
        webhook_id=webhook_id,
        kind=DeliveryKind.REPLAY,
        events=len(rows),
        first=rows[0].position,
        last=rows[-1].position,
        replayed_from=replayed_from,
        at=now,
    )


@transaction.atomic
def _record(endpoint: WebhookEndpoint, by: Actor, rows: Sequence[StoredEvent], entry: WebhookDelivery) -> None:
    detail = {
        "from_position": rows[0].position,
        "until_position": rows[-1].position,
        "events": entry.events,
        "status": str(entry.status),
    }
    audit.record(by=by, action=Action.WEBHOOK_REPLAY, target=endpoint.pk, tenant_id=endpoint.tenant_id, detail=detail)
