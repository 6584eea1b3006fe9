"""The processes themselves: they come up together, and the ways by which other tests hurt them work."""

import time

import pytest

from tests.integration.stack import Stack

pytestmark = pytest.mark.both_stacks


def send_one(stack: Stack) -> str:
    """Hand over one text and return its state once a provider has had it."""
    accepted = stack.http.post("/api/messages/", {"channel": "sms", "recipient": "+8613800138000", "body": "hello"})
    assert accepted.status == 202, accepted.data
    deadline = time.monotonic() + 30
    while True:
        state = str(stack.http.get(f"/api/messages/{accepted.json()['id']}/").json()["status"])
        if state not in ("pending", "queued", "sending") or time.monotonic() > deadline:
            return state
        time.sleep(0.05)


def test_a_message_goes_from_the_api_to_a_provider(stack: Stack) -> None:
    assert send_one(stack) in ("sent", "delivered")


@pytest.mark.parametrize("name", ["worker", "worker-aux", "beat", "web", "ws"])
def test_a_process_that_was_killed_can_be_started_again(stack: Stack, name: str) -> None:
    stack.kill(name)
    assert not stack.is_running(name)
    stack.start(name)
    stack.wait_healthy()
    assert send_one(stack) in ("sent", "delivered")


def test_a_second_worker_can_join_and_leaves_in_order(stack: Stack) -> None:
    # A label of its own: the log of one that another test had started says that it is ready, too.
    stack.start("worker", label="joining")
    deadline = time.monotonic() + 30
    while " ready." not in stack.log_tail("joining"):
        assert time.monotonic() < deadline, stack.log_tail("joining")
        time.sleep(0.05)
    assert send_one(stack) in ("sent", "delivered")
    stack.end("joining")
    assert stack.processes["joining"].returncode == 0, stack.log_tail("joining")
    assert send_one(stack) in ("sent", "delivered")
