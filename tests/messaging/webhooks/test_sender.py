"""Events go to an endpoint in their order, each in one request that is repeated until it is taken."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db import OperationalError
from django.db.models import F
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from accounts.models import AuditEntry, Tenant
from messaging.configuration import circuit_breakers, webhooks
from messaging.metrics import webhooks as metrics
from messaging.models import Message, WebhookDelivery, WebhookEndpoint
from messaging.providers import breakers as breaker_rules
from messaging.webhooks import deliveries, endpoints, request, retries
from messaging.webhooks.sender import Sender
from posthaste.lib import redis
from posthaste.lib.breaker import Phase, Tally, breakers
from posthaste.lib.elastic import stopping
from posthaste.lib.flow.concurrency_leases import concurrency_leases
from tests import crowds
from tests.builders import TESTER, configure, make_message, make_provider, make_tenant
from tests.messaging.webhooks.hooks import again, during_calls, end, ids_of, is_due, later, make_endpoint, recorded, sent, turn
from tests.peers.gateway import Answer
from tests.peers.webhook_receiver import WebhookReceiver
from tracing import selectors

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


def breaker_of(receiver: WebhookReceiver, tenant: Tenant) -> str:
    return breaker_rules.of_endpoints(f"127.0.0.1:{receiver.port}", tenant.pk)


def statuses(endpoint: WebhookEndpoint) -> list[str]:
    return list(WebhookDelivery.objects.filter(endpoint=endpoint).order_by("at", "id").values_list("status", flat=True))


def test_an_event_arrives_signed_and_says_what_happened(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    provider = make_provider(tenant, name="Gateway 1")
    row = make_message(tenant, status="queued", reference="order-7", metadata={"shop": 3}, body="The code is 4711.")
    end([row], "sent", provider_id=provider.pk)
    assert turn(endpoint) == 1
    (delivery,) = receiver.deliveries
    Webhook(endpoint.secret).verify(delivery.content, delivery.headers)
    (event,) = delivery.events
    (kept,) = recorded(tenant)
    assert orjson.loads(delivery.content)["id"] == delivery.webhook_id == delivery.headers["webhook-id"]
    assert (event["id"], event["type"], event["timestamp"]) == (f"evt_{kept.position}", "message.sent", kept.occurred_at.isoformat())
    assert event["data"] == {
        "id": str(row.pk),
        "channel": "sms",
        "is_sandbox": False,
        "batch_id": None,
        "reference": "order-7",
        "recipient": "+86 138****5678",
        "metadata": {"shop": 3},
        "status": "sent",
        "previous_status": "sending",
        "attempts": 1,
        "error_code": "",
        "provider": "Gateway 1",
        "due_at": None,
    }
    assert b"4711" not in delivery.content


def test_a_request_carries_as_many_events_as_the_endpoint_takes_in_their_order(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url, max_events=4)
    rows = sent(tenant, 10)
    assert turn(endpoint) == 3
    assert [len(delivery.events) for delivery in receiver.deliveries] == [4, 4, 2]
    positions = [int(event["id"].removeprefix("evt_")) for event in receiver.events()]
    assert positions == sorted(positions)
    assert sorted(event["data"]["id"] for event in receiver.events()) == sorted(ids_of(rows))
    assert not is_due(endpoint)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"event_types": ["message.failed"]}, [("failed", "sms")]),
        ({"event_types": ["batch.*"]}, []),
        ({"event_types": ["message.*"], "channels": ["email"]}, [("sent", "email")]),
        ({"includes_sandbox": True}, [("sent", "sms"), ("failed", "sms"), ("sent", "email"), ("sent", "sms")]),
    ],
)
def test_an_endpoint_receives_what_it_asked_for(
    fields: dict[str, Any], expected: list[tuple[str, str]], receiver: WebhookReceiver, tenant: Tenant
) -> None:
    endpoint = make_endpoint(tenant, receiver.url, **fields)
    sent(tenant)
    end([make_message(tenant)], "failed", error_code="http_400")
    sent(tenant, channel="email")
    sent(tenant, is_sandbox=True)
    sent(make_tenant())
    turn(endpoint)
    assert [(event["data"]["status"], event["data"]["channel"]) for event in receiver.events()] == expected
    assert not is_due(endpoint)


def test_a_turn_without_anything_for_the_endpoint_ends_at_once(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url, event_types=["batch.*"])
    sent(tenant, 3)
    assert turn(endpoint) == 1
    assert (receiver.deliveries, is_due(endpoint)) == ([], False)


def test_what_happened_before_an_endpoint_was_created_is_not_sent_to_it(receiver: WebhookReceiver, tenant: Tenant) -> None:
    make_endpoint(tenant, receiver.url)
    sent(tenant)
    recorded(tenant)
    endpoint = make_endpoint(tenant, receiver.url)
    (row,) = sent(tenant)
    turn(endpoint)
    assert [event["data"]["id"] for event in receiver.events()] == [str(row.pk)]


@pytest.mark.parametrize("answer", [Answer(status=500), Answer(status=302), Answer(status=404), Answer(action="reset", taken=False)])
def test_a_request_that_is_not_taken_is_repeated_with_its_id_before_later_events(
    answer: Answer, receiver: WebhookReceiver, tenant: Tenant
) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    first = sent(tenant, 2)
    receiver.script(answer)
    assert turn(endpoint) == 0
    assert not is_due(endpoint)
    assert again(endpoint).state == "failing"
    second = sent(tenant)
    later(endpoint, minutes=1)
    assert turn(endpoint) == 2
    failed, repeated, following = receiver.deliveries
    assert failed.webhook_id == repeated.webhook_id != following.webhook_id
    assert failed.events == repeated.events
    assert [event["data"]["id"] for event in following.events] == ids_of(second)
    assert len(receiver.events()) == len(first) + len(second)
    assert again(endpoint).state == "enabled"


def test_pauses_double_up_to_an_hour_and_are_never_the_same() -> None:
    spans = [[retries.backoff(n).total_seconds() for _ in range(50)] for n in range(1, 30)]
    for n, found in enumerate(spans, start=1):
        middle = min(3600, 5 * 2 ** (n - 1))
        assert 0.8 * middle <= min(found) < max(found) <= 1.2 * middle


def test_a_receiver_that_names_a_time_is_left_alone_until_then(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    receiver.script(Answer(status=503, headers={"Retry-After": "900"}))
    turn(endpoint)
    assert timedelta(minutes=14) < again(endpoint).next_attempt_at - timezone.now() <= timedelta(minutes=15, seconds=5)


def test_an_answer_that_never_comes_is_unknown_and_sent_again_with_the_same_id(receiver: WebhookReceiver, tenant: Tenant) -> None:
    configure(webhooks, timeout_seconds=0.3)
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    receiver.script(Answer(action="hang"))
    turn(endpoint)
    assert statuses(endpoint) == ["unknown"]
    later(endpoint, minutes=1)
    turn(endpoint)
    first, second = receiver.deliveries
    assert (first.webhook_id, first.events) == (second.webhook_id, second.events)
    assert statuses(endpoint) == ["unknown", "delivered"]
    assert not is_due(endpoint)


@pytest.mark.parametrize(("status", "expected"), [(200, "delivered"), (202, "delivered"), (500, "failed")])
def test_the_status_of_an_answer_counts_whose_body_never_ends(
    status: int, expected: str, receiver: WebhookReceiver, tenant: Tenant
) -> None:
    configure(webhooks, timeout_seconds=1)
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    receiver.script(Answer(status=status, body=b"short", headers={"Content-Length": "1000"}))
    turn(endpoint)
    entry = WebhookDelivery.objects.get()
    assert (entry.status, entry.http_status) == (expected, status)


class Died(BaseException):
    """Ends a sender at once."""


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_sender_that_dies_while_it_calls_is_succeeded_by_one_that_sends_the_same(
    is_answered: bool, receiver: WebhookReceiver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    rows = sent(tenant, 3)
    own = request.post

    def die(*args: Any, **kwargs: Any) -> Any:
        if is_answered:
            own(*args, **kwargs)
        raise Died

    monkeypatch.setattr(request, "post", die)
    monkeypatch.setattr(Sender, "_release", lambda _self: None)  # it does not come to that
    with pytest.raises(Died):
        turn(endpoint)
    monkeypatch.undo()
    more = sent(tenant)
    assert not is_due(endpoint)  # its lease still runs
    later(endpoint, minutes=1)
    assert is_due(endpoint)
    turn(endpoint)
    assert statuses(endpoint) == ["unknown", "delivered", "delivered"]
    lost = WebhookDelivery.objects.get(endpoint=endpoint, status="unknown")
    assert (lost.error, lost.events) == ("sender_lost", 3)
    replayed = deliveries.replay(endpoint=again(endpoint), delivery=lost, by=TESTER, now=timezone.now())
    assert (replayed.events, receiver.deliveries.pop().events) == (3, receiver.deliveries[-2].events)
    *repeats, last = receiver.deliveries
    assert len({delivery.webhook_id for delivery in repeats}) == 1
    assert sorted(event["data"]["id"] for event in repeats[-1].events) == sorted(ids_of(rows))
    assert [event["data"]["id"] for event in last.events] == ids_of(more)


def test_two_senders_never_serve_one_endpoint_at_the_same_time(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url, max_events=1)
    rows = sent(tenant, 12)
    recorded(tenant)
    receiver.latency_ms = 20
    crowds.start(*[Sender(endpoint.pk).serve for _ in range(4)]).join()
    turn(endpoint)
    assert sorted(event["data"]["id"] for event in receiver.events()) == sorted(ids_of(rows))
    assert receiver.max_in_progress == 1


def test_a_result_is_written_when_the_database_comes_back(
    receiver: WebhookReceiver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    failures, own = iter([True, True, False]), Sender._write

    def away(*args: Any) -> bool:
        if next(failures, False):
            raise OperationalError("the server is away")
        return own(*args)

    monkeypatch.setattr(Sender, "_write", away)
    turn(endpoint)
    assert statuses(endpoint) == ["delivered"]
    assert len(receiver.deliveries) == 1


def test_a_result_that_is_written_at_the_second_try_names_its_request(
    receiver: WebhookReceiver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    failures, own = iter([True]), request.log

    def away(*args: Any, **kwargs: Any) -> WebhookDelivery:
        if next(failures, False):
            raise OperationalError("the server is away")
        return own(*args, **kwargs)

    monkeypatch.setattr(request, "log", away)
    turn(endpoint)
    (entry,) = WebhookDelivery.objects.all()
    assert (entry.webhook_id, entry.attempt) == (receiver.deliveries[0].webhook_id, 1)


def test_a_request_that_fails_for_a_day_is_given_up_and_the_next_events_are_sent(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    (lost,) = sent(tenant)
    receiver.script(Answer(status=500), times=2)
    turn(endpoint)
    later(endpoint, hours=25)
    turn(endpoint)
    (row,) = sent(tenant)
    later(endpoint, hours=2)
    turn(endpoint)
    assert statuses(endpoint) == ["failed", "given_up", "delivered"]
    assert [event["data"]["id"] for event in receiver.events()] == [str(row.pk)]
    assert str(lost.pk) not in str(receiver.events())
    assert again(endpoint).failing_since is None


def test_an_endpoint_that_fails_for_three_days_is_disabled_with_a_reason_and_an_audit_entry(
    receiver: WebhookReceiver, tenant: Tenant
) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    receiver.script(Answer(status=500), times=2)
    turn(endpoint)
    later(endpoint, hours=73)
    turn(endpoint)
    found = again(endpoint)
    assert (found.state, found.disabled_code, found.disabled_figures) == ("disabled", "failing", {"hours": "72", "error": "http_500"})
    entry = AuditEntry.objects.get(action="webhook.disable")
    assert (entry.actor, entry.tenant_id, entry.detail) == (
        "system:webhooks",
        tenant.pk,
        {"code": "failing", "hours": "72", "error": "http_500"},
    )
    assert metrics.webhook_disabled_endpoints() == {"manual": 0.0, "gone": 0.0, "failing": 1.0}
    assert not is_due(endpoint)


def disable_and_enable(endpoint: WebhookEndpoint) -> None:
    endpoints.disable(endpoint=again(endpoint), by=TESTER, now=timezone.now())
    later(endpoint, hours=73)
    endpoints.enable(endpoint=again(endpoint), by=TESTER, now=timezone.now())


def idle(endpoint: WebhookEndpoint, **spans: float) -> None:
    """Let time pass in which nothing was tried."""
    later(endpoint, **spans)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(attempted_at=F("attempted_at") - timedelta(**spans))


@pytest.mark.parametrize("pause", [disable_and_enable, lambda endpoint: idle(endpoint, hours=73), lambda endpoint: idle(endpoint, days=6)])
def test_time_in_which_nothing_was_tried_neither_gives_up_nor_disables(
    pause: Callable[[WebhookEndpoint], None], receiver: WebhookReceiver, tenant: Tenant
) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    rows = sent(tenant)
    receiver.script(Answer(status=500), times=2)
    turn(endpoint)
    pause(endpoint)
    turn(endpoint)
    assert (statuses(endpoint), again(endpoint).state) == (["failed", "failed"], "failing")
    later(endpoint, hours=2)
    turn(endpoint)
    assert [event["data"]["id"] for event in receiver.events()] == ids_of(rows)


def test_a_failure_after_days_without_events_does_not_disable(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    receiver.script(Answer(status=500), times=3)
    turn(endpoint)
    later(endpoint, hours=25)
    turn(endpoint)
    assert statuses(endpoint) == ["failed", "given_up"]
    idle(endpoint, hours=60)
    sent(tenant)
    turn(endpoint)
    assert (statuses(endpoint)[2:], again(endpoint).state) == (["failed"], "failing")


@pytest.mark.parametrize(("asked", "hours"), [("370", 0.1), ("31536000", 24.0), ("86400", 2.0)])
def test_a_receiver_that_names_a_long_time_is_tried_again_before_its_events_are_given_up(
    asked: str, hours: float, receiver: WebhookReceiver, tenant: Tenant
) -> None:
    configure(webhooks, max_attempt_hours=hours)
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    receiver.script(Answer(status=503, headers={"Retry-After": asked}))
    receiver.script(Answer(status=500))
    turn(endpoint)
    pause = again(endpoint).next_attempt_at - timezone.now()
    assert pause <= timedelta(hours=1)
    later(endpoint, seconds=pause.total_seconds())
    turn(endpoint)
    assert statuses(endpoint) == ["failed", "failed"]


def test_a_receiver_that_is_gone_is_disabled_at_once_and_goes_on_when_it_is_enabled(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    (first,) = sent(tenant)
    receiver.script(Answer(status=410))
    turn(endpoint)
    assert (again(endpoint).state, again(endpoint).disabled_code) == ("disabled", "gone")
    (second,) = sent(tenant)
    endpoints.enable(endpoint=again(endpoint), by=TESTER, now=timezone.now())
    turn(endpoint)
    assert [event["data"]["id"] for event in receiver.events()] == ids_of([first, second])


def test_during_a_rotation_both_secrets_verify_and_afterwards_only_the_new_one(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    old = endpoint.secret
    new = endpoints.rotate_secret(endpoint=endpoint, by=TESTER, now=timezone.now())
    sent(tenant)
    turn(endpoint)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(previous_secret_until=timezone.now())
    sent(tenant)
    turn(endpoint)
    during, afterwards = receiver.deliveries
    for secret in (old, new):
        Webhook(secret).verify(during.content, during.headers)
    Webhook(new).verify(afterwards.content, afterwards.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(afterwards.content, afterwards.headers)


def test_an_open_breaker_of_the_host_makes_the_endpoint_wait_without_an_attempt(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    breakers.force(breaker_of(receiver, tenant), "open", by="test")
    turn(endpoint)
    assert (receiver.deliveries, statuses(endpoint), again(endpoint).attempts) == ([], [], 0)
    assert again(endpoint).next_attempt_at > timezone.now()
    breakers.force(breaker_of(receiver, tenant), "automatic", by="test")
    later(endpoint, minutes=2)
    turn(endpoint)
    assert len(receiver.deliveries) == 1


def test_failures_of_a_host_open_its_breaker(receiver: WebhookReceiver, tenant: Tenant) -> None:
    rule = circuit_breakers.value.webhooks.model_copy(update={"min_requests": 3})
    configure(circuit_breakers, webhooks=rule)
    receiver.script(Answer(status=500), times=3)
    for _ in range(3):
        endpoint = make_endpoint(tenant, receiver.url)
        sent(tenant)
        turn(endpoint)
    breakers.forget()
    assert breaker_rules.phase(breaker_of(receiver, tenant)) == "open"


@pytest.mark.parametrize("path", ["\\[x", "\\1", "/plain"])
def test_endpoints_of_one_host_share_its_breaker_however_their_urls_are_written(
    path: str, receiver: WebhookReceiver, tenant: Tenant
) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(url=f"http://127.1:{receiver.port}{path}")
    sent(tenant)
    breakers.force(breaker_of(receiver, tenant), "open", by="test")
    assert turn(endpoint) == 0
    assert receiver.deliveries == []
    assert again(endpoint).next_attempt_at > timezone.now()


def test_an_error_of_our_own_counts_as_a_failure_and_disables_the_endpoint_in_the_end(
    receiver: WebhookReceiver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(_endpoint: WebhookEndpoint) -> str:
        raise ValueError("Invalid IPv6 URL")

    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    monkeypatch.setattr(request, "host_of", break_down)
    for hours in (0, 73):
        later(endpoint, hours=hours)
        with pytest.raises(ValueError, match="IPv6"):
            turn(endpoint)
        assert not is_due(endpoint)
    found = again(endpoint)
    assert (found.failures, found.state, found.disabled_figures) == (2, "disabled", {"hours": "72", "error": "ValueError"})
    monkeypatch.undo()
    endpoints.enable(endpoint=found, by=TESTER, now=timezone.now())
    assert turn(endpoint) == 1


@pytest.mark.parametrize("status", [200, 500, 410])
def test_an_endpoint_that_is_deleted_during_a_call_ends_the_turn_and_leaves_no_log(
    status: int, receiver: WebhookReceiver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    receiver.script(Answer(status=status))
    during_calls(monkeypatch, lambda: endpoints.delete(endpoint=again(endpoint), by=TESTER))
    turn(endpoint)
    assert len(receiver.deliveries) == 1
    assert not WebhookDelivery.objects.exists()


@pytest.mark.parametrize(("is_deleted", "expected"), [(False, (0, 1)), (True, (1, 0))])
def test_a_trial_call_that_a_breaker_granted_is_always_reported(
    is_deleted: bool, expected: tuple[int, int], receiver: WebhookReceiver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int, int]] = []
    own = Sender._report

    def report(self: Sender, host: str, epoch: int, tally: Tally, *args: Any) -> None:
        told.append((epoch, tally.calls, tally.unused))
        own(self, host, epoch, tally, *args)

    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    monkeypatch.setattr(Sender, "_report", report)
    monkeypatch.setattr(breaker_rules, "phase", lambda _name: Phase.HALF_OPEN)
    monkeypatch.setattr(breakers, "admit", lambda *_args, **_kwargs: (True, 7))
    if is_deleted:
        during_calls(monkeypatch, lambda: endpoints.delete(endpoint=again(endpoint), by=TESTER))
    else:
        monkeypatch.setattr(Sender, "_call", lambda *_args: 1 / 0)
    try:
        turn(endpoint)
    except ZeroDivisionError:
        pass
    assert told == [(7, *expected)]


@pytest.mark.parametrize("answer", [Answer(status=500), Answer(status=410), Answer(status=503, headers={"Retry-After": "900"})])
def test_a_failure_of_the_old_address_does_not_hold_up_the_new_one(
    answer: Answer, receiver: WebhookReceiver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WebhookReceiver() as other:
        endpoint = make_endpoint(tenant, receiver.url)
        (row,) = sent(tenant)

        def move() -> None:
            found = again(endpoint)
            found.url = other.url
            endpoints.update(endpoint=found, fields=["url"], by=TESTER, now=timezone.now())

        receiver.script(answer)
        during_calls(monkeypatch, move)
        turn(endpoint)
        monkeypatch.undo()
        found = again(endpoint)
        assert (found.state, found.failures, is_due(endpoint)) == ("enabled", 0, True)
        assert turn(endpoint) == 1
        assert [event["data"]["id"] for event in other.events()] == [str(row.pk)]
        assert other.deliveries[0].webhook_id == receiver.deliveries[0].webhook_id


def test_a_failure_from_before_an_endpoint_was_enabled_again_is_forgotten(
    receiver: WebhookReceiver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(failures=7, failing_since=timezone.now() - timedelta(hours=80))

    def switch() -> None:
        endpoints.disable(endpoint=again(endpoint), by=TESTER, now=timezone.now())
        endpoints.enable(endpoint=again(endpoint), by=TESTER, now=timezone.now())

    receiver.script(Answer(status=500))
    during_calls(monkeypatch, switch)
    turn(endpoint)
    found = again(endpoint)
    assert (found.state, found.failures, found.failing_since) == ("enabled", 0, None)
    assert is_due(endpoint)


def test_a_change_holds_for_the_next_request_of_a_turn(receiver: WebhookReceiver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    with WebhookReceiver() as other:
        endpoint = make_endpoint(tenant, receiver.url, max_events=1)
        old = endpoint.secret
        sent(tenant, 3)

        def move() -> None:
            found = again(endpoint)
            found.url = other.url
            endpoints.update(endpoint=found, fields=["url"], by=TESTER, now=timezone.now())
            endpoints.rotate_secret(endpoint=again(endpoint), by=TESTER, now=timezone.now(), keep_old_for=timedelta(0))
            monkeypatch.undo()

        during_calls(monkeypatch, move)
        turn(endpoint)
        assert (len(receiver.deliveries), len(other.deliveries)) == (1, 2)
        for delivery in other.deliveries:
            Webhook(again(endpoint).secret).verify(delivery.content, delivery.headers)
            with pytest.raises(WebhookVerificationError):
                Webhook(old).verify(delivery.content, delivery.headers)


def test_disabling_an_endpoint_ends_its_turn(receiver: WebhookReceiver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = make_endpoint(tenant, receiver.url, max_events=1)
    sent(tenant, 3)
    during_calls(monkeypatch, lambda: endpoints.disable(endpoint=again(endpoint), by=TESTER, now=timezone.now()))
    turn(endpoint)
    assert (len(receiver.deliveries), statuses(endpoint)) == (1, ["delivered"])


def test_no_more_requests_reach_a_host_at_once_than_it_may_have(receiver: WebhookReceiver, tenant: Tenant) -> None:
    configure(webhooks, at_once_per_host=2)
    receiver.latency_ms = 100
    found = [make_endpoint(tenant, f"{receiver.url}/{n}") for n in range(5)]
    sent(tenant)
    recorded(tenant)
    crowds.start(*[Sender(endpoint.pk).serve for endpoint in found]).join()
    assert receiver.max_in_progress <= 2
    for endpoint in found:
        turn(endpoint)
    assert sorted(delivery.path for delivery in receiver.deliveries) == [f"/hooks/{n}" for n in range(5)]


def test_an_endpoint_of_an_inactive_tenant_waits_and_goes_on_when_the_tenant_is_active_again(
    receiver: WebhookReceiver, tenant: Tenant
) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    rows = sent(tenant)
    Tenant.objects.filter(pk=tenant.pk).update(is_active=False)
    assert (is_due(endpoint), turn(endpoint), receiver.deliveries) == (False, 0, [])
    Tenant.objects.filter(pk=tenant.pk).update(is_active=True)
    assert is_due(endpoint)
    turn(endpoint)
    assert [event["data"]["id"] for event in receiver.events()] == ids_of(rows)


def test_a_request_of_a_tenant_that_becomes_inactive_is_not_repeated_meanwhile(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)
    receiver.script(Answer(status=500))
    turn(endpoint)
    Tenant.objects.filter(pk=tenant.pk).update(is_active=False)
    later(endpoint, minutes=1)
    assert (is_due(endpoint), turn(endpoint), len(receiver.deliveries)) == (False, 0, 1)


def test_the_failures_of_one_tenant_do_not_hold_up_another_at_the_same_host(receiver: WebhookReceiver, tenant: Tenant) -> None:
    rule = circuit_breakers.value.webhooks.model_copy(update={"min_requests": 3})
    configure(circuit_breakers, webhooks=rule)
    receiver.script(Answer(status=500), times=3)
    for _ in range(3):
        endpoint = make_endpoint(tenant, receiver.url)
        sent(tenant)
        turn(endpoint)
    breakers.forget()
    other = make_tenant()
    theirs = make_endpoint(other, receiver.url)
    rows = sent(other)
    turn(theirs)
    assert (breaker_rules.phase(breaker_of(receiver, tenant)), breaker_rules.phase(breaker_of(receiver, other))) == ("open", "closed")
    assert [event["data"]["id"] for event in receiver.events()] == ids_of(rows)


def test_the_requests_of_one_tenant_leave_places_at_a_host_to_another(receiver: WebhookReceiver, tenant: Tenant) -> None:
    configure(webhooks, at_once_per_host=1)
    held = concurrency_leases.take(breaker_of(receiver, tenant), at_once=1, max_wait_seconds=1)
    assert held is not None
    other = make_tenant()
    mine, theirs = make_endpoint(tenant, receiver.url), make_endpoint(other, receiver.url)
    sent(tenant)
    rows = sent(other)
    try:
        assert (turn(mine), turn(theirs)) == (0, 1)
    finally:
        concurrency_leases.leave(held)
    assert [event["data"]["id"] for event in receiver.events()] == ids_of(rows)
    turn(mine)
    assert len(receiver.deliveries) == 2


def test_all_tenants_together_keep_to_the_limit_of_a_host(receiver: WebhookReceiver, tenant: Tenant) -> None:
    configure(webhooks, at_once_per_host=2, at_once_per_host_in_total=2)
    receiver.latency_ms = 100
    tenants = [tenant, make_tenant(), make_tenant()]
    found = [make_endpoint(one, f"{receiver.url}/{n}") for one in tenants for n in range(2)]
    for one in tenants:
        sent(one)
        recorded(one)
    crowds.start(*[Sender(endpoint.pk).serve for endpoint in found]).join()
    assert 1 <= receiver.max_in_progress <= 2


def test_an_endpoint_disabled_during_a_turn_gets_no_further_request(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url, max_events=1)
    sent(tenant, 3)
    own, disabled = Sender._write, threading.Event()

    def disable(self: Sender, *args: Any) -> bool:
        found = own(self, *args)
        if not disabled.is_set():
            disabled.set()
            endpoints.disable(endpoint=again(endpoint), by=TESTER, now=timezone.now())
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sender, "_write", disable)
        turn(endpoint)
    assert len(receiver.deliveries) == 1


def test_a_process_that_is_told_to_end_finishes_its_request_and_no_other(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url, max_events=1)
    sent(tenant, 3)
    own = Sender._write

    def stop(self: Sender, *args: Any) -> bool:
        stopping.set()
        return own(self, *args)

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Sender, "_write", stop)
            turn(endpoint)
    finally:
        stopping.clear()
    assert (len(receiver.deliveries), statuses(endpoint)) == (1, ["delivered"])
    assert is_due(endpoint)


def test_the_trace_of_a_message_tells_that_its_events_went_out(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url, name="Shop system")
    (row,) = sent(tenant)
    turn(endpoint)
    (line,) = [event for event in selectors.events(row.pk) if event.code == "W"]
    assert line.words[1:] == ("Shop system", "sent", "delivered")


def test_without_redis_events_are_sent_all_the_same(receiver: WebhookReceiver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)

    def away(*_args: Any, **_kwargs: Any) -> Any:
        raise redis.Unavailable("away")

    monkeypatch.setattr(concurrency_leases, "take", lambda *_args, **_kwargs: "a place")
    monkeypatch.setattr(concurrency_leases, "leave", lambda _place: None)
    monkeypatch.setattr(redis.client(), "execute_command", away)
    turn(endpoint)
    assert statuses(endpoint) == ["delivered"]


def test_the_event_of_a_message_that_was_deleted_is_told_all_the_same(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    (row,) = sent(tenant)
    Message.objects.filter(pk=row.pk).delete()
    turn(endpoint)
    (event,) = receiver.events()
    assert (event["data"]["id"], event["data"]["status"], event["data"]["recipient"]) == (str(row.pk), "sent", "")


def test_integers_of_any_length_arrive_as_they_were_given(receiver: WebhookReceiver, tenant: Tenant) -> None:
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant, metadata={"order": 123456789012345678901234})
    turn(endpoint)
    assert b"123456789012345678901234" in receiver.deliveries[0].content
    Webhook(endpoint.secret).verify(receiver.deliveries[0].content, receiver.deliveries[0].headers)
