"""What happened in each minute and hour, kept after the counters in Redis are gone."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from messaging.models import FlowRollup, QueueRollup
from messaging.queueing import queue_statistics
from messaging.statistics import rollups
from messaging.statistics.history import RANGES, history
from messaging.statistics.rollups import HOUR, MINUTE, TEN_MINUTES, forget, roll_up
from posthaste.env import ROOT
from posthaste.lib import redis
from tests.builders import json_of, make_api, make_tenant
from tests.configcenter.nacos_server import database_url
from tests.crowds import at_once
from tracing.services.record import count, sent_within

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_counters() -> Iterator[None]:
    """No counters, pools or measurements but the test's own."""

    def clean() -> None:
        if names := [*redis.client().scan_iter(match=redis.key("n", "*")), *redis.client().scan_iter(match=redis.key("pool*"))]:
            redis.client().delete(*names)
        redis.client().delete(redis.key("waiting"))

    clean()
    yield
    clean()


def happened(at: datetime, tenant: int, channel: str, **events: int) -> None:
    pipeline = redis.client().pipeline()
    count(pipeline, at, {(tenant, channel, event.replace("_", "/")): number for event, number in events.items()})
    pipeline.execute()


def rows(span: int) -> Counter[tuple[int, str, str]]:
    found: Counter[tuple[int, str, str]] = Counter()
    for row in FlowRollup.objects.filter(span_seconds=span):
        found[row.tenant_id, row.channel, row.event] += row.number
    return found


def everything() -> list[tuple[object, ...]]:
    flows = FlowRollup.objects.order_by("span_seconds", "starts_at", "tenant_id", "channel", "event")
    return [
        *flows.values_list("span_seconds", "starts_at", "tenant_id", "channel", "event", "number", "latency"),
        *QueueRollup.objects.order_by("span_seconds", "starts_at").values_list("span_seconds", "starts_at", "until", "depth", "threads"),
    ]


def test_minutes_add_up_to_ten_minutes_and_hours() -> None:
    for minute in range(12):
        at = NOON + timedelta(minutes=minute, seconds=7)
        happened(at, 1, "sms", accepted=2)
        happened(at, 1, "email", accepted=1, failed=1)
        happened(at, 2, "sms", accepted=5)
        roll_up(now=at + timedelta(seconds=20))
    expected = {(1, "sms", "accepted"): 24, (1, "email", "accepted"): 12, (1, "email", "failed"): 12, (2, "sms", "accepted"): 60}
    assert rows(MINUTE) == rows(TEN_MINUTES) == rows(HOUR) == expected
    assert FlowRollup.objects.filter(span_seconds=MINUTE).values("starts_at").distinct().count() == 12
    assert FlowRollup.objects.filter(span_seconds=TEN_MINUTES).values("starts_at").distinct().count() == 2


def test_a_run_that_is_repeated_changes_nothing() -> None:
    happened(NOON, 1, "sms", accepted=2, failed=1)
    pipeline = redis.client().pipeline()
    count(pipeline, NOON, {(1, "sms", sent_within(40)): 3, (1, "sms", sent_within(900)): 1})
    pipeline.execute()
    now = NOON + timedelta(seconds=30)
    roll_up(now=now)
    once = everything()
    roll_up(now=now)
    assert everything() == once
    at_once(*[lambda: roll_up(now=now)] * 4)
    assert everything() == once
    assert rows(HOUR) == {(1, "sms", "accepted"): 2, (1, "sms", "failed"): 1, (1, "sms", "sent"): 4}


def test_two_runs_at_once_that_are_both_the_first_count_once() -> None:
    for tenant in range(1, 30):
        happened(NOON, tenant, "sms", accepted=tenant)
    at_once(*[lambda: roll_up(now=NOON + timedelta(seconds=20))] * 4)
    assert rows(MINUTE) == rows(HOUR) == {(tenant, "sms", "accepted"): tenant for tenant in range(1, 30)}


