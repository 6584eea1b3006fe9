"""What stands in the broker leaves it within a moment; whose turn it is; what room there is for all processes together."""

import threading
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from messaging.providers import useful_threads
from messaging.providers.cache import provider_cache
from messaging.providers.latency import latencies
from messaging.queueing import admission, queue_statistics
from messaging.queueing.drain_rate import FEWEST, DrainRate
from messaging.queueing.fair_queue import FairQueue
from posthaste.lib import redis
from tests import crowds
from tests.builders import make_batch, make_provider, make_tenant

HOLD_SECONDS = 0.6

# --- pace ------------------------------------------------------------------------------------------------------------


def drained(
    drain_rate: DrainRate, per_look: int, *, looks: int, content: int, threads: int = 10, busy: int = 10, start: float = 100.0
) -> int:
    """Let the feeder look ten times a second and return the window in the end."""
    window = 0
    for n in range(looks):
        drain_rate.note(start + n / 10, left=per_look)
        window = drain_rate.adapt(content=content, is_waiting=True, threads=threads, busy=busy, capacity=10_000, hold_seconds=HOLD_SECONDS)
    return window


def test_the_broker_holds_what_leaves_it_within_a_moment() -> None:
    drain_rate = DrainRate()
    assert drained(drain_rate, 20, looks=40, content=50) == pytest.approx(200 * HOLD_SECONDS, rel=0.11)
    assert drain_rate.per_second == pytest.approx(200, rel=0.11)  # a look more or less falls into the last second


def test_while_threads_are_idle_and_the_broker_is_empty_the_window_doubles() -> None:
    windows = []
    drain_rate = DrainRate()
    for n in range(5):
        drain_rate.note(100 + n / 10, left=0)
        windows.append(drain_rate.adapt(content=0, is_waiting=True, threads=10, busy=3, capacity=10_000, hold_seconds=HOLD_SECONDS))
    assert windows == [20, 40, 80, 160, 320]


def test_while_all_threads_are_busy_an_empty_broker_makes_it_grow_a_little() -> None:
    drain_rate = DrainRate()
    first = drain_rate.adapt(content=0, is_waiting=True, threads=10, busy=10, capacity=10_000, hold_seconds=HOLD_SECONDS)
    assert drain_rate.adapt(content=0, is_waiting=True, threads=10, busy=10, capacity=10_000, hold_seconds=HOLD_SECONDS) == first * 1.25


def test_a_rate_that_is_known_from_earlier_is_gone_to_with_the_second_look() -> None:
    drain_rate, windows, last = DrainRate(), [], 0
    for n in range(30):  # nothing waits; single messages go past
        drain_rate.note(100 + n / 10, left=1)
        drain_rate.adapt(content=0, is_waiting=False, threads=10, busy=1, capacity=10_000, hold_seconds=HOLD_SECONDS)
    for n in range(30, 32):
        drain_rate.note(100 + n / 10, left=1)
        window = drain_rate.adapt(
            content=n - 30, is_waiting=True, threads=10, busy=1, capacity=10_000, hold_seconds=HOLD_SECONDS, expected=n * 50.0
        )
        windows.append(window)
    assert windows == [1_500 * HOLD_SECONDS, 2 * 1_500 * HOLD_SECONDS]  # and on from there, as long as the broker is found empty
    for n in range(32, 60):  # but the workers take fifty a second today
        drain_rate.note(100 + n / 10, left=5)
        last = drain_rate.adapt(
            content=500, is_waiting=True, threads=10, busy=10, capacity=10_000, hold_seconds=HOLD_SECONDS, expected=1_500.0
        )
    assert last <= 2 * 50 * HOLD_SECONDS


def test_the_window_is_never_larger_than_the_capacity_and_never_nothing() -> None:
    assert drained(DrainRate(), 100_000, looks=20, content=0) == 10_000
    assert drained(DrainRate(), 0, looks=60, content=20) == FEWEST


def test_while_nobody_works_the_broker_may_hold_its_capacity() -> None:
    assert drained(DrainRate(), 0, looks=3, content=0, threads=0, busy=0) == 10_000


