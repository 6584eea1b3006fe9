"""One request to an endpoint: composed, signed, sent, and what came of it.

Headers and signature are those of https://www.standardwebhooks.com: `webhook-id`, `webhook-timestamp`, `webhook-signature`. While a
secret is being replaced, the request carries a signature with each of the two.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from standardwebhooks import Webhook

from messaging.channels.base import Accepted, OutcomeUnknown, ProviderError
from messaging.channels.http.answers import excerpt, retry_after
from messaging.configuration import webhooks
from messaging.models import DeliveryKind, DeliveryStatus, WebhookDelivery, WebhookEndpoint
from messaging.webhooks import positions
from posthaste.lib import foreign_json, http
from posthaste.lib.crypto import is_lost
from posthaste.lib.ids import new_id
from tracing import w3c
from tracing.services import record

ID_PREFIX = "msg_"
GONE = 410  # the receiver wants no more events
MAX_ANSWER_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request; `retry_after` in seconds, where the receiver named a time."""

    status: DeliveryStatus
    http_status: int | None
    duration_ms: int
    error: str = ""
    detail: str = ""
    retry_after: float | None = None

    def as_result(self) -> Accepted | ProviderError:
        """Return it as the breaker of the host counts it."""
        if self.status == DeliveryStatus.DELIVERED:
            return Accepted()
        if self.status == DeliveryStatus.UNKNOWN:
            return OutcomeUnknown(self.error, self.detail)
        code = "rate_limited" if self.http_status == 429 else self.error
        error = ProviderError(code, self.detail, unreachable=self.http_status is None)
        error.at_fault = self.http_status is None or self.http_status >= 500 or self.http_status == 408
        return error


def new_webhook_id() -> str:
    """Make the id of a request, which a receiver uses to recognise one that it has seen."""
    return f"{ID_PREFIX}{new_id().hex}"


def host_of(endpoint: WebhookEndpoint) -> str:
    """Return the host that an endpoint is at, as its breaker and its cap are called."""
    return http.host_name(endpoint.url)


def _traceparent(webhook_id: str, events: Sequence[dict[str, Any]]) -> str:
    """Return the trace that a request belongs to: that of the message where all events are about one, else one of its own.

    The messages of many are named in the events.
    """
    about = {event["data"].get("id") if event["type"].startswith("message.") else None for event in events}
    message_id = about.pop() if len(about) == 1 else None
    if message_id is None:
        return w3c.traceparent(UUID(webhook_id.removeprefix(ID_PREFIX)), "webhook")
    trace_id = UUID(message_id)
    return w3c.traceparent(trace_id, w3c.ROOT, is_sampled=record.is_sampled(trace_id))


def post(endpoint: WebhookEndpoint, *, webhook_id: str, events: Sequence[dict[str, Any]], now: datetime) -> Answer:
    """Send events to an endpoint in one request. It never raises: whatever happens is an answer."""
    body = _body(webhook_id, events)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": _signatures(endpoint, webhook_id, body, now),
        w3c.HEADER: _traceparent(webhook_id, events),
    }
    began = time.monotonic()
    try:
        answer = http.client().request(
            "POST",
            endpoint.url,
            headers=headers,
            body=body,
            total_timeout=webhooks.value.timeout_seconds,
            max_body=MAX_ANSWER_BYTES,
            needs_body=False,
        )
    except http.OutboundError as error:
        status = DeliveryStatus.UNKNOWN if error.sent else DeliveryStatus.FAILED
        return Answer(status, None, _since(began), error.code[:60], error.detail[:500])
    took, detail = _since(began), excerpt(answer).replace("\0", "")[:500]
    if 200 <= answer.status < 300:
        return Answer(DeliveryStatus.DELIVERED, answer.status, took, "", detail)
    wait = retry_after(answer.headers, datetime.now(UTC))
    return Answer(DeliveryStatus.FAILED, answer.status, took, f"http_{answer.status}", detail, wait)


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


def _body(webhook_id: str, events: Sequence[dict[str, Any]]) -> bytes:
    return foreign_json.dumps({"id": webhook_id, "events": list(events)}).encode("utf-8", "replace")


def size_of(event: dict[str, Any]) -> int:
    """Return how many bytes of a body an event takes."""
    return len(foreign_json.dumps(event).encode("utf-8", "replace")) + 1  # and a comma


def _signatures(endpoint: WebhookEndpoint, webhook_id: str, body: bytes, now: datetime) -> str:
    secrets = [endpoint.secret]
    is_in_use = endpoint.previous_secret_until is not None and endpoint.previous_secret_until > now
    if is_in_use and not is_lost(endpoint, "previous_secret") and endpoint.previous_secret:
        secrets.append(endpoint.previous_secret)
    text = body.decode()
    # `sign` reads a time without a zone as UTC.
    return " ".join(Webhook(secret).sign(webhook_id, now.astimezone(UTC), text) for secret in secrets)


def log(
    endpoint: WebhookEndpoint,
    answer: Answer,
    *,
    webhook_id: str,
    at: datetime,
    events: int = 1,
    kind: DeliveryKind = DeliveryKind.EVENTS,
    status: DeliveryStatus | None = None,
    carried: Sequence[int] = (),
    attempt: int = 1,
    replayed_from: WebhookDelivery | None = None,
) -> WebhookDelivery:
    """Write an entry of the log; `carried` are the positions of its events, none in a test, which has `events` of them.

    The endpoint must be locked, as it could be deleted meanwhile.
    """
    return WebhookDelivery.objects.create(
        endpoint=endpoint,
        tenant_id=endpoint.tenant_id,
        kind=kind,
        webhook_id=webhook_id,
        from_position=carried[0] if carried else 0,
        until_position=carried[-1] if carried else 0,
        events=len(carried) or events,
        positions=positions.encode(carried),
        attempt=attempt,
        status=status or answer.status,
        http_status=answer.http_status,
        duration_ms=answer.duration_ms,
        error=answer.error,
        detail=answer.detail,
        replayed_from=replayed_from,
        at=at,
    )
