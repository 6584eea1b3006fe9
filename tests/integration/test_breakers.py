"""A provider breaks, traffic leaves it, and comes back: seen through a whole installation, on both stacks."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from tests.integration.customer import Customer
from tests.integration.stack import Stack
from tests.integration.waiting import poll
from tests.peers.gateway import Answer, Gateway


@pytest.fixture
def customer(stack: Stack) -> Customer:
    return Customer(stack)


@pytest.fixture
def first() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture
def second() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture
def rules(stack: Stack) -> Iterator[None]:
    """Breakers that open and close again within seconds, published as an operator would."""
    quick = {"window_seconds": 10, "min_requests": 6, "slow_ms": 1_000, "slow_percent": 50, "open_seconds": 1, "trial_calls": 2}
    publish(stack, "circuit_breakers", {"providers": quick})
    publish(stack, "provider_routing", {"drift_back_seconds": 0, "rest_seconds": 0})
    yield
    publish(stack, "circuit_breakers", {})
    publish(stack, "provider_routing", {})


def publish(stack: Stack, module: str, content: dict[str, Any]) -> None:
    answer = stack.http.post(f"/api/config/modules/{module}/publish/", {"content": content, "comment": "breakers in a test"})
    assert answer.status == 201, answer.data


def breaker(customer: Customer, provider: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = customer.http.get(f"/api/breakers/provider:{provider['id']}/").json()
    return shown


def is_put_off(message: dict[str, Any]) -> bool:
    return message["status"] == "pending" and str(message["error_code"]).startswith("breaker:")


def sent_or_put_off(customer: Customer, message_id: str) -> dict[str, Any]:
    """Wait until a message has been sent, or waits for a breaker, and return it."""
    decided: dict[str, Any] = poll(lambda: (now := customer.message(message_id)) and (now["status"] == "sent" or is_put_off(now)) and now)
    return decided


@pytest.mark.parametrize("trouble", ["slow", "errors"])
def test_traffic_leaves_a_provider_in_trouble_and_returns_when_it_is_well(
    trouble: str, rules: None, customer: Customer, first: Gateway, second: Gateway
) -> None:
    troubled = customer.gateway(first, weight=1000)
    customer.gateway(second, weight=0)
    customer.settled(customer.send())
    assert (len(first.taken), len(second.taken)) == (1, 0)
    if trouble == "slow":
        first.latency_ms = 1_500
    else:
        first.script(Answer(status=503), times=100_000)
    batch = customer.send_batch(200)
    assert customer.finished(batch)["counts"]["sent"] == 200
    history = breaker(customer, troubled)["history"]
    assert (history[-1]["event"], history[-1]["reason"]) == ("opened", trouble)
    assert len(second.taken) > 100
    # Where all of them were under way before it opened, those that follow are moved by the breaker, not by their own failure.
    following = customer.send_batch(50)
    assert customer.finished(following)["counts"]["sent"] == 50
    traces = (customer.http.get(f"/api/messages/{UUID(one)}/trace/").json()["events"] for one in customer.ids(following))
    assert any(event["event"] == "moved_to_another_provider" and event["reason"] == "breaker" for events in traces for event in events)
    first.latency_ms = 0
    first._script.clear()  # it is well again
    poll(
        lambda: customer.settled(customer.send()) and breaker(customer, troubled)["state"] == "closed",
        progress=lambda: breaker(customer, troubled)["history"],
        every=0.1,
    )
    before = len(first.taken)
    assert customer.finished(customer.send_batch(50))["counts"]["sent"] == 50
    assert len(first.taken) - before >= 45
    assert [event["event"] for event in breaker(customer, troubled)["history"]][:2] == ["closed", "half_open"]
    assert first.doubles() == second.doubles() == {}


def test_a_provider_that_takes_everything_and_delivers_nothing_is_left_alone(customer: Customer, first: Gateway, second: Gateway) -> None:
    silent = customer.gateway(first, weight=1000)
    customer.gateway(second, weight=0)
    batch = customer.send_batch(60)
    assert customer.finished(batch)["counts"]["sent"] == 60
    reports = [{"message_id": id_, "status": "failed", "code": "not_delivered"} for id_ in sorted(customer.ids(batch))]
    assert customer.receipt(silent, reports)[1]["applied"] == 60
    shown = breaker(customer, silent)
    assert (shown["state"], shown["reason"], shown["reason_number"], shown["reason_code"]) == ("open", "receipts", 60, "not_delivered")
    poll(lambda: customer.settled(customer.send()) and second.taken)


def test_while_the_only_provider_is_held_open_nothing_is_lost_and_it_goes_out_when_it_is_let_go(customer: Customer, first: Gateway) -> None:
    only = customer.gateway(first)
    path = f"/api/breakers/provider:{only['id']}/force/"
    assert customer.http.post(path, {"state": "open", "seconds": 120}).status == 200
    assert breaker(customer, only)["state"] == "open"
    poll(lambda: is_put_off(sent_or_put_off(customer, customer.send())), reason="the worker does not come to see it")
    asked = dict(first.asked)
    assert len(asked) <= 40, "two seconds at most, counted in messages: one is handed over each twentieth of a second"
    batch = customer.send_batch(50)
    poll(lambda: any(is_put_off(row) for row in customer.rows(batch=batch)))
    assert first.asked == asked
    assert customer.http.post(path, {"state": "open", "seconds": 1}).status == 200  # it runs out by itself
    assert customer.finished(batch)["counts"]["sent"] == 50
    customer.all_settled()
    assert customer.ids(batch) <= set(first.taken)
    assert first.doubles() == {}
