"""Nothing is lost and nothing silently doubled, whatever dies: on both stacks, with real kills."""

import signal
import threading
from collections.abc import Iterator

import pytest
from urllib3.exceptions import HTTPError

from tests import crowds
from tests.integration.customer import Customer, empty_queue
from tests.integration.stack import Stack
from tests.integration.waiting import poll, reach
from tests.peers.gateway import Gateway

pytestmark = pytest.mark.both_stacks


@pytest.fixture
def customer(stack: Stack) -> Customer:
    return Customer(stack)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway(latency_ms=5) as running:
        yield running


def total(customer: Customer, gateway: Gateway, batch_id: str, size: int) -> dict[str, int]:
    """Every id has arrived; none twice; those shown as unknown are the only ones in doubt, and can be resent by hand."""
    batch = customer.finished(batch_id)
    counts: dict[str, int] = batch["counts"]
    assert counts["sent"] + counts["unknown"] == size
    everything, doubtful = customer.ids(batch_id), customer.ids(batch_id, status="unknown")
    assert len(everything) == size
    assert everything - set(gateway.taken) <= doubtful, "a message is lost"
    assert set(gateway.doubles()) == set(), "a message was sent twice"
    assert set(gateway.taken) <= everything
    return counts


def test_a_worker_killed_in_the_middle_of_a_batch_loses_nothing_and_doubles_nothing(
    stack: Stack, customer: Customer, gateway: Gateway
) -> None:
    customer.gateway(gateway)
    batch_id = customer.send_batch(2_000)
    for reached in (200, 900):
        reach(lambda: len(gateway.taken), reached)
        stack.kill("worker")
        stack.start("worker")
    counts = total(customer, gateway, batch_id, 2_000)
    # Only a call that was under way may be in doubt: one for each thread of the two workers that were killed.
    assert counts["unknown"] <= 2 * 100
    for row in customer.http.get("/api/messages/", batch=batch_id, status="unknown", limit=200).json()["results"]:
        assert customer.http.post(f"/api/messages/{row['id']}/retry/").status == 200
    poll(lambda: customer.batch(batch_id)["counts"]["sent"] == 2_000, progress=lambda: customer.batch(batch_id)["counts"])
    assert customer.ids(batch_id) == set(gateway.taken), "after the operator's decision every id has arrived"


def test_a_worker_asked_to_end_finishes_or_hands_back_what_it_holds(stack: Stack, customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway)
    batch_id = customer.send_batch(1_500)
    reach(lambda: len(gateway.taken), 100)
    stack.end("worker")
    assert stack.processes["worker"].returncode == 0, stack.log_tail("worker")
    at_rest = customer.batch(batch_id)["counts"]
    assert at_rest["sending"] == 0, "the worker kept messages to itself"
    stack.start("worker")
    counts = total(customer, gateway, batch_id, 1_500)
    assert counts["unknown"] == 0, "an orderly end leaves no doubt"


def test_the_feeder_killed_while_feeding_loses_nothing(stack: Stack, customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway, bulk=True)
    batch_id = customer.send_batch(3_000)
    stack.kill("worker-aux")
    stack.start("worker-aux")
    assert total(customer, gateway, batch_id, 3_000)["unknown"] == 0


def test_tasks_lost_in_the_broker_are_found_in_the_database(stack: Stack, customer: Customer, gateway: Gateway) -> None:
    customer.gateway(gateway)
    stack.end("worker")
    ids = [customer.send() for _ in range(20)]
    assert {customer.message(i)["status"] for i in ids} == {"queued"}
    assert empty_queue(stack, "message.send") > 0
    stack.start("worker")
    assert {customer.settled(i)["status"] for i in ids} == {"sent"}
    assert sorted(gateway.taken.values()) == [1] * 20


def test_the_web_process_killed_under_load_never_said_202_for_what_it_had_not_stored(
    stack: Stack, customer: Customer, gateway: Gateway
) -> None:
    customer.gateway(gateway)
    accepted: list[str] = []
    ended = threading.Event()

    def talk() -> None:
        while not ended.is_set():
            try:
                accepted.append(customer.send())
            except (HTTPError, AssertionError):
                ended.wait(0.05)  # not accepted, as far as this caller knows

    callers = crowds.start(*[talk] * 8)
    try:
        reach(lambda: len(accepted), 100)
        stack.kill("web", signal.SIGKILL)
        stack.start("web")
        before = len(accepted)
        reach(lambda: len(accepted), before + 100)
    finally:
        ended.set()
    callers.join()
    stack.wait_healthy()
    everything = {row["trace_id"] for row in customer.rows()}
    assert {i.replace("-", "") for i in accepted} <= everything, "somebody was told 202 for a message that is not there"
    customer.all_settled()
    assert everything == set(gateway.taken)
    assert gateway.doubles() == {}
