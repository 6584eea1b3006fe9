"""What one request to an endpoint carries.

A request that is repeated carries the same events under the same webhook-id. If the filters or the limits of the endpoint were changed
meanwhile, or the receiver found the body too large, the events are composed anew, and the request gets an id of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from messaging.models import WebhookEndpoint
from messaging.webhooks import content, positions, reading, request
from messaging.webhooks.deliveries import is_wanted
from messaging.webhooks.reading import StoredEvent

MAX_BODY_BYTES = 256 * 1024
ENVELOPE_BYTES = 64  # of a body, beside its events
TOO_LARGE = 413  # Content Too Large, RFC 9110, 15.5.14
KEEP_LIMIT = timedelta(days=1)  # then a receiver that found a request too large gets a larger one again
#: An endpoint that has no request under way.
NOTHING_IN_FLIGHT: dict[str, Any] = {
    "inflight_id": "",
    "inflight_until": None,
    "inflight_since": None,
    "inflight_positions": "",
    "attempts": 0,
    "is_calling": False,
}


@dataclass(frozen=True, slots=True)
class Load:
    """What one request carries, and up to which position nothing else is for this endpoint."""

    rows: Sequence[StoredEvent]
    until: int
    is_last: bool = False  # nothing else waited when it was read
    seen: Sequence[dict[str, Any]] = ()  # as the receiver sees the events, once it is composed
    size: int = 0  # of the body in bytes, once it is composed

    @property
    def positions(self) -> list[int]:
        """Where its events are."""
        return [row.position for row in self.rows]


def load(endpoint: WebhookEndpoint) -> Load:
    """Return the events of the request under way, or if they are not for the endpoint in this way any more, the next ones."""
    read = partial(
        reading.read,
        tenant_id=endpoint.tenant_id,
        position=endpoint.cursor,
        limit=endpoint.max_events,
        wanted=lambda event: is_wanted(endpoint, event),
    )
    if endpoint.inflight_until is not None:
        found = read(last=endpoint.inflight_until)
        if found.rows and positions.encode(row.position for row in found.rows) == endpoint.inflight_positions:
            return Load(found.rows, endpoint.inflight_until)
        forget_request(endpoint)
    found = read()
    return Load(found.rows, found.until, len(found.rows) < endpoint.max_events)


def compose(endpoint: WebhookEndpoint, chosen: Load, now: datetime) -> Load:
    """Return what of a load fits into one request, at least its first event."""
    seen = content.as_seen(chosen.rows)
    number, size = _fitting(seen, limit_of(endpoint, now))
    if number == len(seen):
        return Load(chosen.rows, chosen.until, chosen.is_last, seen, size)
    if endpoint.inflight_until is not None:
        forget_request(endpoint)
    rows = chosen.rows[:number]
    return Load(rows, rows[-1].position, False, seen[:number], size)


def _fitting(seen: Sequence[dict[str, Any]], limit: int) -> tuple[int, int]:
    """Return how many events fit into a body of so many bytes, and its size."""
    size = ENVELOPE_BYTES
    for number, event in enumerate(seen):
        grown = size + request.size_of(event)
        if number and grown > limit:
            return number, size
        size = grown
    return len(seen), size


def limit_of(endpoint: WebhookEndpoint, now: datetime) -> int:
    """Return how many bytes a request to an endpoint may have."""
    is_limited = endpoint.max_body_bytes and endpoint.max_body_until and endpoint.max_body_until > now
    return min(MAX_BODY_BYTES, endpoint.max_body_bytes) if is_limited and endpoint.max_body_bytes else MAX_BODY_BYTES


def halved(sent: Load, now: datetime) -> dict[str, Any]:
    """Return the fields that make requests to an endpoint smaller, after one was too large; none if it carried a single event."""
    if len(sent.rows) < 2:
        return {}
    return {"max_body_bytes": max(1, sent.size // 2), "max_body_until": now + KEEP_LIMIT}


def forget_request(endpoint: WebhookEndpoint) -> None:
    """Have the next request be a new one. The row is written when it begins."""
    for name, value in NOTHING_IN_FLIGHT.items():
        setattr(endpoint, name, value)
