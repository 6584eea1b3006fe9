"""The processes themselves: they come up together, and the ways by which other tests hurt them work."""

from functools import partial

import pytest

from tests.integration.customer import IN_PROGRESS
from tests.integration.stack import Stack
from tests.integration.waiting import poll

pytestmark = pytest.mark.both_stacks


def send_one(stack: Stack) -> str:
    """Hand over one text and return its state once a provider has had it."""
    accepted = stack.http.post("/api/messages/", {"channel": "sms", "recipient": "+8613800138000", "body": "hello"})
    assert accepted.status == 202, accepted.data
    address = f"/api/messages/{accepted.json()['id']}/"

    def state() -> str:
        return str(stack.http.get(address).json()["status"])

    poll(lambda: state() not in IN_PROGRESS, progress=state, reason=lambda: f"the message is still {state()}")
    return state()


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
    said = partial(stack.log_tail, "joining")
    poll(lambda: " ready." in said(), progress=said, reason=said)
    assert send_one(stack) in ("sent", "delivered")
    stack.end("joining")
    assert stack.processes.pop("joining").returncode == 0, stack.log_tail("joining")
    assert send_one(stack) in ("sent", "delivered")
