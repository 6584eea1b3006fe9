"""The customer's rule for the pool: above 80 % ten more, below 20 % five less, between the limits, after a cool-down."""

import pytest

from configcenter.hot import Applied
from messaging.configuration import retry_policy
from messaging.configuration.pools import ThreadPools
from messaging.delivery import retry
from messaging.queueing.autoscale import Reading, decide, wanted_threads
from messaging.queueing.queue_statistics import QueueStatistics
from posthaste.lib.queues import broker_priority


def reading(waiting: int, **limits: int) -> Reading:
    return Reading(ThreadPools(**limits), QueueStatistics(in_broker=waiting // 2, due=waiting - waiting // 2))


@pytest.mark.parametrize(
    ("waiting", "threads", "wanted"),
    [
        (8_001, 10, 20),  # above 80 % of 10,000
        (8_000, 10, 10),  # not above
        (50_000, 95, 100),  # never beyond the most
        (1_999, 50, 45),  # below 20 %
        (2_000, 50, 50),
        (0, 12, 10),  # never below the fewest
    ],
)
def test_the_pool_steps_by_usage(waiting: int, threads: int, wanted: int) -> None:
    assert wanted_threads(reading(waiting), threads, rested=True) == wanted


def test_no_step_is_taken_during_the_cool_down_but_limits_hold_at_once() -> None:
    assert wanted_threads(reading(50_000), 10, rested=False) == 10
    assert wanted_threads(reading(50_000, max_threads=30), 80, rested=False) == 30
    assert wanted_threads(reading(0, min_threads=40), 10, rested=False) == 40


def slow(
    due: int, *, per_second: float | None, oldest: float = 0.0, useful: int | None = None, processes: int = 1, **limits: int
) -> Reading:
    waiting = QueueStatistics(due=due, per_second=per_second, oldest_seconds=oldest, useful_threads=useful)
    return Reading(ThreadPools(**limits), waiting, processes)


@pytest.mark.parametrize(
    ("reading", "threads", "wanted"),
    [
        (slow(2_100, per_second=200), 10, 20),  # 21 % of the queue, but it takes 10.5 s
        (slow(2_000, per_second=200), 10, 10),
        (slow(300, per_second=11.7), 10, 20),  # 3 %, and 26 s
        (slow(1, per_second=0), 10, 20),  # nothing leaves at all
        (slow(300, per_second=11.7, grow_above_drain_seconds=0), 10, 10),  # not looked at
        (slow(5, per_second=200, oldest=11), 10, 20),  # few, but one has waited for long
        (slow(5, per_second=200, oldest=11, grow_above_age_seconds=0), 10, 10),
    ],
)
def test_the_pool_grows_when_what_waits_takes_too_long_however_little_it_is(reading: Reading, threads: int, wanted: int) -> None:
    assert wanted_threads(reading, threads, rested=True) == wanted


@pytest.mark.parametrize(
    ("reading", "busy", "wanted"),
    [
        (slow(800, per_second=1_000), 0, 45),  # drains within a second, with fewer threads too
        (slow(1_000, per_second=200), 0, 50),  # within 5 s; with 45 threads it would take longer
        (slow(0, per_second=None), 0, 45),
        (slow(0, per_second=100), 45, 45),
        (slow(0, per_second=100), 46, 50),  # nothing waits because 46 threads are at work; a step is a whole step
        (slow(0, per_second=100), 50, 50),
    ],
)
def test_the_pool_does_not_shrink_below_what_the_work_needs(reading: Reading, busy: int, wanted: int) -> None:
    assert wanted_threads(reading, 50, rested=True, busy=busy) == wanted


def test_the_pool_does_not_grow_past_what_the_providers_caps_let_through() -> None:
    assert wanted_threads(slow(50_000, per_second=50, useful=14), 10, rested=True) == 14
    assert wanted_threads(slow(50_000, per_second=50, useful=3), 10, rested=True) == 10  # never below the fewest
    assert wanted_threads(slow(50_000, per_second=50, useful=60, processes=4), 10, rested=True) == 15  # each its share
    assert wanted_threads(slow(50_000, per_second=50, useful=60), 100, rested=True) == 95  # a cap came: down in steps
    assert wanted_threads(slow(50_000, per_second=50, useful=60), 100, rested=False) == 100


@pytest.mark.parametrize(("ours", "rabbitmq", "redis"), [(0, 0, 9), (5, 5, 4), (9, 9, 0), (10, 10, 0)])
def test_priorities_are_counted_as_each_broker_counts_them(ours: int, rabbitmq: int, redis: int) -> None:
    assert broker_priority(ours, rabbitmq=True) == rabbitmq
    assert broker_priority(ours, rabbitmq=False) == redis


def test_retries_back_off_exponentially_with_jitter_obey_the_provider_and_end_after_three() -> None:
    with retry_policy.set(base_seconds=4):
        for attempts, full in ((1, 4), (2, 8), (3, 16)):
            delays = [retry.delay(tenant_id=1, attempts=attempts).total_seconds() for _ in range(200)]  # type: ignore[union-attr]
            assert full / 2 <= min(delays) < max(delays) <= full
        assert retry.delay(tenant_id=1, attempts=1, retry_after=120).total_seconds() == 120  # type: ignore[union-attr]
        assert retry.delay(tenant_id=1, attempts=4) is None


def test_the_retry_policy_in_force_counts_with_the_overrides_of_a_tenant() -> None:
    patient = retry_policy.value.model_copy(update={"max_retries": 5})
    retry_policy.swap(Applied(retry_policy.value, by_tenant={7: patient}))
    assert retry.delay(tenant_id=7, attempts=5) is not None
    assert retry.delay(tenant_id=8, attempts=5) is None
    with retry_policy.set(max_retry_after_seconds=60):
        assert retry.delay(tenant_id=8, attempts=1, retry_after=3600).total_seconds() == 60  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("reading", "threads", "decision"),
    [
        (reading(8_001), 10, (20, "usage")),
        (slow(300, per_second=11.7), 10, (20, "drain")),
        (slow(5, per_second=200, oldest=11), 10, (20, "age")),
        (reading(0), 50, (45, "idle")),
        (slow(300, per_second=11.7, useful=12), 40, (35, "cap")),
        (reading(5_000, max_threads=30), 80, (30, "limits")),
        (reading(5_000), 50, (50, "")),
    ],
)
def test_every_decision_has_its_reason(reading: Reading, threads: int, decision: tuple[int, str]) -> None:
    assert decide(reading, threads, rested=True) == decision
