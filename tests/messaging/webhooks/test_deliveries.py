"""Deliveries that are sent once more, on request."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from messaging.models import DeliveryStatus, Event, WebhookDelivery, WebhookEndpoint
from messaging.webhooks import deliveries, endpoints, replays
from messaging.webhooks.replays import Range, Replayed
from posthaste.lib.problems import Conflict, Invalid
from tests.builders import TESTER, make_message, make_tenant
from tests.messaging.webhooks.hooks import again, change, end, later, make_endpoint, sent, turn
from tests.peers.gateway import Answer
from tests.peers.webhook_receiver import WebhookReceiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
MOMENT = datetime(2026, 11, 29, 8, tzinfo=UTC)


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


WIDE, NARROW = {"event_types": ["*"], "includes_sandbox": True}, {"event_types": ["message.sent"], "includes_sandbox": False}


@pytest.mark.parametrize(
    ("before", "after"),
    [({"event_types": ["message.failed"]}, WIDE), ({"channels": ["email"]}, {"channels": []}), ({"max_events": 2}, {"max_events": 1})],
)
def test_a_replay_sends_the_events_of_that_request_after_the_filters_were_changed(
    before: dict[str, Any], after: dict[str, Any], receiver: WebhookReceiver, tenant: Tenant
) -> None:
    endpoint = make_endpoint(tenant, receiver.url, **before)
    for _number in range(2):
        end([make_message(tenant, channel="email")], "failed", error_code="http_400")
        sent(tenant)
    turn(endpoint)
    original = WebhookDelivery.objects.order_by("at").first()
    assert original is not None
    first = receiver.deliveries[0].events
    assert len(first) == 2
    changed = change(endpoint, **after)
    deliveries.replay(endpoint=changed, delivery=original, by=TESTER, now=timezone.now())
    assert receiver.deliveries[-1].events == first
    replay_range(endpoint, ALL, first=original.from_position, last=original.from_position)
    assert receiver.deliveries[-1].events == first


def test_a_replay_leaves_out_what_the_endpoint_does_not_take_any_more(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url, **WIDE)
    (wanted,) = sent(tenant)
    sent(tenant, is_sandbox=True)
    turn(endpoint)
    changed = change(endpoint, **NARROW)
    entry = deliveries.replay(endpoint=changed, delivery=WebhookDelivery.objects.get(), by=TESTER, now=timezone.now())
    again_wide = change(endpoint, **WIDE)
    deliveries.replay(endpoint=again_wide, delivery=entry, by=TESTER, now=timezone.now())  # what the replay carried, no more
    for delivery in receiver.deliveries[1:]:
        assert [event["data"]["id"] for event in delivery.events] == [str(wanted.pk)]


def test_events_that_arrived_in_other_requests_are_left_out_of_a_range(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant, 3)
    receiver.script(Answer(status=500))
    turn(endpoint)
    change(endpoint, max_events=1)
    later(endpoint, minutes=1)
    turn(endpoint)
    assert [len(delivery.events) for delivery in receiver.deliveries] == [3, 1, 1, 1]
    assert replay_range(endpoint).entries == []


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


ALL = tuple(DeliveryStatus)


def replay_range(endpoint: WebhookEndpoint, statuses: Collection[str] = replays.NOT_ARRIVED, **bounds: Any) -> Replayed:
    chosen = Range(**(bounds or {"first": 1}))
    return replays.replay_range(endpoint=again(endpoint), chosen=chosen, statuses=statuses, by=TESTER, now=timezone.now())


def positions_of(receiver: WebhookReceiver) -> list[int]:
    return [int(event["id"].removeprefix("evt_")) for event in receiver.events()]


def give_up(endpoint: WebhookEndpoint, receiver: WebhookReceiver, tenant: Tenant) -> None:
    """Have the next event given up: its first attempt was a day before."""
    sent(tenant)
    receiver.script(Answer(status=500), times=2)
    turn(endpoint)
    later(endpoint, hours=25)
    turn(endpoint)
    later(endpoint, hours=2)


def test_a_range_is_replayed_in_the_requests_of_then_and_ends_at_the_first_that_fails(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url, max_events=2)
    sent(tenant, 5)
    turn(endpoint)
    positions = positions_of(receiver)
    receiver.deliveries.clear()
    made = replay_range(endpoint, ALL, first=positions[0], last=positions[3])
    assert [entry.events for entry in made.entries] == [2, 2]
    assert (made.delivered, made.events, made.is_whole) == (2, 4, True)
    assert positions_of(receiver) == positions[:4]
    entry = AuditEntry.objects.get(action="webhook.replay")
    assert (entry.target, entry.detail["requests"], entry.detail["events"]) == (str(endpoint.pk), 2, 4)
    receiver.script(Answer(status=500))
    made = replay_range(endpoint, ALL, first=positions[0], last=positions[4])
    assert [entry.status for entry in made.entries] == ["failed"]
    assert not made.is_whole


def test_by_default_what_did_not_arrive_is_replayed_once_and_nothing_else(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    for _number in range(2):
        give_up(endpoint, receiver, tenant)
    sent(tenant)
    receiver.script(Answer(status=500))
    turn(endpoint)  # fails, and is repeated below
    later(endpoint, hours=1)
    turn(endpoint)
    arrived = positions_of(receiver)
    assert len(arrived) == 1
    receiver.script(Answer(status=503))
    assert [entry.status for entry in replay_range(endpoint).entries] == ["failed"]
    made = replay_range(endpoint)
    assert ([entry.status for entry in made.entries], made.is_whole) == (["delivered", "delivered"], True)
    assert len(set(positions_of(receiver))) == len(positions_of(receiver)) == 3
    assert replay_range(endpoint).entries == []
    assert AuditEntry.objects.filter(action="webhook.replay").count() == 2, "a call that sends nothing is no event"


def test_what_the_sender_is_still_trying_is_left_to_it(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    receiver.script(Answer(status=500))
    turn(endpoint)
    assert replay_range(endpoint).entries == []


def test_a_time_without_an_end_reaches_until_now(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    give_up(endpoint, receiver, tenant)
    now = timezone.now()
    tomorrow = now + timedelta(days=1)
    assert replay_range(endpoint, since=tomorrow).entries == []
    assert replay_range(endpoint, since=now - timedelta(days=9), until=now - timedelta(days=8)).entries == []
    assert replay_range(endpoint, since=now - timedelta(days=1), until=tomorrow).delivered == 1


@pytest.mark.parametrize(
    "bounds",
    [
        {"since": None},
        {"since": MOMENT, "first": 1},
        {"since": MOMENT, "last": 1},
        {"first": 1, "until": MOMENT},
        {"since": MOMENT, "until": MOMENT},
        {"first": 3, "last": 2},
    ],
)
def test_a_range_that_is_none_is_refused(bounds: dict[str, Any], tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, "https://93.184.216.34/")
    with pytest.raises(Invalid):
        replay_range(endpoint, **bounds)


@pytest.mark.parametrize(("bound", "value"), [("MAX_REQUESTS", 2), ("MAX_EVENTS", 2), ("ROWS_A_PAGE", 1)])
def test_what_is_beyond_the_bounds_of_a_call_is_sent_by_the_next(
    receiver: WebhookReceiver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    for _number in range(3):
        give_up(endpoint, receiver, tenant)
    monkeypatch.setattr(replays, bound, value)
    calls: list[Replayed] = []
    while not calls or (not calls[-1].is_whole and len(calls) < 5):
        calls.append(replay_range(endpoint))
    assert sum(made.delivered for made in calls) == 3
    assert len(calls) == (1 if bound == "ROWS_A_PAGE" else 2)
    assert len(set(positions_of(receiver))) == len(positions_of(receiver)) == 3


def test_a_call_ends_when_its_time_is_up(receiver: WebhookReceiver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    give_up(endpoint, receiver, tenant)
    monkeypatch.setattr(replays, "MAX_SECONDS", -1.0)
    made = replay_range(endpoint)
    assert (made.entries, made.is_whole) == ([], False)


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


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.mark.parametrize("is_range", [False, True])
def test_a_replay_is_in_the_audit_trail_before_its_request_leaves(
    is_range: bool, receiver: WebhookReceiver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    turn(endpoint)
    original = WebhookDelivery.objects.get()

    def dies(*_arguments: Any, **_more: Any) -> None:
        raise Killed

    monkeypatch.setattr("messaging.webhooks.request.post", dies)
    one = partial(deliveries.replay, endpoint=again(endpoint), delivery=original, by=TESTER, now=timezone.now())
    many = partial(replay_range, endpoint, ALL, first=original.from_position)
    with pytest.raises(Killed):
        (many if is_range else one)()
    entry = AuditEntry.objects.get(action="webhook.replay")
    assert (entry.actor, entry.detail["from_position"]) == (str(TESTER), original.from_position)
