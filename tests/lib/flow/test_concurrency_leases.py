"""Leases at a provider: shared, handed on, and divided while Redis is away."""

import secrets
import time

import pytest

from posthaste.lib import redis
from posthaste.lib.flow import concurrency_leases as leases_module
from posthaste.lib.flow import limiter as limiter_module
from posthaste.lib.flow.concurrency_leases import ConcurrencyLeases
from posthaste.lib.flow.rules import LEASE_SECONDS
from tests import crowds
from tests.builders import poll
from tests.services import Service

pytestmark = pytest.mark.both_stacks


def test_two_processes_share_the_leases_and_the_next_one_goes_to_a_waiting_thread() -> None:
    one, other, name = ConcurrencyLeases(), ConcurrencyLeases(), secrets.token_hex(6)
    first, second = (leases.take(name, at_once=2, max_wait_seconds=0) for leases in (one, other))
    assert first
    assert second
    assert other.take(name, at_once=2, max_wait_seconds=0.1) is None
    asked = other._calls
    waiting = crowds.start(lambda: other.take(name, at_once=2, max_wait_seconds=60))
    poll(lambda: other._calls > asked + 1)
    one.leave(first)
    (third,) = waiting.join()
    assert third
    other.leave(second)
    other.leave(third)
    poll(lambda: redis.client().zcard(redis.key("flow", "leases", name)) == 0, seconds=LEASE_SECONDS / 2)


def test_a_hundred_threads_that_wait_ask_no_more_often_than_one() -> None:
    holds, waits, name = ConcurrencyLeases(), ConcurrencyLeases(), secrets.token_hex(6)
    held = holds.take(name, at_once=1, max_wait_seconds=0)
    began = time.monotonic()
    crowds.at_once(*[lambda: waits.take(name, at_once=1, max_wait_seconds=0.5)] * 100)
    assert held
    looks = (time.monotonic() - began) / leases_module.LOOK_AGAIN_SECONDS
    assert waits._calls <= looks + 100, "one looks at a time, the others ask once at most"


def test_while_redis_is_away_a_process_has_its_share_once_the_leases_have_run_out(
    own_redis: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter_module, "REST_SECONDS", 0.1)
    leases = ConcurrencyLeases()
    before = leases.take("a", at_once=5, max_wait_seconds=0)
    assert before
    poll(lambda: redis.client().exists(redis.key("flow", "senders")))
    own_redis.kill()
    leases.local.processes, leases.rank = 3, 1  # without Redis the keeper learns of no other process
    assert leases.take("a", at_once=5, max_wait_seconds=0) is None, "what others hold may still be in progress"
    leases._alone_since -= LEASE_SECONDS  # their leases have run out by now
    taken = leases.take("a", at_once=5, max_wait_seconds=0)
    assert taken
    # five among three: two for the first and the second of them, and one of these two is held since before
    assert leases.take("a", at_once=5, max_wait_seconds=0) is None
    leases.rank = 2
    assert leases.take("b", at_once=2, max_wait_seconds=0) is None, "two among three leave nothing to the third"
    leases.leave(taken)
    leases.leave(before)
    leases.rank = 1
    assert leases.take("a", at_once=5, max_wait_seconds=0)
    own_redis.start()
    poll(lambda: (lease := leases.take("a", at_once=5, max_wait_seconds=0)) and not lease.is_local)