def test_what_is_counted_late_is_still_taken_in() -> None:
    happened(NOON + timedelta(seconds=59), 1, "sms", accepted=2)
    roll_up(now=NOON + timedelta(seconds=60))
    happened(NOON + timedelta(seconds=59), 1, "sms", accepted=3)
    roll_up(now=NOON + timedelta(seconds=80))
    assert rows(MINUTE) == rows(HOUR) == {(1, "sms", "accepted"): 5}


def test_minutes_without_a_run_are_made_up_for_while_the_counters_last() -> None:
    roll_up(now=NOON)
    for minute in range(1, 15):
        happened(NOON + timedelta(minutes=minute), 1, "sms", accepted=1)
    roll_up(now=NOON + timedelta(minutes=15))
    assert rows(MINUTE) == rows(HOUR) == {(1, "sms", "accepted"): 14}


def test_what_redis_has_lost_meanwhile_stays_as_it_was_written() -> None:
    happened(NOON, 1, "sms", accepted=10)
    roll_up(now=NOON + timedelta(seconds=10))
    redis.client().delete(redis.key("n", int(NOON.timestamp())))
    happened(NOON + timedelta(seconds=15), 1, "sms", accepted=4)
    roll_up(now=NOON + timedelta(seconds=30))
    assert rows(MINUTE) == rows(HOUR) == {(1, "sms", "accepted"): 10}


HANGS = """
import django, os, sys, time
django.setup()
from messaging.statistics import rollups
def hang(*args):
    print("has written minutes", flush=True)
    time.sleep(600)
rollups._add_up = hang
from datetime import datetime
rollups.roll_up(now=datetime.fromisoformat(sys.argv[1]))
"""


