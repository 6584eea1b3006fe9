"""A request that is repeated carries the same events, and none is larger than its receiver takes."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Tenant
from messaging.models import WebhookDelivery
from messaging.webhooks import composing, positions
from tests.builders import make_message, make_tenant
from tests.messaging.webhooks.hooks import again, change, end, ids_of, later, make_endpoint, sent, turn
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


@pytest.mark.parametrize("given", [[], [7], [50, 51, 52], [50, 75], [1, 2, 5, 7, 8, 9]])
def test_positions_are_read_as_they_were_written(given: list[int]) -> None:
    assert positions.decode(positions.encode(given)) == given


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"event_types": ["message.failed"], "max_events": 2}, {"event_types": ["*"]}),
        ({"channels": ["email"]}, {"channels": []}),
        ({"includes_sandbox": False}, {"includes_sandbox": True}),
        ({"max_events": 100}, {"max_events": 1}),
        ({}, {"channels": ["sms"]}),
    ],
)
def test_a_request_whose_events_a_change_alters_becomes_a_new_one(
    before: dict[str, Any], after: dict[str, Any], receiver: WebhookReceiver, tenant: Tenant
) -> None:
    endpoint = make_endpoint(tenant, receiver.url, **before)
    for _number in range(2):
        end([make_message(tenant, channel="email")], "failed", error_code="http_400")
        sent(tenant)
        sent(tenant, is_sandbox=True)
    receiver.script(Answer(status=500))
    turn(endpoint)
    changed = change(endpoint, **after)
    later(endpoint, minutes=1)
    turn(endpoint)
    first, second, *_others = receiver.deliveries
    assert first.events != second.events
    assert first.webhook_id != second.webhook_id
    assert len(second.events) <= changed.max_events
    entry = WebhookDelivery.objects.get(webhook_id=second.webhook_id)
    assert (entry.attempt, entry.status) == (1, "delivered")
    wanted = receiver.events()
    assert len({event["id"] for event in wanted}) == len(wanted)


@pytest.mark.parametrize("after", [{"name": "Shop 2"}, {"max_events": 3}, {"event_types": ["message.*"]}])
def test_a_request_whose_events_a_change_leaves_alone_keeps_its_id(
    after: dict[str, Any], receiver: WebhookReceiver, tenant: Tenant
) -> None:
    endpoint = make_endpoint(tenant, receiver.url, max_events=2)
    sent(tenant, 5)
    receiver.script(Answer(status=500))
    turn(endpoint)
    change(endpoint, **after)
    later(endpoint, minutes=1)
    turn(endpoint)
    first, second, *_others = receiver.deliveries
    assert (first.webhook_id, first.events) == (second.webhook_id, second.events)


def test_a_request_has_at_most_256_kib_and_loses_no_event(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    rows = sent(tenant, 40, metadata={"text": "ä" * 7_500})
    turn(endpoint)
    assert len(receiver.deliveries) == 3
    assert max(len(delivery.content) for delivery in receiver.deliveries) <= 256 * 1024
    assert sorted(event["data"]["id"] for event in receiver.events()) == sorted(ids_of(rows))


def test_an_event_larger_than_a_request_may_be_is_sent_alone(
    receiver: WebhookReceiver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composing, "MAX_BODY_BYTES", 500)
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant, 3, metadata={"text": "a" * 600})
    turn(endpoint)
    assert [len(delivery.events) for delivery in receiver.deliveries] == [1, 1, 1]


def test_a_receiver_that_finds_a_request_too_large_gets_smaller_ones_for_a_day(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant, 8)
    receiver.script(Answer(status=413), times=2)
    for _number in range(3):
        turn(endpoint)
        later(endpoint, minutes=1)
    first, second, third = (len(delivery.content) for delivery in receiver.deliveries[:3])
    assert first / 4 < second <= first / 2
    assert second / 4 < third <= second / 2
    assert len({delivery.webhook_id for delivery in receiver.deliveries}) == len(receiver.deliveries)
    assert len({event["id"] for event in receiver.events()}) == 8
    whole = len(receiver.deliveries[0].content)
    assert composing.limit_of(again(endpoint), timezone.now()) < whole / 2
    assert composing.limit_of(again(endpoint), timezone.now() + composing.KEEP_LIMIT) > whole
    changed = change(endpoint, url=f"{receiver.url}/other")
    assert composing.limit_of(changed, timezone.now()) > whole


def test_a_single_event_that_is_found_too_large_is_repeated_as_it_is(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    receiver.script(Answer(status=413))
    turn(endpoint)
    later(endpoint, minutes=1)
    turn(endpoint)
    first, second = receiver.deliveries
    assert (first.webhook_id, first.events) == (second.webhook_id, second.events)
