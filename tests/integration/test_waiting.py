"""What the other tests stand on: waits that end when nothing moves, and a stack that is mended after a failure."""

import itertools
import signal

import pytest

from tests.integration.mending import effective, mend, mend_configuration
from tests.integration.stack import Stack
from tests.integration.waiting import poll


def test_a_wait_goes_on_while_something_moves_and_ends_when_nothing_does() -> None:
    steps = itertools.count()
    assert poll(lambda: next(steps) >= 30, progress=lambda: next(steps), look_seconds=0, quiet_seconds=0.05, every=0.02)
    with pytest.raises(AssertionError, match=r"the reason .nothing has moved"):
        poll(lambda: False, progress=lambda: 7, quiet_seconds=0.05, every=0.01, reason="the reason")


def test_a_wait_outlives_a_machine_that_stood_still_for_longer_than_nothing_may_move(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(step=120.0)  # a stop of two minutes at each look
    monkeypatch.setattr("tests.integration.waiting.time.monotonic", lambda: next(clock))
    looks = itertools.count()
    assert poll(lambda: next(looks) >= 5, progress=lambda: 7, every=0.0)
    with pytest.raises(AssertionError, match="nothing has moved"):
        poll(lambda: False, progress=lambda: 7, every=0.0)


def test_a_wait_ends_at_its_cap_whatever_moves() -> None:
    steps = itertools.count()
    with pytest.raises(AssertionError, match="although something moves"):
        poll(lambda: False, progress=lambda: next(steps), look_seconds=0, cap_seconds=0.1, every=0.01)


def test_what_a_failed_test_leaves_behind_is_mended(stack: Stack) -> None:
    usual = effective(stack)
    stack.start("worker", label="left-behind")
    stack.kill("beat")
    stack.kill("worker-aux", signal.SIGSTOP)
    stack.configure("queues", queue_capacity=usual["queues"]["queue_capacity"] + 1)
    assert mend(stack) == ["ended left-behind", "resumed worker-aux", "started beat", "waited until all are well"]
    assert mend_configuration(stack, usual) == ["configured queues as before"]
    # A process may be late with its sign of life once more; then mending is to wait, and nothing else.
    assert poll(lambda: (mend(stack), mend_configuration(stack, usual), effective(stack)) == ([], [], usual))