def test_a_run_that_is_killed_leaves_nothing_half_done() -> None:
    happened(NOON, 1, "sms", accepted=7)
    now = NOON + timedelta(seconds=20)
    environment = {**os.environ, "DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "posthaste.settings"}
    process = subprocess.Popen([sys.executable, "-c", HANGS, now.isoformat()], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == "has written minutes"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        process.stdout.close()
    assert everything() == []
    roll_up(now=now)
    assert rows(MINUTE) == rows(TEN_MINUTES) == rows(HOUR) == {(1, "sms", "accepted"): 7}


def test_the_most_that_waited_in_a_minute_is_kept() -> None:
    for seconds, waiting, threads in ((0, 5, 10), (20, 900, 30), (40, 12, 20)):
        redis.client().set(redis.key("waiting"), f"{waiting} 0 0", ex=30)
        pool = {"instance": "a:1", "threads": threads, "active_count": 1}
        queue_statistics.report_pool("a:1", pool, alive_seconds=30)
        roll_up(now=NOON + timedelta(seconds=seconds))
    queue_statistics.forget_pool("a:1")
    for span in (MINUTE, TEN_MINUTES, HOUR):
        row = QueueRollup.objects.get(span_seconds=span)
        assert (row.depth, row.threads, row.until) == (900, 30, NOON + timedelta(seconds=40))


def test_without_a_feeder_the_depth_is_not_known() -> None:
    roll_up(now=NOON)
    assert QueueRollup.objects.get(span_seconds=MINUTE).depth is None


def test_rows_are_removed_when_their_span_is_not_kept_any_longer() -> None:
    happened(NOON, 1, "sms", accepted=1)
    roll_up(now=NOON)
    left = {span: [] for span in rollups.KEPT}  # type: dict[int, list[int]]
    for days in (1, 2, 9, 401):
        forget(now=NOON + timedelta(days=days))
        for span in left:
            left[span].append(FlowRollup.objects.filter(span_seconds=span).count() + QueueRollup.objects.filter(span_seconds=span).count())
    assert left == {MINUTE: [2, 0, 0, 0], TEN_MINUTES: [2, 2, 0, 0], HOUR: [2, 2, 2, 0]}


# --- what the charts read --------------------------------------------------------------------------------------------


def test_a_range_has_a_point_for_each_span_and_says_what_is_not_known() -> None:
    now = NOON + timedelta(minutes=30)
    pipeline = redis.client().pipeline()
    at = now - timedelta(minutes=10)
    count(pipeline, at, {(1, "sms", sent_within(100)): 90, (1, "email", sent_within(3_000)): 10, (1, "sms", "failed"): 25})
    count(pipeline, at, {(2, "sms", sent_within(7)): 1_000})
    pipeline.execute()
    roll_up(now=at + timedelta(seconds=30))
    roll_up(now=now)
    found = history(name="1h", tenant_id=1, now=now)
    assert found["as_of"] == now
    assert [point["at"] for point in found["points"]] == list(range(int(now.timestamp()) - 3600, int(now.timestamp()), 60))
    point = next(point for point in found["points"] if point["at"] == int(at.timestamp()))
    assert point["events"] == {"sent": 100, "failed": 25}
    assert point["channels"] == {"sms": 90, "email": 10}
    assert point["success_rate"] == 80.0
    assert point["latency_ms"] == {
        "p50": pytest.approx(100, rel=0.07),
        "p95": pytest.approx(3_000, rel=0.07),
        "p99": pytest.approx(3_000, rel=0.07),
    }
    before = next(point for point in found["points"] if point["at"] == int(at.timestamp()) - 60)
    assert (before["events"], before["depth"], before["capacity"]) == (None, None, None), "nobody looked"
    assert found["total"]["events"] == {"sent": 100, "failed": 25}
    assert history(name="1h", tenant_id=None, now=now)["total"]["events"] == {"sent": 1_100, "failed": 25}


def test_the_span_that_is_not_over_says_how_much_of_it_was_counted() -> None:
    happened(NOON, 1, "sms", accepted=40)
    roll_up(now=NOON + timedelta(seconds=20))
    last = history(name="15m", tenant_id=1, now=NOON + timedelta(seconds=33))["points"][-1]
    assert (last["events"], last["seconds"]) == ({"accepted": 40}, 20)


def test_a_span_that_has_just_begun_is_left_out() -> None:
    happened(NOON, 1, "sms", accepted=40)
    roll_up(now=NOON + timedelta(seconds=3))
    last = history(name="15m", tenant_id=1, now=NOON + timedelta(seconds=4))["points"][-1]
    assert last["at"] == int(NOON.timestamp()) - 60


@pytest.mark.parametrize("name", RANGES)
def test_a_range_costs_two_queries_whatever_is_in_it(name: str, django_assert_num_queries: object) -> None:
    for tenant in range(1, 6):
        happened(NOON, tenant, "sms", accepted=1, failed=2)
    roll_up(now=NOON + timedelta(seconds=20))
    with django_assert_num_queries(2):  # type: ignore[operator]
        assert history(name=name, tenant_id=None, now=NOON + timedelta(seconds=30))["total"]["events"] == {"accepted": 5, "failed": 10}


def test_without_any_rollup_the_past_is_unknown_and_not_zero() -> None:
    found = history(name="24h", tenant_id=1, now=NOON)
    assert found["as_of"] is None
    assert {str(point["events"]) for point in found["points"]} == {"None"}


def test_the_past_is_answered_over_the_api_for_the_own_tenant() -> None:
    now = timezone.now()
    ours, theirs = make_tenant(), make_tenant("Other")
    happened(now, ours.pk, "sms", accepted=3)
    happened(now, theirs.pk, "sms", accepted=40)
    roll_up(now=now)
    api = make_api(ours)
    shown = json_of(api.get("/api/messages/statistics/history?range=1h"))
    assert (shown["range"], shown["step_seconds"], shown["total"]["events"]) == ("1h", 60, {"accepted": 3})
    assert json_of(api.get("/api/messages/statistics/history/"))["range"] == "1h"
    assert api.get("/api/messages/statistics/history?range=1y").status_code == 422