def test_what_was_seen_long_ago_counts_no_more() -> None:
    drain_rate = DrainRate()
    drained(drain_rate, 500, looks=20, content=0)
    drain_rate.note(200.0, left=10_000)
    assert drain_rate.per_second is None


def test_a_rate_is_told_only_after_a_whole_second_was_measured() -> None:
    drain_rate = DrainRate()
    drain_rate.note(100.0, left=0)
    told = []
    for look in range(1, 30):
        drain_rate.note(100.0 + look * 0.06, left=600)  # as when the workers begin with what waited for them
        told.append(drain_rate.told_per_second)
    assert told[:16] == [None] * 16
    assert told[-1] == pytest.approx(10_000, rel=0.11)
    drain_rate.note(200.0, left=0)
    drain_rate.note(200.1, left=1_000)
    assert drain_rate.told_per_second is None, "nothing was measured for a while"


# --- turns -----------------------------------------------------------------------------------------------------------


def test_room_is_shared_by_weight() -> None:
    assert FairQueue[str]().share(300, {"heavy": 2000, "light": 1000}) == {"heavy": 200, "light": 100}


def test_who_went_short_in_one_look_is_first_in_the_next() -> None:
    fair_queue = FairQueue[int]()
    weights = dict.fromkeys(range(50), 1000)
    total: Counter[int] = Counter()
    for _ in range(100):
        total.update(fair_queue.share(7, weights))
    assert sum(total.values()) == 700
    assert max(total.values()) - min(total.values()) <= 2


def test_who_comes_new_does_not_make_up_for_the_time_before() -> None:
    fair_queue = FairQueue[str]()
    for _ in range(100):
        fair_queue.share(100, {"old": 1000})
    assert fair_queue.share(160, {"old": 1000, "new": 1000}) == {"old": 80, "new": 80}


def test_turns_that_were_not_used_do_not_count() -> None:
    fair_queue = FairQueue[str]()
    share = fair_queue.share(100, {"a": 1000, "b": 1000})
    fair_queue.give_back("a", share["a"], 1000)
    assert fair_queue.share(50, {"a": 1000, "b": 1000})["a"] > 25


# --- room ------------------------------------------------------------------------------------------------------------

both = pytest.mark.both_stacks
database = pytest.mark.django_db(transaction=True)


def wait_out_what_was_taken() -> None:
    """Forget what was taken lately, as time does."""
    name = redis.key("admission")
    client: Any = redis.client()
    if taken := [field for field in client.hkeys(name) if field.startswith(b"t") and field != b"total"]:
        client.hdel(name, *taken)


@both
@database
def test_all_processes_together_never_take_more_than_the_capacity() -> None:
    admission.bound(window=1_000, capacity=1_000)
    admission.count()
    granted: Counter[int] = Counter()
    lock = threading.Lock()

    def take(tenant_id: int) -> None:
        admission_control = admission.AdmissionControl()  # as each process has its own
        for _ in range(40):
            got = admission_control.admit(Counter({tenant_id: 13}))
            with lock:
                granted.update(got)

    crowds.at_once(*(partial(take, n + 1) for n in range(8)))
    assert sum(granted.values()) == 1_000
    assert admission.take({admission.FEEDER: 500}) == {admission.FEEDER: 0}


@both
@database
def test_what_was_taken_counts_until_it_must_be_visible_in_the_table() -> None:
    admission.bound(window=100, capacity=10_000)
    admission.count()
    assert admission.take({1: 200}) == {1: 100 + admission.SPARE}
    admission.count()  # the rows are not committed yet
    assert admission.take({1: 1}) == {1: 0}
    make_batch(make_tenant(), queued=100)
    wait_out_what_was_taken()
    admission.count()
    assert admission.take({1: 200, admission.FEEDER: 10}) == {1: admission.SPARE, admission.FEEDER: 0}


@both
@database
def test_beside_a_backlog_there_is_a_spare_for_tenants_that_have_none() -> None:
    admission.bound(window=100, capacity=10_000, behind={7})
    admission.count()
    assert admission.take({admission.FEEDER: 1_000}) == {admission.FEEDER: 100}
    assert admission.take({7: 10, 8: 10}) == {7: 0, 8: 10}


