"""A provider breaks, traffic leaves it, and comes back: seen through a whole installation, on both stacks."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.customer import Customer, poll
from tests.integration.stack import Stack
from tests.peers.gateway import Answer, Gateway

pytestmark = pytest.mark.both_stacks


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


def breaker(customer: Customer, provider: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = customer.http.get(f"/api/breakers/provider:{provider['id']}/").json()
    return shown


def test_traffic_leaves_a_broken_provider_within_a_second_and_returns_when_it_has_healed(
    customer: Customer, first: Gateway, second: Gateway
) -> None:
    broken = customer.gateway(first, weight=1000)
    customer.gateway(second, weight=1)
    first.script(Answer(status=503), times=100_000)
    began = time.monotonic()
    batch = customer.send_batch(200)
    poll(lambda: breaker(customer, broken)["state"] == "open", seconds=10)
    assert customer.finished(batch)["counts"]["sent"] == 200
    assert time.monotonic() - began < 8
    shown = breaker(customer, broken)
    assert (shown["reason"], shown["reason_code"]) == ("errors", "http_503")
    asked = first.asked.total()
    assert customer.settled(customer.send())["status"] == "sent"
    assert first.asked.total() == asked
    first.reset()  # it has healed
    back = time.monotonic()
    poll(lambda: customer.settled(customer.send()) and breaker(customer, broken)["state"] == "closed", seconds=20, every=0.2)
    assert time.monotonic() - back < 15
    assert len(first.taken) >= 3
    assert [event["event"] for event in breaker(customer, broken)["history"]] == ["closed", "half_open", "opened"]
    assert first.doubles() == second.doubles() == {}


def test_while_the_only_provider_is_held_open_nothing_is_lost_and_it_goes_out_when_it_is_let_go(customer: Customer, first: Gateway) -> None:
    only = customer.gateway(first)
    path = f"/api/breakers/provider:{only['id']}/force/"
    assert customer.http.post(path, {"state": "open", "seconds": 3}).status == 200
    assert breaker(customer, only)["state"] == "open"
    time_of_copy = time.monotonic() + 0.6  # what a worker has read of the states is at most so old
    poll(lambda: time.monotonic() > time_of_copy)
    batch = customer.send_batch(50)
    poll(lambda: customer.batch(batch)["counts"]["pending"] > 0)
    assert first.asked == {}
    assert customer.finished(batch, seconds=30)["counts"]["sent"] == 50
    assert sorted(first.taken.values()) == [1] * 50
