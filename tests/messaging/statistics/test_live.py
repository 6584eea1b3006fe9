"""What open pages show each second, from the counters of the last quarter of an hour."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from messaging.queueing import queue_statistics
from messaging.statistics.live import STEP, STEPS, BrokerDepths, LiveFigures
from messaging.statistics.rollups import roll_up
from posthaste.lib import redis
from tests.builders import poll
from tracing.services.record import count, sent_within

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
NOW = datetime(2026, 5, 6, 12, 0, 3, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_counters() -> Iterator[None]:
    def clean() -> None:
        if names := [*redis.client().scan_iter(match=redis.key("n", "*")), *redis.client().scan_iter(match=redis.key("pool*"))]:
            redis.client().delete(*names)
        redis.client().delete(redis.key("waiting"))

    clean()
    yield
    clean()


def happened(at: datetime, tenant: int, **events: int) -> None:
    pipeline = redis.client().pipeline()
    count(pipeline, at, {(tenant, "sms", event): number for event, number in events.items()})
    pipeline.execute()


def figures() -> LiveFigures:
    return LiveFigures(dict)


def test_the_last_quarter_of_an_hour_stands_in_steps_of_five_seconds() -> None:
    happened(NOW - timedelta(minutes=14), 1, accepted=7)
    happened(NOW - timedelta(minutes=16), 1, accepted=1_000)
    happened(NOW - timedelta(seconds=1), 1, accepted=3)
    live = figures()
    live.look(NOW)
    points = live.points(1)
    assert list(points) == list(range(int(NOW.timestamp()) // STEP * STEP - (STEPS - 1) * STEP, int(NOW.timestamp()) + 1, STEP))
    assert {at: point["events"] for at, point in points.items() if point["events"]} == {
        int((NOW - timedelta(minutes=14)).timestamp()) // STEP * STEP: {"accepted": 7},
        int(NOW.timestamp()) // STEP * STEP: {"accepted": 3},
    }


def test_a_later_look_reads_what_was_counted_late_and_keeps_the_rest() -> None:
    live = figures()
    happened(NOW - timedelta(minutes=5), 1, accepted=7)
    live.look(NOW)
    redis.client().delete(redis.key("n", int((NOW - timedelta(minutes=5)).timestamp())))
    happened(NOW - timedelta(seconds=4), 1, accepted=2)
    live.look(NOW + timedelta(seconds=1))
    assert sum(point["events"]["accepted"] for point in live.points(1).values()) == 9
    assert len(live.points(1)) == STEPS


@pytest.mark.parametrize("pause", [30, 400, 5_000])
def test_a_look_after_a_pause_leaves_no_hole(pause: int) -> None:
    live = figures()
    live.look(NOW)
    happened(NOW + timedelta(seconds=pause - 20), 1, accepted=4)
    live.look(NOW + timedelta(seconds=pause))
    begins = list(live.points(1))
    assert begins == list(range(begins[0], begins[0] + STEPS * STEP, STEP))
    assert sum(point["events"]["accepted"] for point in live.points(1).values()) == 4


def test_each_tenant_has_figures_of_its_own_and_all_together_too() -> None:
    pipeline = redis.client().pipeline()
    second = NOW - timedelta(seconds=1)
    count(pipeline, second, {(1, "sms", sent_within(50)): 90, (1, "sms", "failed"): 10, (2, "email", sent_within(4_000)): 100})
    pipeline.execute()
    live = figures()
    live.look(NOW)
    one, other, both = live.head(1), live.head(2), live.head(None)
    assert [head["success_rate"] for head in (one, other, both)] == [90.0, 100.0, 95.0]
    assert [head["rates_per_second"]["sent"] for head in (one, other, both)] == [9.0, 10.0, 19.0]
    assert one["latency_ms"]["p99"] == pytest.approx(50, rel=0.07)
    assert both["latency_ms"]["p99"] == pytest.approx(4_000, rel=0.07)
    newest = list(live.points(None).values())[-1]
    assert newest["channels"] == {"sms": 90, "email": 100}
    assert live.head(3)["success_rate"] is None


def test_the_queue_and_the_pools_are_those_of_the_installation() -> None:
    redis.client().set(redis.key("waiting"), "400 350 0", ex=30)
    queue_statistics.report_pool("a:1", {**POOL, "instance": "a:1"}, alive_seconds=30)
    live = LiveFigures(lambda: {"notification": 4})
    live.look(NOW)
    head, newest = live.head(1), list(live.points(1).values())[-1]
    assert (head["queues"]["message.send"]["depth"], head["queues"]["notification"]["tasks"], head["pool"]["threads"]) == (750, 4, 30)
    assert (newest["depth"], newest["threads"], newest["busy"]) == (750, 30, 12)


POOL = {"threads": 30, "active_count": 12, "queue_size": 750, "completed_tasks": 9, "queue_usage_percent": 7.5}


def test_without_a_feeder_the_depth_is_unknown_and_not_zero() -> None:
    live = figures()
    live.look(NOW)
    assert live.head(None)["queues"]["message.send"]["depth"] is None


def test_the_past_of_the_queue_comes_from_the_rollups_when_nobody_looked_on() -> None:
    redis.client().set(redis.key("waiting"), "77 0 0", ex=30)
    roll_up(now=NOW - timedelta(minutes=4))
    live = figures()
    live.look(NOW)
    depths = [point["depth"] for point in live.points(None).values()]
    assert depths.count(77) > 1
    assert None in depths


def test_the_past_of_the_queue_has_no_hole_between_two_measurements() -> None:
    redis.client().set(redis.key("waiting"), "77 0 0", ex=30)
    for seconds in range(240, 160, -20):
        roll_up(now=NOW - timedelta(seconds=seconds))
    live = figures()
    live.look(NOW)
    depths = [point["depth"] for point in live.points(None).values()][:-1]  # the last is of now
    first, last = depths.index(77), len(depths) - depths[::-1].index(77)
    assert last - first >= 12
    assert set(depths[first:last]) == {77}


def test_a_broker_that_does_not_answer_delays_nothing() -> None:
    answers, asked = Event(), Event()

    def ask() -> dict[str, int]:
        asked.set()
        assert answers.wait(60)
        return {"delayed": 3}

    depths = BrokerDepths(ask)
    assert depths.latest() == {}
    assert asked.wait(60)
    assert depths.latest() == {}
    answers.set()
    assert poll(depths.latest) == {"delayed": 3}
