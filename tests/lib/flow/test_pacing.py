import random
import threading
import time

import pytest

from posthaste.lib import flow, redis
from posthaste.lib.flow import pacing
from posthaste.lib.ids import new_id
from tests import crowds
from tests.builders import poll
from tests.lib.flow.spans import max_in_any_span

pytestmark = pytest.mark.both_stacks
NEVER_REFUSE = 10_000_000


@pytest.fixture
def name() -> str:
    return f"test-{new_id().hex}"


def test_the_first_goes_at_once(name: str) -> None:
    assert flow.reserve(name, count=1, per_second=1, max_wait_ms=0) == 0


@pytest.mark.parametrize(("per_second", "count"), [(1, 1), (10, 1), (100, 1), (1000, 1), (7, 1), (100, 20), (50, 50)])
def test_turns_are_never_closer_than_the_rate_allows(per_second: int, count: int, name: str) -> None:
    began = time.monotonic()
    for turn in range(60):
        wait_ms = flow.reserve(name, count=count, per_second=per_second, max_wait_ms=NEVER_REFUSE)
        earliest = turn * count / per_second
        assert time.monotonic() - began + wait_ms / 1000 >= earliest - 0.000_1, f"turn {turn} comes too soon"
        assert wait_ms / 1000 <= earliest + 0.002, f"turn {turn} waits longer than it must"


def test_many_at_once_share_one_rate(name: str) -> None:
    began = time.monotonic()
    turns: list[float] = []
    lock = threading.Lock()

    def take(_n: int) -> None:
        wait_ms = flow.reserve(name, count=1, per_second=100, max_wait_ms=NEVER_REFUSE)
        with lock:
            turns.append(time.monotonic() - began + wait_ms / 1000)

    with crowds.pool(16) as pool:
        list(pool.map(take, range(300)))
    # A turn is noted after its answer, so never earlier than it is: of n turns the last lies n steps behind the first.
    assert all(turn >= n / 100 - 0.001 for n, turn in enumerate(sorted(turns)))


def test_a_wait_longer_than_allowed_is_told_and_reserves_nothing(name: str) -> None:
    assert flow.reserve(name, count=10, per_second=10, max_wait_ms=0) == 0
    refusals = [flow.reserve(name, count=10, per_second=10, max_wait_ms=100) for _ in range(5)]
    assert all(-1002 <= answer < -100 for answer in refusals), refusals
    waits = [-answer - 1 for answer in refusals]
    assert waits == sorted(waits, reverse=True), "had a refusal reserved a turn, the next one would wait longer"


def test_unused_time_is_not_saved_up_for_a_burst(name: str) -> None:
    flow.reserve(name, count=1, per_second=100, max_wait_ms=0)
    poll(lambda: flow.reserve(name, count=1, per_second=100, max_wait_ms=0) == 0)  # the turn has come again: time has passed
    waits = [flow.reserve(name, count=1, per_second=100, max_wait_ms=NEVER_REFUSE) for _ in range(10)]
    assert waits[-1] >= 80


def test_two_names_have_two_rates(name: str) -> None:
    assert flow.reserve(name, count=100, per_second=1, max_wait_ms=0) == 0
    assert flow.reserve(f"{name}-other", count=1, per_second=1, max_wait_ms=0) == 0


def test_whoever_wakes_late_does_not_bring_more_into_a_second_than_the_rate(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    went = redis.key(name, "went")
    noted = pacing.RESERVE.replace(
        "    return 0\n", f"    for _ = 1, count do redis.call('RPUSH', '{went}', string.format('%.0f', now_us)) end\n    return 0\n"
    )
    assert noted != pacing.RESERVE
    monkeypatch.setattr(pacing, "RESERVE", noted)
    until = time.monotonic() + 2.2

    def send(number: int) -> None:
        late = random.Random(number)
        while time.monotonic() < until:
            wait_ms = flow.reserve(name, count=1, per_second=50, max_wait_ms=NEVER_REFUSE)
            flow.take_turn(name, count=1, per_second=50, wait_ms=wait_ms and wait_ms + late.randrange(0, 150))

    with crowds.pool(12) as pool:
        list(pool.map(send, range(12)))
    taken = sorted(int(at) for at in redis.client().lrange(went, 0, -1))
    redis.client().delete(went)
    assert max_in_any_span(taken, 1_000_000) <= 50
    assert len(taken) >= 0.9 * 50 * (taken[-1] - taken[0]) / 1_000_000


def test_a_lot_larger_than_the_rate_goes_when_nothing_went(name: str) -> None:
    assert flow.reserve(name, count=100, per_second=10, max_wait_ms=0) == 0
    assert flow.reserve(name, count=1, per_second=10, max_wait_ms=0) < 0


def test_while_redis_is_away_the_threads_of_a_process_share_its_part_of_the_rate(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    flow.reserve(name, count=1, per_second=1, max_wait_ms=0)
    monkeypatch.setattr(pacing._known, "processes", 4)
    waits = [flow.reserve_alone(name, count=1, per_second=100, max_wait_ms=NEVER_REFUSE) for _ in range(11)]
    assert 390 <= waits[-1] <= 400
    assert flow.reserve_alone(name, count=1, per_second=100, max_wait_ms=100) < -100
