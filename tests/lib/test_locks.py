import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from posthaste.lib import redis
from posthaste.lib.ids import new_id
from posthaste.lib.locks import NotAcquired, fenced
from tests.builders import poll

pytestmark = pytest.mark.both_stacks


@pytest.fixture
def name() -> str:
    return f"test-{new_id().hex}"


def test_each_holder_has_a_larger_token_than_the_one_before(name: str) -> None:
    tokens = []
    for _ in range(20):
        with fenced(name, lease_seconds=5) as token:
            tokens.append(token)
    assert tokens == sorted(set(tokens))


def test_a_held_lock_is_not_given_away(name: str) -> None:
    with fenced(name, lease_seconds=5):
        with pytest.raises(NotAcquired), fenced(name, lease_seconds=5):
            pytest.fail("two hold the lock")
        with pytest.raises(NotAcquired), fenced(name, lease_seconds=5, wait_seconds=0.05):
            pytest.fail("two hold the lock")


def test_locks_of_different_names_do_not_meet(name: str) -> None:
    with fenced(name, lease_seconds=5), fenced(f"{name}-other", lease_seconds=5):
        pass


def test_who_waits_gets_it_when_it_is_free(name: str) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> int:
        with fenced(name, lease_seconds=10) as token:
            held.set()
            release.wait(10)
            return token

    def wait() -> int:
        held.wait(10)
        with fenced(name, lease_seconds=10, wait_seconds=10) as token:
            return token

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(hold), pool.submit(wait)
        held.wait(10)
        release.set()
        assert first.result(10) < second.result(10)


def test_many_at_once_never_hold_it_together(name: str) -> None:
    inside, most, lock = 0, 0, threading.Lock()
    tokens: list[int] = []

    def once(_n: int) -> None:
        nonlocal inside, most
        with fenced(name, lease_seconds=10, wait_seconds=30) as token:
            with lock:
                inside += 1
                most = max(most, inside)
                tokens.append(token)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(once, range(24)))
    assert most == 1
    assert tokens == sorted(set(tokens)), "whoever comes later has the larger token"
    assert len(tokens) == 24


def test_a_holder_whose_lease_ran_out_does_not_take_the_lock_of_the_next_one(name: str) -> None:
    with fenced(name, lease_seconds=0.05) as first:
        poll(lambda: not redis.client().exists(redis.key("lock", name)), what="the lease ran out")
        second_lock = fenced(name, lease_seconds=10)
        second = second_lock.__enter__()
    assert second > first
    with pytest.raises(NotAcquired), fenced(name, lease_seconds=5):
        pytest.fail("the first one's release freed the second one's lock")
    second_lock.__exit__(None, None, None)


def test_the_lock_is_free_after_an_error_inside(name: str) -> None:
    with pytest.raises(ZeroDivisionError), fenced(name, lease_seconds=10):
        raise ZeroDivisionError
    with fenced(name, lease_seconds=10):
        pass
