"""Deliveries that are sent once more, on request."""

from collections.abc import Iterator

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from messaging.models import Event, WebhookDelivery
from messaging.webhooks import deliveries, endpoints
from posthaste.lib.problems import Conflict, Invalid
from tests.builders import TESTER, make_tenant
from tests.messaging.webhooks.hooks import again, make_endpoint, sent, turn
from tests.peers.gateway import Answer
from tests.peers.webhook_receiver import WebhookReceiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


def test_a_replay_sends_the_same_events_with_a_new_id_and_moves_no_cursor(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant, 3)
    turn(endpoint)
    sent(tenant, 2)
    turn(endpoint)
    before = again(endpoint).cursor
    first = WebhookDelivery.objects.order_by("at").first()
    assert first is not None
    entry = deliveries.replay(endpoint=endpoint, delivery=first, by=TESTER, now=timezone.now())
    original, _other, replayed = receiver.deliveries
    assert replayed.events == original.events
    assert replayed.webhook_id == entry.webhook_id != original.webhook_id
    assert (entry.kind, entry.status, entry.replayed_from_id, entry.events) == ("replay", "delivered", first.pk, 3)
    assert again(endpoint).cursor == before
    assert AuditEntry.objects.get(action="webhook.replay").detail["events"] == 3


def test_a_replay_that_fails_is_noted_and_not_repeated(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    turn(endpoint)
    receiver.script(Answer(status=500))
    entry = deliveries.replay(endpoint=endpoint, delivery=WebhookDelivery.objects.get(), by=TESTER, now=timezone.now())
    assert (entry.status, entry.http_status) == ("failed", 500)
    assert again(endpoint).state == "enabled"


def test_what_was_given_up_can_be_replayed(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    rows = sent(tenant)
    receiver.script(Answer(status=500))
    turn(endpoint)
    failed = WebhookDelivery.objects.get()
    entry = deliveries.replay(endpoint=endpoint, delivery=failed, by=TESTER, now=timezone.now())
    assert entry.status == "delivered"
    assert [event["data"]["id"] for event in receiver.events()] == [str(row.pk) for row in rows]


def test_a_range_is_replayed_in_requests_of_the_usual_size_and_ends_at_the_first_that_fails(
    receiver: WebhookReceiver, tenant: Tenant
) -> None:
    endpoint = make_endpoint(tenant, receiver.url, max_events=2)
    sent(tenant, 5)
    turn(endpoint)
    positions = [int(event["id"].removeprefix("evt_")) for event in receiver.events()]
    receiver.deliveries.clear()
    entries = deliveries.replay_range(
        endpoint=endpoint, from_position=positions[0], until_position=positions[3], by=TESTER, now=timezone.now()
    )
    assert [entry.events for entry in entries] == [2, 2]
    assert [int(event["id"].removeprefix("evt_")) for event in receiver.events()] == positions[:4]
    receiver.script(Answer(status=500))
    entries = deliveries.replay_range(
        endpoint=endpoint, from_position=positions[0], until_position=positions[4], by=TESTER, now=timezone.now()
    )
    assert [entry.status for entry in entries] == ["failed"]


@pytest.mark.parametrize(("first", "last"), [(0, 5), (3, 2), (-1, 1)])
def test_a_range_that_is_none_is_refused(first: int, last: int, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, "https://93.184.216.34/")
    with pytest.raises(Invalid):
        deliveries.replay_range(endpoint=endpoint, from_position=first, until_position=last, by=TESTER, now=timezone.now())


def test_too_many_events_at_once_are_refused(receiver: WebhookReceiver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MAX_REPLAYED", 2)
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant, 3)
    turn(endpoint)
    with pytest.raises(Invalid):
        deliveries.replay_range(endpoint=endpoint, from_position=1, until_position=again(endpoint).cursor, by=TESTER, now=timezone.now())
    assert len(receiver.deliveries) == 1


def test_a_test_or_what_is_not_kept_can_not_be_replayed(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    endpoints.send_test(endpoint=endpoint, by=TESTER, now=timezone.now())
    sent(tenant)
    turn(endpoint)
    Event.objects.all().delete()
    for delivery in WebhookDelivery.objects.all():
        with pytest.raises(Conflict):
            deliveries.replay(endpoint=endpoint, delivery=delivery, by=TESTER, now=timezone.now())
    assert len(receiver.deliveries) == 2


def test_waiting_events_are_counted(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant, 3)
    receiver.script(Answer(status=500))
    turn(endpoint)
    assert deliveries.waiting(endpoint=again(endpoint)) == 3
