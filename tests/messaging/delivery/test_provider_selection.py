"""Which provider takes a message: breakers, weights, strategies, fail-over; against real gateways."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Tenant
from configcenter.hot import Applied
from messaging import traces
from messaging.channels.base import Receipt
from messaging.configuration import circuit_breakers, provider_routing
from messaging.configuration.breakers import BreakerRule, ReceiptRule
from messaging.configuration.providers import ChannelRoute, ProviderWeight, Strategy
from messaging.delivery.deliver import deliver
from messaging.delivery.provider_selection import ProviderSelection
from messaging.models import Message, Provider, Status
from messaging.providers.breakers import of_host, of_provider
from messaging.providers.cache import provider_cache
from messaging.providers.latency import latencies
from messaging.receipts import receive
from posthaste.lib import redis
from posthaste.lib.breaker import Phase, Rule, Tally, breakers
from tests.builders import make_message, make_provider, make_tenant, poll
from tests.peers.gateway import Answer, Gateway

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
RULE = {"window_seconds": 30, "min_requests": 5, "open_seconds": 60, "trial_calls": 2}
SOON = RULE | {"open_seconds": 0.5}


@pytest.fixture
def first() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture
def second() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


def provider(tenant: Tenant, gateway: Gateway, name: str, **fields: Any) -> Provider:
    return make_provider(tenant, kind="http", config={"url": gateway.url}, name=name, **fields)


def send(tenant: Tenant, count: int = 5, **fields: Any) -> list[Message]:
    """Have messages delivered now and return what became of them."""
    rows = [make_message(tenant, status=Status.QUEUED, **fields) for _ in range(count)]
    deliver([row.pk for row in rows])
    return list(Message.objects.filter(pk__in=[row.pk for row in rows]).order_by("pk"))


def statuses(rows: list[Message]) -> dict[str, int]:
    return dict(Counter(row.status for row in rows))


def again(rows: list[Message]) -> dict[str, int]:
    """Deliver once more what was put back, as the feeder would, and return the states of all."""
    ids = [row.pk for row in rows]
    Message.objects.filter(pk__in=ids, status=Status.PENDING).update(status=Status.QUEUED)
    deliver(ids)
    return statuses(list(Message.objects.filter(pk__in=ids)))


def events_of(message: Message) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = traces.trace(message)["events"]
    return found


@pytest.fixture
def rules() -> Iterator[None]:
    with (
        circuit_breakers.set(providers=BreakerRule(**RULE), webhooks=BreakerRule(**RULE)),
        provider_routing.set(rest_seconds=0, drift_back_seconds=0),
    ):
        yield


@pytest.fixture
def soon() -> Iterator[None]:
    with (
        circuit_breakers.set(providers=BreakerRule(**SOON), webhooks=BreakerRule(**SOON)),
        provider_routing.set(rest_seconds=0, drift_back_seconds=0),
    ):
        yield


# --- breakers -----------------------------------------------------------------------------------------------------------


def test_an_open_breaker_moves_traffic_at_once_and_the_trace_says_why(rules: None, tenant: Tenant, first: Gateway, second: Gateway) -> None:
    bad = provider(tenant, first, "bad", weight=1000)
    provider(tenant, second, "good", weight=1)
    first.script(Answer(status=503), times=1000)
    assert statuses(send(tenant, 10)) == {"sent": 10}  # by fail-over
    assert breakers.phase(of_provider(bad.pk)) == Phase.OPEN
    queries = first.asked.total()
    moved = send(tenant, 10)
    assert statuses(moved) == {"sent": 10}
    assert first.asked.total() == queries, "nobody asks it any more"
    (event,) = [e for e in events_of(moved[0]) if e["event"] == "moved_to_another_provider"]
    assert (event["from"], event["to"], event["reason"], event["release"]) == ("bad", "good", "breaker", 0)


def test_a_provider_that_became_slow_is_left_alone_and_comes_back_when_it_is_quick_again(
    tenant: Tenant, first: Gateway, second: Gateway
) -> None:
    slow = provider(tenant, first, "slow", weight=1000)
    provider(tenant, second, "quick", weight=1)
    first.latency_ms = 60
    with (
        circuit_breakers.set(providers=BreakerRule(**SOON, slow_ms=50)),
        provider_routing.set(rest_seconds=0, drift_back_seconds=0),
    ):
        poll(lambda: send(tenant, 6) and breakers.phase(of_provider(slow.pk)) != Phase.CLOSED)
        slowly = len(first.taken)
        send(tenant, 5)
        assert len(first.taken) <= slowly + 1, "at most a trial call went to the slow one"
        first.latency_ms = 0
        poll(lambda: send(tenant, 1) and breakers.phase(of_provider(slow.pk)) == Phase.CLOSED)
        before = len(first.taken)
        send(tenant, 10)
        assert len(first.taken) >= before + 9
    assert {"opened", "half_open", "closed"} <= {event["event"] for event in breakers.history(of_provider(slow.pk))}


def test_where_every_breaker_is_open_messages_wait_without_an_attempt_and_go_out_later(soon: None, tenant: Tenant, first: Gateway) -> None:
    only = provider(tenant, first, "only")
    first.script(Answer(status=503), times=5)
    send(tenant, 5)
    assert breakers.phase(of_provider(only.pk)) == Phase.OPEN
    waiting = send(tenant, 5)
    assert statuses(waiting) == {"pending": 5}
    assert {row.attempts for row in waiting} == {0}
    assert all(timedelta(seconds=55) < row.due_at - timezone.now() < timedelta(seconds=70) for row in waiting), "but see test_waiting"
    assert {row.error_code for row in waiting} == {"breaker:only"}
    (event,) = [e for e in events_of(waiting[0]) if e["event"] == "rule"]
    assert (event["status"], event["reason"], event["release"]) == ("pending", "breaker:only", 0)
    assert first.asked.total() == 5
    poll(lambda: again(waiting) == {"sent": 5})
    assert breakers.phase(of_provider(only.pk)) == Phase.CLOSED
    assert sorted(first.taken.values()) == [1] * 5


def test_half_open_one_message_of_a_chunk_is_tried_and_the_others_wait(soon: None, tenant: Tenant, first: Gateway) -> None:
    only = provider(tenant, first, "only")
    first.script(Answer(status=503), times=6)
    send(tenant, 5)
    poll(lambda: breakers.phase(of_provider(only.pk)) == Phase.HALF_OPEN)
    tried = send(tenant, 5)
    assert first.asked.total() == 6
    assert sorted(row.attempts for row in tried) == [0, 0, 0, 0, 1]
    assert breakers.phase(of_provider(only.pk)) == Phase.OPEN


def test_a_refused_recipient_is_no_fault_of_the_provider(rules: None, tenant: Tenant, first: Gateway) -> None:
    only = provider(tenant, first, "only")
    first.script(Answer(status=422, body={"error": "no such number"}), times=20)
    assert statuses(send(tenant, 20)) == {"failed": 20}
    assert breakers.phase(of_provider(only.pk)) == Phase.CLOSED


@pytest.mark.parametrize("answer", [Answer(status=429), Answer(status=500), Answer(action="reset"), Answer(action="garbage")])
def test_busy_broken_and_silent_providers_open(answer: Answer, rules: None, tenant: Tenant, first: Gateway) -> None:
    only = provider(tenant, first, "only")
    first.script(answer, times=5)
    send(tenant, 5)
    assert breakers.phase(of_provider(only.pk)) == Phase.OPEN


def test_one_that_is_switched_off_never_opens(tenant: Tenant, first: Gateway) -> None:
    only = provider(tenant, first, "only")
    first.script(Answer(status=503), times=10)
    with circuit_breakers.set(providers=BreakerRule(**(RULE | {"is_enabled": False}))):
        send(tenant, 10)
        assert breakers.phase(of_provider(only.pk)) == Phase.CLOSED
        assert statuses(send(tenant, 1)) == {"sent": 1}


def test_a_provider_that_takes_everything_and_delivers_nothing_opens_by_its_receipts(tenant: Tenant, first: Gateway) -> None:
    only = provider(tenant, first, "only")
    with circuit_breakers.set(providers=BreakerRule(**RULE), receipts=ReceiptRule(min_receipts=10, failed_percent=50)):
        rows = send(tenant, 12)
        assert statuses(rows) == {"sent": 12}
        answers = [Receipt("failed" if n < 6 else "delivered", message_id=row.pk, code="not_delivered") for n, row in enumerate(rows)]
        receive.apply_all(provider=only, receipts=answers, now=timezone.now())
        assert breakers.phase(of_provider(only.pk)) == Phase.OPEN
        state = breakers.state(of_provider(only.pk))
        assert (state.why, state.number, state.of, state.code) == ("receipts", 6, 12, "not_delivered")
        assert statuses(send(tenant, 2)) == {"pending": 2}


def report(provider: Provider, rows: list[Message], status: Any) -> None:
    answers = [Receipt(status, message_id=row.pk, code="not_delivered") for row in rows]
    receive.apply_all(provider=provider, receipts=answers, now=timezone.now())


@pytest.mark.parametrize(("reported", "phase"), [("delivered", Phase.CLOSED), ("failed", Phase.OPEN)])
def test_one_that_receipts_opened_gets_a_few_messages_and_no_more_until_their_receipts_are_there(
    reported: str, phase: Phase, tenant: Tenant, first: Gateway
) -> None:
    only = provider(tenant, first, "only")
    name = of_provider(only.pk)
    with circuit_breakers.set(
        providers=BreakerRule(**(SOON | {"trial_calls": 1})), receipts=ReceiptRule(min_receipts=5, max_open_seconds=60)
    ):
        lost = send(tenant, 6)
        report(only, lost[:5], "failed")
        assert statuses(send(tenant, 1)) == {"pending": 1}
        poll(lambda: breakers.phase(name) == Phase.HALF_OPEN)
        (trial,) = send(tenant, 1)
        assert trial.status == "sent"
        assert breakers.phase(name) == Phase.HALF_OPEN, "taken is not delivered"
        assert statuses(send(tenant, 3)) == {"pending": 3}
        report(only, lost[5:], "failed")
        assert breakers.phase(name) == Phase.HALF_OPEN, "that one was taken before"
        report(only, [trial], reported)
        assert breakers.phase(name) == phase
    assert len(first.taken) == 7


def test_one_held_open_by_hand_takes_nothing_even_where_breakers_are_switched_off(tenant: Tenant, first: Gateway, second: Gateway) -> None:
    held = provider(tenant, first, "held", weight=1000)
    provider(tenant, second, "other", weight=0)
    breakers.force(of_provider(held.pk), "open", by="user:ada")
    with circuit_breakers.set(providers=BreakerRule(is_enabled=False)):
        assert statuses(send(tenant, 5)) == {"sent": 5}
    assert (first.asked.total(), second.asked.total()) == (0, 5)


# --- webhook hosts ------------------------------------------------------------------------------------------------------


def test_one_broken_webhook_host_waits_and_the_others_go_on(rules: None, tenant: Tenant, first: Gateway, second: Gateway) -> None:
    make_provider(tenant, channel="webhook", kind="http", config={})
    bad, good = f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}"
    first.script(Answer(status=503), times=100)
    send(tenant, 5, channel="webhook", recipient=f"http://{bad}/orders")
    assert breakers.phase(of_host(bad)) == Phase.OPEN
    waiting = send(tenant, 2, channel="webhook", recipient=f"http://{bad}/invoices")
    assert statuses(waiting) == {"pending": 2}
    assert {row.attempts for row in waiting} == {0}
    assert events_of(waiting[0])[-1]["reason"] == f"breaker:{bad}"
    assert first.asked.total() == 5
    assert statuses(send(tenant, 5, channel="webhook", recipient=f"http://{good}/in")) == {"sent": 5}


def test_a_webhook_host_is_tried_and_comes_back(soon: None, tenant: Tenant, first: Gateway) -> None:
    make_provider(tenant, channel="webhook", kind="http", config={})
    host = f"127.0.0.1:{first.port}"
    first.script(Answer(action="reset"), times=5)
    send(tenant, 5, channel="webhook", recipient=f"http://{host}/in")
    rows = send(tenant, 4, channel="webhook", recipient=f"http://{host}/in")
    poll(lambda: again(rows) == {"sent": 4})
    assert breakers.phase(of_host(host)) == Phase.CLOSED


def test_a_wrong_path_or_password_of_one_recipient_says_nothing_about_the_host(rules: None, tenant: Tenant, first: Gateway) -> None:
    make_provider(tenant, channel="webhook", kind="http", config={})
    first.script(Answer(status=404), times=10)
    first.script(Answer(status=401), times=10)
    send(tenant, 20, channel="webhook", recipient=f"http://127.0.0.1:{first.port}/gone")
    assert breakers.phase(of_host(f"127.0.0.1:{first.port}")) == Phase.CLOSED


# --- choice -------------------------------------------------------------------------------------------------------------


def drawn(tenant: Tenant, count: int = 400) -> Counter[str]:
    found: Counter[str] = Counter()
    for _ in range(count):
        choice = ProviderSelection().select(provider_cache.in_force(tenant.pk, "sms"), tenant_id=tenant.pk, channel="sms")
        found[choice.provider.name if choice.provider else "nobody"] += 1
    return found


def two(tenant: Tenant, *, a: int = 100, b: int = 100) -> tuple[Provider, Provider]:
    return make_provider(tenant, name="a", weight=a), make_provider(tenant, name="b", weight=b)


def test_weights_of_the_configuration_stand_above_those_of_the_providers(tenant: Tenant) -> None:
    two(tenant, a=1000, b=1)
    weights = [ProviderWeight(provider="a", weight=0), ProviderWeight(provider="b", weight=10)]
    with provider_routing.set(channels=[ChannelRoute(channel="sms", weights=weights)]):
        assert drawn(tenant) == {"b": 400}
    with provider_routing.set(channels=[ChannelRoute(channel="email", weights=weights)]):
        assert drawn(tenant)["a"] > 350


def test_in_order_the_heaviest_takes_all(tenant: Tenant) -> None:
    a, _b = two(tenant, a=101, b=100)
    with provider_routing.set(strategy=Strategy.IN_ORDER):
        assert drawn(tenant) == {"a": 400}
        breakers.force(of_provider(a.pk), "open", by="test")
        assert drawn(tenant) == {"b": 400}


def test_the_fastest_gets_more(tenant: Tenant) -> None:
    a, b = two(tenant)
    for one, took in ((a, 10.0), (b, 190.0)):
        latencies.observe(one.pk, took)
    pipeline = redis.client().pipeline(transaction=False)
    latencies.publish(pipeline, {a.pk, b.pk})
    pipeline.execute()
    latencies._read_at = -60.0
    with provider_routing.set(strategy=Strategy.FASTEST):
        assert drawn(tenant)["a"] > 340


def test_a_tenants_override_is_its_own(tenant: Tenant) -> None:
    other = make_tenant("Other")
    for owner in (tenant, other):
        two(owner, a=101, b=100)
    override = provider_routing.value.model_copy(update={"strategy": Strategy.IN_ORDER})
    provider_routing.swap(Applied(provider_routing.value, 3, "", {tenant.pk: override}))
    assert drawn(tenant) == {"a": 400}
    assert drawn(other)["b"] > 100


def test_what_came_back_gets_its_share_little_by_little(tenant: Tenant) -> None:
    a, _b = two(tenant)
    rule = Rule(min_requests=1, open_seconds=0.001, trial_calls=1)

    def tell(epoch: int, **counts: Any) -> None:
        pipeline = redis.client().pipeline(transaction=False)
        recording = breakers.recording(pipeline)
        recording.add(of_provider(a.pk), Tally(**counts), rule, release=0, epoch=epoch)
        recording.handle_answers(pipeline.execute())

    tell(0, calls=1, errors=1)
    _granted, epoch = poll(lambda: (answer := breakers.admit(of_provider(a.pk), rule))[0] and answer)
    tell(epoch, calls=1)
    with provider_routing.set(drift_back_seconds=3600):
        assert 1 <= drawn(tenant)["a"] < 60  # 1 : 20 at first
    with provider_routing.set(drift_back_seconds=0):
        assert drawn(tenant)["a"] > 150


def test_without_fail_over_a_message_waits_for_its_own_provider(rules: None, tenant: Tenant, first: Gateway, second: Gateway) -> None:
    own = provider(tenant, first, "own", weight=1000)
    provider(tenant, second, "other", weight=0)
    with provider_routing.set(fail_over=False):
        first.script(Answer(status=503))
        (row,) = send(tenant, 1)
        assert (row.status, row.attempts, row.error_code) == ("pending", 1, "http_503")
        breakers.force(of_provider(own.pk), "open", by="test")
        (row,) = send(tenant, 1)
        assert (row.status, row.attempts) == ("pending", 0)
    assert second.asked == {}


def test_no_more_providers_are_tried_for_one_attempt_than_configured(rules: None, tenant: Tenant, first: Gateway, second: Gateway) -> None:
    provider(tenant, first, "a", weight=1000)
    provider(tenant, second, "b", weight=0)
    first.script(Answer(status=503), times=2)
    with provider_routing.set(max_providers=1):
        (row,) = send(tenant, 1)
        assert (row.status, row.error_code) == ("pending", "http_503")
    (row,) = send(tenant, 1)
    assert row.status == "sent"
    moved = [e for e in events_of(row) if e["event"] == "moved_to_another_provider"]
    assert (moved[0]["from"], moved[0]["to"], moved[0]["reason"], moved[0]["release"]) == ("a", "b", "unreachable", 0)
