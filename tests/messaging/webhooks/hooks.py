"""Endpoints and turns of senders for the tests of webhooks."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Tenant
from messaging.models import Event, Message, WebhookEndpoint
from messaging.storage import store
from messaging.storage.store import Outcome
from messaging.webhooks import endpoints, request, sender, sequencer
from messaging.webhooks.sender import Sender
from posthaste.lib.ids import new_id
from tests.builders import make_message, untraced


def make_endpoint(tenant: Tenant, url: str, **fields: Any) -> WebhookEndpoint:
    """Make an enabled endpoint."""
    endpoint = WebhookEndpoint(tenant=tenant, url=url, **{"name": f"endpoint {new_id().hex[-6:]}", **fields})
    with untraced() as by:
        return endpoints.create(endpoint=endpoint, by=by, now=timezone.now())


def end(messages: Sequence[Message], status: str = "sent", **fields: Any) -> None:
    """Write an outcome for messages, as a worker does that has claimed them."""
    claim_id = new_id()
    ids = [message.pk for message in messages]
    Message.objects.filter(pk__in=ids).update(status="sending", claim=claim_id, attempts=1)
    outcomes = [Outcome(id=pk, status=status, attempts=1, **fields) for pk in ids]
    assert store.write_outcomes(outcomes, claim_id=claim_id) == set(ids)


def sent(tenant: Tenant, number: int = 1, **fields: Any) -> list[Message]:
    """Make messages and let a provider accept them."""
    rows = [make_message(tenant, status="sending", **fields) for _ in range(number)]
    end(rows)
    return rows


def recorded(tenant: Tenant) -> list[Event]:
    """Return the tenant's events in order, once they have their positions."""
    sequencer.sequence()
    return list(Event.objects.filter(tenant=tenant).order_by("position"))


def types(tenant: Tenant) -> list[str]:
    return [event.type for event in recorded(tenant)]


def turn(endpoint: WebhookEndpoint) -> int:
    """Let one sender have its turn, as the engine does if the endpoint is due, and return the number of requests that were taken."""
    sequencer.sequence()
    return Sender(endpoint.pk).serve()


def during_calls(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> None:
    """Do something while a request is with the receiver: after it has come, and before its answer is noted."""
    own = request.post

    def post(*args: Any, **kwargs: Any) -> request.Answer:
        answer = own(*args, **kwargs)
        act()
        return answer

    monkeypatch.setattr(request, "post", post)


def is_due(endpoint: WebhookEndpoint) -> bool:
    sequencer.sequence()
    return endpoint.pk in sender.due(now=store.database_time(), limit=100)


def later(endpoint: WebhookEndpoint, **spans: Any) -> None:
    """Let the times of an endpoint lie further back, as if time had passed in which it was tried."""
    span = timedelta(**spans)
    found = WebhookEndpoint.objects.get(pk=endpoint.pk)
    for name in ("next_attempt_at", "failing_since", "inflight_since", "lease_until"):
        if (value := getattr(found, name)) is not None:
            setattr(found, name, value - span)
    found.save()


def again(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Read an endpoint anew."""
    return WebhookEndpoint.objects.get(pk=endpoint.pk)


def change(endpoint: WebhookEndpoint, **fields: Any) -> WebhookEndpoint:
    """Change fields of an endpoint as the API does."""
    found = again(endpoint)
    for name, value in fields.items():
        setattr(found, name, value)
    with untraced() as by:
        return endpoints.update(endpoint=found, fields=fields, by=by, now=timezone.now())


def ids_of(messages: Sequence[Message]) -> list[str]:
    return [str(message.pk) for message in messages]
