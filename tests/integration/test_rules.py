"""Delivery rules published while a batch is on its way through two workers: lifted, and put in force."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from tests.integration.customer import Customer
from tests.integration.stack import Stack
from tests.integration.waiting import poll, reach
from tests.peers.gateway import Gateway

RULE = "drill"
MESSAGES, PLACES, LATENCY_MS = 200, 8, 60.0
PER_SECOND = 20


@pytest.fixture
def customer(stack: Stack) -> Customer:
    return Customer(stack)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway(latency_ms=LATENCY_MS) as running:
        yield running


@pytest.fixture
def quiet(stack: Stack) -> Iterator[dict[str, Any]]:
    """Rules under which the drill's messages are put off for hours, whatever the time; what was in force is so again after the test."""
    usual = stack.http.get("/api/config/modules/delivery_rules/").json()["effective"]
    now = datetime.now(UTC)
    start, end = (f"{now + timedelta(hours=hours):%H:%M}" for hours in (-2, 6))
    yield {"quiet_hours": [{"name": RULE, "category": RULE, "start": start, "end": end}]}
    stack.configure("delivery_rules", **usual)


def put_off(customer: Customer, batch: str) -> list[dict[str, Any]]:
    """Return the messages of a batch that the rule keeps for hours."""
    later = (datetime.now(UTC) + timedelta(hours=4)).isoformat()
    rows = customer.rows(batch=batch, status="pending")
    return [row for row in rows if row["error_code"] == f"rule:quiet:{RULE}" and row["due_at"] > later]


def version(customer: Customer) -> int:
    return int(customer.stack.http.get("/api/config/modules/delivery_rules/").json()["version"])


def test_what_a_rule_put_off_for_hours_leaves_when_the_rule_is_lifted_through_both_workers_and_each_message_once(
    stack: Stack, customer: Customer, gateway: Gateway, second_worker: None, quiet: dict[str, Any]
) -> None:
    provider = customer.gateway(gateway, caps={"at_once": PLACES})
    stack.configure("delivery_rules", **quiet)
    ruled_by = version(customer)
    drill = {"category": RULE, "time_zone": "UTC"}
    batch = customer.send_batch(MESSAGES, **drill)
    reach(lambda: len(put_off(customer, batch)), MESSAGES, every=0.2)
    assert gateway.taken == {}
    others = customer.send_batch(MESSAGES)  # the load, which no rule keeps
    reach(lambda: len(gateway.taken), PLACES, every=0.01)
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        held = f"{stack.environment['REDIS_PREFIX']}:flow:leases:provider:{provider['id']}"
        senders: set[bytes] = set()  # a lease begins with what names its process
        stack.configure("delivery_rules", quiet_hours=[])  # returns when both workers run it

        def all_have_left() -> bool:
            senders.update(lease[:8] for lease in client.zrange(held, 0, -1))
            return len(gateway.taken) == 2 * MESSAGES

        poll(all_have_left, progress=lambda: len(gateway.taken), every=0.01)
    assert len(senders) == 2, "both workers send"
    assert [customer.finished(one)["counts"]["sent"] for one in (batch, others)] == [MESSAGES, MESSAGES]
    assert gateway.doubles() == {}
    rows = customer.rows(batch=batch)
    assert {row["attempts"] for row in rows} == {1}, "being put off is no attempt"
    events = customer.http.get(f"/api/messages/{rows[0]['id']}/trace/").json()["events"]
    decided = [event for event in events if event["event"] == "rule" and not event["reason"].startswith("cap:")]
    decisions = [(event["reason"], event["release"]) for event in decided]
    assert set(decisions) == {(f"rule:quiet:{RULE}", ruled_by)}, "by no other rule and no other release"


def test_a_rule_published_under_load_puts_off_what_follows_at_once(
    stack: Stack, customer: Customer, gateway: Gateway, quiet: dict[str, Any]
) -> None:
    customer.gateway(gateway, caps={"per_second": PER_SECOND})
    batch = customer.send_batch(MESSAGES, category=RULE, time_zone="UTC")
    reach(lambda: len(gateway.taken), 10, every=0.01)
    stack.publish("delivery_rules", **quiet)
    taken_before = len(gateway.taken)
    poll(lambda: len(put_off(customer, batch)) + len(gateway.taken) == MESSAGES, every=0.2)
    late = len(gateway.taken) - taken_before
    assert late <= 4 * PER_SECOND, "what leaves in four seconds: a busy machine sends fewer in the time it takes longer"
    customer.http.post(f"/api/batches/{batch}/cancel/")
    assert poll(lambda: (now := customer.batch(batch))["in_progress"] == 0 and now)["counts"]["sent"] == len(gateway.taken)
    assert gateway.doubles() == {}