@both
@database
def test_what_the_feeder_gives_back_is_free_again() -> None:
    admission.bound(window=100, capacity=100)
    admission.count()
    assert admission.take({admission.FEEDER: 100}) == {admission.FEEDER: 100}
    admission.give_back(60)
    assert admission.take({admission.FEEDER: 100}) == {admission.FEEDER: 60}


@both
@database
def test_where_nobody_counts_the_door_counts_itself_up_to_the_capacity() -> None:
    make_batch(make_tenant(), queued=30)
    assert admission.AdmissionControl().admit(Counter({1: 20_000})) == {1: 10_000 - 30}


# --- what the providers' caps let work -------------------------------------------------------------------------------


@pytest.fixture
def _no_latencies() -> None:
    redis.client().delete(redis.key("latency"))
    latencies.forget()


def told(provider_id: object, milliseconds: float) -> None:
    redis.client().hset(redis.key("latency"), provider_id.hex, milliseconds)  # type: ignore[attr-defined]
    latencies.forget()


@both
@database
@pytest.mark.usefixtures("_no_latencies")
def test_caps_and_latencies_say_how_many_threads_are_of_use() -> None:
    tenant = make_tenant()
    provider = make_provider(tenant, kind="http", config={"url": "https://gateway.example.com/"}, max_per_second=50)
    route = (tenant.pk, "sms")
    assert useful_threads.useful_threads([route]) is None  # it is not known yet how long a call takes
    told(provider.pk, 200)
    assert useful_threads.useful_threads([route]) == 50 * 0.2 * 1.2 + 1
    assert useful_threads.useful_threads([]) is None
    provider.max_at_once = 5
    provider.save()
    provider_cache.forget()
    assert useful_threads.useful_threads([route], processes=3) == 5 * 1.2 + 1, "a cap at once is that of all processes together"


@both
@database
@pytest.mark.usefixtures("_no_latencies")
def test_one_provider_without_a_cap_is_enough_for_as_many_threads_as_there_are() -> None:
    tenant = make_tenant()
    for cap in (50, None):
        made = make_provider(tenant, kind="http", config={"url": "https://gateway.example.com/"}, max_per_second=cap)
        told(made.pk, 200)
    assert useful_threads.useful_threads([(tenant.pk, "sms")]) is None


@both
@database
def test_a_feeder_that_is_late_does_not_make_the_pool_forget_the_caps() -> None:
    queue_statistics.measure(datetime.now(UTC))
    queue_statistics.publish_drain(per_second=4.0, oldest_seconds=7.0, useful_threads=3)
    assert (queue_statistics.latest().per_second, queue_statistics.latest().useful_threads) == (4.0, 3)
    redis.client().delete(redis.key("drain"))  # as after its three seconds
    assert (queue_statistics.latest().per_second, queue_statistics.latest().useful_threads) == (None, 3)
    queue_statistics.publish_drain(per_second=4.0, oldest_seconds=7.0, useful_threads=None)
    assert queue_statistics.latest().useful_threads is None, "there is no cap any more"


# --- pools that are alive --------------------------------------------------------------------------------------------


@both
def test_pools_are_added_up_until_they_are_silent() -> None:
    redis.client().delete(redis.key("pools", "message.send"))
    names = [f"host:{uuid4().hex[:6]}" for _ in range(2)]
    for name in names:
        queue_statistics.report_pool(name, {"threads": 10, "active_count": 4}, alive_seconds=5)
    assert queue_statistics.live_pools() == queue_statistics.Pools(processes=2, threads=20, busy=8)
    queue_statistics.report_pool(names[0], {"threads": 10, "active_count": 4}, alive_seconds=5)
    redis.client().zadd(redis.key("pools", "message.send"), {names[1]: 1})
    assert queue_statistics.live_pools() == queue_statistics.Pools(processes=1, threads=10, busy=4)
    redis.client().delete(redis.key("pools", "message.send"))
