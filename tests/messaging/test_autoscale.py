"""The customer's rule for the pool: above 80 % ten more, below 20 % five less, between the limits, after a cool-down."""

import pytest

from configcenter.models import ThreadPoolConfig
from messaging.autoscale import Reading, wanted_threads
from messaging.queues import broker_priority
from messaging.services.gauge import Waiting
from messaging.services.retry import RetryPolicy


def reading(waiting: int, **limits: int) -> Reading:
    return Reading(ThreadPoolConfig(name="message.send", **limits), Waiting(in_broker=waiting // 2, due=waiting - waiting // 2))


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


@pytest.mark.parametrize(("ours", "rabbitmq", "redis"), [(0, 0, 9), (5, 5, 4), (9, 9, 0), (10, 10, 0)])
def test_priorities_are_counted_as_each_broker_counts_them(ours: int, rabbitmq: int, redis: int) -> None:
    assert broker_priority(ours, rabbitmq=True) == rabbitmq
    assert broker_priority(ours, rabbitmq=False) == redis


def test_retries_back_off_exponentially_with_jitter_obey_the_provider_and_end_after_three() -> None:
    policy = RetryPolicy(base_seconds=4)
    for attempts, full in ((1, 4), (2, 8), (3, 16)):
        delays = [policy.delay(attempts=attempts).total_seconds() for _ in range(200)]  # type: ignore[union-attr]
        assert full / 2 <= min(delays) < max(delays) <= full
    assert policy.delay(attempts=1, retry_after=120).total_seconds() == 120  # type: ignore[union-attr]
    assert policy.delay(attempts=4) is None
