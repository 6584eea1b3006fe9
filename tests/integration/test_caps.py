"""The cap on calls in progress at a provider, kept by all workers together."""

import time
from collections.abc import Iterator

import pytest
import redis

from posthaste.lib.flow.limiter import RENEW_SECONDS
from posthaste.lib.flow.rules import LEASE_SECONDS
from tests.integration.customer import Customer
from tests.integration.stack import Stack
from tests.integration.waiting import poll
from tests.peers.gateway import Gateway


@pytest.fixture
def customer(stack: Stack) -> Customer:
    return Customer(stack)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway(latency_ms=60) as running:
        yield running


def test_two_workers_never_have_more_calls_in_progress_than_the_cap_and_send_everything(
    stack: Stack, customer: Customer, gateway: Gateway, second_worker: None
) -> None:
    made = customer.gateway(gateway, caps={"at_once": 4})
    assert made["caps"] == {"at_once": 4}
    batch = customer.send_batch(400)
    urgent = [customer.send(priority=9) for _ in range(10)]
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        held = f"{stack.environment['REDIS_PREFIX']}:flow:leases:provider:{made['id']}"
        senders: set[bytes] = set()  # a lease begins with what names its process

        def both_send() -> bool:
            senders.update(lease[:8] for lease in client.zrange(held, 0, -1))
            return len(senders) == 2

        poll(both_send, every=0.01)
    assert customer.finished(batch)["counts"]["sent"] == 400
    assert all(customer.settled(one)["status"] == "sent" for one in urgent)
    assert gateway.max_in_progress == 4, "all leases are used, and never one more"
    assert gateway.doubles() == {}
    assert {row["attempts"] for row in customer.rows()} == {1}, "waiting for a lease is no attempt"


def test_leases_of_a_killed_worker_run_out(stack: Stack, customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway, caps={"at_once": 2}, config={"timeout_seconds": 20})
    gateway.hold()
    for _ in range(2):
        customer.send(priority=9)
    poll(lambda: gateway.in_progress == 2)
    killed_at = time.monotonic()
    stack.kill("worker")
    stack.start("worker")
    gateway.release()
    late = customer.send(priority=9)
    assert customer.settled(late)["status"] == "sent"
    assert time.monotonic() - killed_at > LEASE_SECONDS - RENEW_SECONDS - 1, "the provider may be busy with the calls of the dead"
    assert gateway.max_in_progress == 2
    assert customer.message(late)["attempts"] == 1
