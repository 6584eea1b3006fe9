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
from messaging.models.webhook import MAX_EVENTS
from messaging.webhooks import content, event_types, positions, reading, request
from messaging.webhooks.reading import StoredEvent
from posthaste.lib.outgoing_calls import outgoing_calls
from posthaste.lib.problems import Conflict
from posthaste.lib.rows import is_kept, lock

COUNT_UP_TO = 100_000


def waiting(*, endpoint: WebhookEndpoint) -> int:
    """Count the events of the endpoint's tenant after its cursor, up to COUNT_UP_TO; some may not be for this endpoint."""
    rows = Event.objects.filter(tenant_id=endpoint.tenant_id, position__gt=endpoint.cursor).order_by()
    return rows.values("position")[:COUNT_UP_TO].count()


def is_wanted(endpoint: WebhookEndpoint, event: StoredEvent) -> bool:
    """Return whether an event is for an endpoint."""
    return event_types.is_wanted_kind(endpoint, type_=event.type, channel=event.channel, is_sandbox=event.is_sandbox)


def events_of(*, delivery: WebhookDelivery, limit: int) -> list[dict[str, Any]]:
    """Return the first events of a delivery as receivers see them, as far as they are kept and still for its endpoint."""
    return content.as_seen(stored_events(delivery.endpoint, delivery)[:limit])


def replay(*, endpoint: WebhookEndpoint, delivery: WebhookDelivery, by: Actor, now: datetime) -> WebhookDelivery:
    """Send the events of a delivery once more, now and with a new webhook-id, and return the new entry of the log.

    The endpoint's cursor stays where it is, and a failure is not repeated.

    Raises:
        Conflict: it was a test, or its events are not kept any more.
        NotFound: the endpoint was deleted during the call.
        TooMany: as many calls as a process may wait for are in progress.
    """
    if delivery.kind == DeliveryKind.TEST:
        raise Conflict(_("This was a test. Send another one instead."))
    found = stored_events(endpoint, delivery)
    if not found:
        raise Conflict(_("The events of this delivery are not kept any more, or are not for this endpoint any more."))
    detail = {"from_position": found[0].position, "until_position": found[-1].position}
    with (
        outgoing_calls.place(endpoint.tenant_id),
        audit.recorded_first(by=by, action=Action.WEBHOOK_REPLAY, target=endpoint.pk, tenant_id=endpoint.tenant_id, detail=detail) as noted,
    ):
        entry = send_again(endpoint, found, now, replayed_from=delivery)
        audit.complete(noted, detail={"events": entry.events, "status": str(entry.status)})
    return entry


def stored_events(endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> list[StoredEvent]:
    """Return the events of a delivery, as far as they are kept and still for the endpoint."""
    return stored_at(endpoint, positions.decode(delivery.positions))


def stored_at(endpoint: WebhookEndpoint, carried: Sequence[int]) -> list[StoredEvent]:
    """Return the events at ascending positions, as far as they are kept and still for the endpoint."""
    if not carried:
        return []
    chosen = set(carried)
    return reading.read(
        tenant_id=endpoint.tenant_id,
        position=carried[0] - 1,
        last=carried[-1],
        limit=MAX_EVENTS,
        wanted=lambda event: event.position in chosen and is_wanted(endpoint, event),
    ).rows


def send_again(endpoint: WebhookEndpoint, rows: Sequence[StoredEvent], now: datetime, *, replayed_from: WebhookDelivery) -> WebhookDelivery:
    """Send events in one request with a new webhook-id, and return its entry of the log.

    Raises:
        NotFound: the endpoint was deleted during the call.
    """
    webhook_id = request.new_webhook_id()
    answer = request.post(endpoint, webhook_id=webhook_id, events=content.as_seen(rows), now=now)
    with transaction.atomic():
        lock(endpoint)
        return request.log(
            endpoint,
            answer,
            webhook_id=webhook_id,
            kind=DeliveryKind.REPLAY,
            carried=[row.position for row in rows],
            replayed_from=replayed_from if is_kept(replayed_from) else None,  # entries are removed when they are old
            at=now,
        )
