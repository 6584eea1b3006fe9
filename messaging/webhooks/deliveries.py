"""The log of what was sent to endpoints, and sending some of it again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from messaging.actions import Action
from messaging.models import DeliveryKind, DeliveryStatus, Event, WebhookDelivery, WebhookEndpoint
from messaging.webhooks import content, event_types, reading, request
from messaging.webhooks.reading import StoredEvent
from posthaste.lib.problems import Conflict, Invalid

COUNT_UP_TO = 100_000
MAX_REPLAYED = 1_000  # events of one call: it is answered when all are sent


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
    found = _between(endpoint, delivery.from_position, delivery.until_position, limit=max(1, delivery.events))
    if not found:
        raise Conflict(_("The events of this delivery are not kept any more, or are not for this endpoint any more."))
    entry = _send(endpoint, found, now, replayed_from=delivery)
    _record(endpoint, by, found, [entry])
    return entry


def replay_range(*, endpoint: WebhookEndpoint, from_position: int, until_position: int, by: Actor, now: datetime) -> list[WebhookDelivery]:
    """Send the endpoint's events of a range of positions once more, as `replay` does, and return the new entries of the log.

    It takes several requests if there are many events, and stops at the first that fails.

    Raises:
        Invalid: the range is wrong, or holds more than MAX_REPLAYED events for this endpoint.
        Conflict: none of its events is kept any more.
    """
    if not 0 < from_position <= until_position:
        raise Invalid.field("until_position", _("Must not be less than from_position."))
    found = _between(endpoint, from_position, until_position, limit=MAX_REPLAYED + 1)
    if len(found) > MAX_REPLAYED:
        raise Invalid.field("until_position", _("At most {n} events at once.").format(n=MAX_REPLAYED), "too_many")
    if not found:
        raise Conflict(_("None of these events is kept any more, or is for this endpoint."))
    entries: list[WebhookDelivery] = []
    for start in range(0, len(found), endpoint.max_events):
        entries.append(_send(endpoint, found[start : start + endpoint.max_events], now))
        if entries[-1].status != DeliveryStatus.DELIVERED:
            break
    _record(endpoint, by, found, entries)
    return entries


def _between(endpoint: WebhookEndpoint, first: int, last: int, *, limit: int) -> list[StoredEvent]:
    return reading.read(
        tenant_id=endpoint.tenant_id, position=first - 1, last=last, limit=limit, wanted=lambda event: is_wanted(endpoint, event)
    ).rows


def _send(
    endpoint: WebhookEndpoint, rows: Sequence[StoredEvent], now: datetime, replayed_from: WebhookDelivery | None = None
) -> WebhookDelivery:
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
def _record(endpoint: WebhookEndpoint, by: Actor, rows: Sequence[StoredEvent], entries: Sequence[WebhookDelivery]) -> None:
    detail = {
        "from_position": rows[0].position,
        "until_position": rows[-1].position,
        "events": sum(entry.events for entry in entries),
        "status": str(entries[-1].status),
    }
    audit.record(by=by, action=Action.WEBHOOK_REPLAY, target=endpoint.pk, tenant_id=endpoint.tenant_id, detail=detail)
