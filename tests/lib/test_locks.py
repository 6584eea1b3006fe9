import asyncio
import threading
import time

import pytest

from posthaste.lib import locks, redis
from posthaste.lib.ids import new_id
from posthaste.lib.locks import LockLost, NotAcquired, server
from tests import crowds
from tests.builders import poll

pytestmark = pytest.mark.both_stacks


@pytest.fixture
def name() -> str:
    return f"test-{new_id().hex}"


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> float:
    """Shorten the lease of renewed locks and return it, in seconds."""
    seconds = 1.0  # long enough that a busy machine renews it in time
    monkeypatch.setattr(locks, "RENEWED_LEASE_SECONDS", seconds)
    return seconds


LOOK_SECONDS = 100.0


@pytest.fixture
def no_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let waiters look again so rarely that only being woken makes them go on within a test."""
    monkeypatch.setattr(locks, "WAITING_LOOK_SECONDS", LOOK_SECONDS)
    monkeypatch.setattr(server, "ALIVE_MS", int(3_000 * LOOK_SECONDS))


def waiters(name: str) -> int:
    return next((lock.waiters for lock in locks.held() if lock.name == name), 0)


def test_each_holder_has_a_larger_token_than_the_one_before(name: str) -> None:
    tokens = []
    for _ in range(20):
        with locks.simple(name, lease_seconds=5) as lock:
            tokens.append(lock.fencing_token)
    assert tokens == sorted(set(tokens))


def test_tokens_go_on_rising_when_redis_has_lost_its_counter(name: str) -> None:
    with locks.simple(name) as first:
        pass
    redis.client().delete(server._key("token"))
    with locks.simple(name) as second:
        assert second.fencing_token > first.fencing_token


def test_a_token_that_was_seen_raises_the_counter_and_never_lowers_it(name: str) -> None:
    with locks.simple(name) as first:
        pass
    kept = redis.client().get(server._key("token"))
    try:
        locks.at_least(first.fencing_token + 60_000_000)  # a minute ahead of the clock
        locks.at_least(1)
        with locks.simple(name) as second:
            assert second.fencing_token == first.fencing_token + 60_000_001
    finally:
        redis.client().set(server._key("token"), kept or 0)


def test_a_held_lock_is_not_given_away(name: str) -> None:
    with locks.simple(name, lease_seconds=5):
        with pytest.raises(NotAcquired), locks.simple(name, lease_seconds=5):
            pytest.fail("two hold the lock")
        with pytest.raises(NotAcquired), locks.simple(name, lease_seconds=5, wait_seconds=0.05):
            pytest.fail("two hold the lock")
        assert waiters(name) == 0, "who gave up is out of the line"


def test_locks_of_different_names_do_not_meet(name: str) -> None:
    with locks.simple(name, lease_seconds=30), locks.simple(f"{name}-other", lease_seconds=30):
        assert {lock.name for lock in locks.held()} >= {name, f"{name}-other"}


def test_who_waits_is_woken_when_it_is_free(name: str, no_looks: None) -> None:
    def wait() -> None:
        with locks.simple(name, wait_seconds=LOOK_SECONDS):
            pass

    with locks.simple(name, lease_seconds=LOOK_SECONDS):
        waiting = crowds.start(wait)
        poll(lambda: waiters(name) == 1)
    waiting.join(LOOK_SECONDS / 2)


def test_waiters_are_served_in_the_order_of_their_coming(name: str) -> None:
    served: list[int] = []

    def wait(number: int) -> None:
        with locks.simple(name, wait_seconds=20):
            served.append(number)

    with crowds.pool(6) as pool, locks.simple(name):
        for number in range(6):
            pool.submit(wait, number)
            poll(lambda n=number: waiters(name) == n + 1)  # type: ignore[misc]
        with pytest.raises(NotAcquired), locks.simple(name):
            pytest.fail("two hold the lock")
    assert served == list(range(6))


def test_nobody_goes_past_the_line_when_the_lock_is_free(name: str) -> None:
    with locks.simple(name):
        server.take(name, holder="first in line", owner="test", lease_ms=1000, waits=True)
    with pytest.raises(NotAcquired), locks.simple(name):
        pytest.fail("went past the line")
    server.leave(name, holder="first in line")
    with locks.simple(name):
        pass


def test_a_dead_waiter_does_not_block_the_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ALIVE_MS", 200)
    with locks.simple(name):
        server.take(name, holder="dies while it waits", owner="test", lease_ms=1000, waits=True)
    with locks.simple(name, wait_seconds=5):
        pass


def test_who_was_woken_and_leaves_passes_his_turn_on(name: str, no_looks: None) -> None:
    with crowds.pool(1) as pool:
        with locks.simple(name):
            server.take(name, holder="leaves", owner="test", lease_ms=1000, waits=True)
            second = pool.submit(lambda: locks.simple(name, wait_seconds=10).__enter__())
            poll(lambda: waiters(name) == 2)
        server.leave(name, holder="leaves")
        second.result(LOOK_SECONDS / 2)


def test_many_at_once_never_hold_it_together(name: str) -> None:
    inside, most, lock = 0, 0, threading.Lock()
    tokens: list[int] = []

    def once(_n: int) -> None:
        nonlocal inside, most
        with locks.simple(name, lease_seconds=10, wait_seconds=30) as held:
            with lock:
                inside += 1
                most = max(most, inside)
                tokens.append(held.fencing_token)
            with lock:
                inside -= 1

    with crowds.pool(8) as pool:
        list(pool.map(once, range(24)))
    assert most == 1
    assert tokens == sorted(set(tokens)), "whoever comes later has the larger token"
    assert len(tokens) == 24


def test_a_holder_whose_lease_ran_out_knows_it_and_does_not_free_the_lock_of_the_next_one(name: str) -> None:
    with locks.simple(name, lease_seconds=0.05) as first:
        second_lock = locks.simple(name, lease_seconds=10, wait_seconds=5)
        second = second_lock.__enter__()
        assert second.fencing_token > first.fencing_token
        with pytest.raises(LockLost):
            first.check()
        assert first.lost.wait(5), "the watchdog tells it"
    with pytest.raises(NotAcquired), locks.simple(name, lease_seconds=5):
        pytest.fail("the first one's release freed the second one's lock")
    second.check()
    second_lock.__exit__(None, None, None)


def test_the_lock_is_free_after_an_error_inside(name: str) -> None:
    with pytest.raises(ZeroDivisionError), locks.simple(name, lease_seconds=10):
        raise ZeroDivisionError
    with locks.simple(name, lease_seconds=10):
        pass


def test_a_lock_without_a_lease_is_renewed_past_three_of_them(name: str, short_lease: float) -> None:
    with locks.simple(name) as lock:
        until = time.monotonic() + 3.5 * short_lease
        while time.monotonic() < until:
            lock.check()
            with pytest.raises(NotAcquired), locks.simple(name):
                pytest.fail("two hold the lock")
        assert not lock.lost.is_set()


def test_what_a_thread_left_behind_is_not_renewed_for_ever(name: str, short_lease: float) -> None:
    crowds.at_once(lambda: locks.simple(name).__enter__())
    with locks.simple(name, wait_seconds=20):
        pass


def test_a_simple_lock_is_not_given_to_its_holder_again(name: str) -> None:
    with locks.simple(name), pytest.raises(NotAcquired), locks.simple(name):
        pytest.fail("taken twice")


def test_a_reentrant_lock_is_free_when_its_first_block_ends(name: str) -> None:
    def count() -> int:
        return next((lock.count for lock in locks.held() if lock.name == name), 0)

    with locks.reentrant(name) as outer:
        with locks.reentrant(name) as inner:
            assert inner is outer
            assert count() == 2
            with locks.reentrant(name):
                assert count() == 3
        assert count() == 1
        with crowds.pool(1) as pool, pytest.raises(NotAcquired):
            pool.submit(lambda: locks.reentrant(name).__enter__()).result()
        outer.check()
    assert count() == 0
    with locks.reentrant(name) as later:
        assert later.fencing_token > outer.fencing_token


def test_one_reentrant_lock_object_can_be_entered_again_and_is_free_at_the_end(name: str) -> None:
    lock = locks.reentrant(name)
    with lock as outer:
        with lock, lock as inner:
            assert inner is outer
        outer.check()
        assert [held.count for held in locks.held() if held.name == name] == [1]
    assert locks.current(name) is None
    with locks.simple(name):
        pass


def test_one_lock_object_in_two_threads_frees_only_what_each_of_them_took(name: str) -> None:
    lock = locks.simple(name)

    def fail_to_take() -> None:
        with pytest.raises(NotAcquired), lock:
            pytest.fail("taken twice")

    with lock as hold:
        crowds.at_once(fail_to_take)
        hold.check()
        with pytest.raises(NotAcquired), locks.simple(name):
            pytest.fail("the other thread has freed it")
        with pytest.raises(RuntimeError, match="did not take it"):
            crowds.at_once(lambda: lock.__exit__())
        hold.check()
    with locks.simple(name):
        pass


def test_one_lock_object_in_two_tasks_frees_only_what_each_of_them_took(name: str) -> None:
    lock, entered = locks.simple(name), asyncio.Event()

    async def hold_it() -> None:
        with lock as hold:
            entered.set()
            await asyncio.sleep(0)
            hold.check()
            assert [held.owner for held in locks.held() if held.name == name] == [hold.owner]

    async def try_it() -> None:
        await entered.wait()
        with pytest.raises(NotAcquired), lock:
            pytest.fail("taken twice")

    async def both() -> None:
        await asyncio.gather(hold_it(), try_it())

    asyncio.run(both())
    assert locks.current(name) is None


def test_two_tasks_of_one_thread_are_two_owners(name: str) -> None:
    async def take() -> str:
        with locks.reentrant(name) as lock:
            await asyncio.sleep(0)
            return lock.owner

    async def both() -> tuple[str | BaseException, str | BaseException]:
        return await asyncio.gather(take(), take(), return_exceptions=True)

    first, second = asyncio.run(both())
    assert isinstance(first, str)
    assert isinstance(second, NotAcquired)


def test_as_a_decorator_each_call_takes_the_lock_anew(name: str) -> None:
    @locks.simple(name)
    def add(a: int, b: int) -> int:
        hold = locks.current(name)
        assert hold
        assert not hold.is_lost
        return a + b

    @locks.simple(name)
    async def add_later(a: int, b: int) -> int:
        await asyncio.sleep(0)
        assert locks.current(name)
        return a + b

    assert (add(1, b=2), add(3, b=4)) == (3, 7)
    assert asyncio.run(add_later(1, b=2)) == 3
    assert locks.current(name) is None
    with locks.simple(name), pytest.raises(NotAcquired):
        add(1, 2)


def test_held_locks_are_listed_with_owner_age_token_and_waiters(name: str) -> None:
    with locks.simple(name, lease_seconds=30) as lock:
        server.take(name, holder="waits", owner="test", lease_ms=1000, waits=True)
        (listed,) = [held for held in locks.held() if held.name == name]
    assert listed.owner == lock.owner
    assert threading.current_thread().name in listed.owner
    assert listed.fencing_token == lock.fencing_token
    assert 0 <= listed.age_seconds < 5
    assert 20 < listed.lease_seconds <= 30
    assert (listed.count, listed.waiters) == (1, 1)
    assert not [held for held in locks.held() if held.name == name]


def test_a_forced_release_lets_the_next_one_in_and_the_holder_is_told(name: str) -> None:
    with crowds.pool(1) as pool:
        with locks.simple(name) as lock:
            following = locks.simple(name, wait_seconds=10)
            second = pool.submit(following.__enter__)
            poll(lambda: waiters(name) == 1)
            freed = locks.force_release(name)
            assert freed
            assert freed.owner == lock.owner
            assert second.result(10).fencing_token > lock.fencing_token
            assert lock.lost.wait(5)
            with pytest.raises(LockLost):
                lock.check()
        locks.force_release(name)
    assert locks.force_release(name) is None
