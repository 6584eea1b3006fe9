"""Figures over days that add up, and figures of this moment in the shape integrators read."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Tenant
from messaging import statistics
from messaging.configuration import queues
from messaging.models import IN_PROGRESS, Status
from messaging.queueing import broker, queue_statistics
from messaging.storage import tallies
from posthaste import env
from posthaste.lib import redis
from posthaste.lib.queues import NAMES
from tests.builders import Api, configure, json_of, make_api, make_message, make_tenant
from tracing.services.record import count, sent_within

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return make_api(tenant)


@pytest.fixture
def live_figures_are_clean() -> None:
    """Figures in Redis that another test left behind."""
    client = redis.client()
    for pattern in ("pool", "n"):
        if names := list(client.scan_iter(match=redis.key(pattern, "*"))):
            client.delete(*names)
    client.delete(redis.key("waiting"), redis.key("pools", "message.send"))
    broker.declare()


# --- days ------------------------------------------------------------------------------------------------------------

STATES = {
    "pending": 3,
    "queued": 1,
    "sending": 1,
    "sent": 4,
    "delivered": 5,
    "unknown": 1,
    "failed": 2,
    "suppressed": 1,
    "cancelled": 1,
    "expired": 1,
}


def test_the_day_adds_up(tenant: Tenant) -> None:
    for status, number in STATES.items():
        for n in range(number):
            make_message(tenant, status=status, channel="email" if n % 2 else "sms", at=NOON)
    today = statistics.overview(tenant_id=tenant.pk, now=NOON)["today"]
    assert today["by_state"] == STATES
    assert today["total"] == sum(STATES.values()) == sum(channel["total"] for channel in today["by_channel"].values())
    assert today["in_progress"] == sum(STATES[status] for status in IN_PROGRESS)
    for channel in today["by_channel"].values():
        assert channel["total"] == sum(channel.get(status, 0) for status in Status.values)
    assert today["success_rate"] == 75.0  # 9 of the 12 that were tried to the end


def test_days_are_days_in_utc(tenant: Tenant) -> None:
    midnight = NOON.replace(hour=0)
    for at in (midnight - timedelta(days=1), midnight - timedelta(milliseconds=1), midnight, NOON, midnight + timedelta(days=1)):
        make_message(tenant, status=Status.SENT, at=at)
    make_message(tenant, status=Status.SENT, at=midnight - timedelta(days=1, milliseconds=1))
    shown = statistics.overview(tenant_id=tenant.pk, now=NOON.astimezone(UTC))
    assert (shown["yesterday"]["total"], shown["today"]["total"]) == (2, 2)


def test_an_empty_day_has_no_rate_and_no_latency(tenant: Tenant) -> None:
    today = statistics.overview(tenant_id=tenant.pk, now=NOON)["today"]
    assert (today["total"], today["success_rate"], today["by_channel"]) == (0, None, {})
    assert today["by_state"] == dict.fromkeys(Status.values, 0)
    assert today["latency_ms"] == {"p50": None, "p90": None, "p95": None, "p99": None, "max": None}


@pytest.mark.parametrize(
    ("latencies", "expected"),
    [
        ([5], {"p50": 5, "p90": 5, "p95": 5, "p99": 5, "max": 5}),
        ([15, 20, 35, 40, 50], {"p50": 35, "p90": 50, "p95": 50, "p99": 50, "max": 50}),
        (list(range(1, 101)), {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}),
        ([10, 20], {"p50": 10, "p90": 20, "p95": 20, "p99": 20, "max": 20}),
        ([0, 0, 0, 127], {"p50": 0, "p90": 127, "p95": 127, "p99": 127, "max": 127}),
    ],
)
def test_percentiles_are_by_nearest_rank(latencies: list[int], expected: dict[str, int], tenant: Tenant) -> None:
    for value in reversed(latencies):
        make_message(tenant, status=Status.SENT, latency_ms=value)
    make_message(tenant)  # not sent, so not counted
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    found = tallies.by_latency(now - timedelta(hours=1), now + timedelta(hours=1), tenant.pk)
    assert statistics.latency_percentiles(found) == expected


def test_what_is_scheduled_is_counted_apart(tenant: Tenant) -> None:
    make_message(tenant, at=NOON, due_at=NOON + timedelta(hours=3))
    make_message(tenant, at=NOON)
    assert statistics.overview(tenant_id=tenant.pk, now=NOON)["scheduled"] == 1


def test_each_tenant_has_figures_of_its_own(tenant: Tenant) -> None:
    other = make_tenant("Other")
    make_message(tenant, status=Status.SENT, at=NOON)
    make_message(other, status=Status.FAILED, at=NOON)
    assert statistics.overview(tenant_id=tenant.pk, now=NOON)["today"]["success_rate"] == 100.0
    assert statistics.overview(tenant_id=other.pk, now=NOON)["today"]["success_rate"] == 0.0
    assert statistics.overview(tenant_id=None, now=NOON)["today"]["total"] == 2


@pytest.mark.parametrize("path", ["/api/messages/statistics/overview", "/api/messages/statistics/overview/"])
def test_the_overview_is_answered_over_the_api(path: str, api: Api, tenant: Tenant) -> None:
    make_message(tenant, status=Status.SENT)
    shown = json_of(api.get(path))
    assert set(shown) == {"as_of", "today", "yesterday", "scheduled", "deferred"}
    assert set(shown["today"]) == {"total", "in_progress", "by_state", "by_channel", "success_rate", "latency_ms"}
    assert shown["today"]["by_channel"]["sms"] == {"total": 1, "success_rate": 100.0, "sent": 1}


def test_the_overview_costs_a_constant_number_of_queries(api: Api, tenant: Tenant, django_assert_max_num_queries: Any) -> None:
    for channel in ("sms", "email", "push"):
        for status in Status.values:
            make_message(tenant, status=status, channel=channel)
    api.get("/api/me/")
    with django_assert_max_num_queries(16):
        api.get("/api/messages/statistics/overview")


# --- this moment ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("live_figures_are_clean")
@pytest.mark.parametrize("path", ["/api/messages/statistics/realtime", "/api/messages/statistics/realtime/"])
def test_realtime_has_the_shape_integrators_read(path: str, api: Api) -> None:
    shown = json_of(api.get(path))
    assert list(shown["queues"]) == list(NAMES) == ["message.send", "ai.process", "notification", "delayed"]
    for queue in shown["queues"].values():
        assert queue["capacity"] == 10_000
        assert queue["depth"] is not None
        assert queue["usage_percent"] is not None
    assert {"active_count", "queue_size", "completed_tasks", "queue_usage_percent"} <= set(shown["pool"])
    assert {"accepted", "sent", "delivered", "failed"} <= set(shown["rates_per_second"])
    assert len(shown["series"]) == 60
    assert shown["pools"] == []


@pytest.mark.usefixtures("live_figures_are_clean")
def test_pools_show_what_their_workers_told_and_their_sum(api: Api) -> None:
    figures = {
        "threads": 10,
        "active_count": 4,
        "completed_tasks": 100,
        "queue_size": 50,
        "queue_usage_percent": 0.5,
        "min_threads": 10,
        "max_threads": 100,
    }
    for instance in ("a:1", "b:2"):
        queue_statistics.report_pool(instance, {"instance": instance, **figures}, alive_seconds=30)
    shown = json_of(api.get("/api/messages/statistics/realtime"))
    assert shown["pools"] == [{"queue": "message.send", "instance": number, **figures} for number in ("1", "2")], "no names of hosts"
    assert shown["pool"] == {"threads": 20, "active_count": 8, "queue_size": 50, "completed_tasks": 200, "queue_usage_percent": 0.5}


@pytest.mark.usefixtures("live_figures_are_clean")
def test_the_send_queue_counts_recipients_in_broker_and_database(api: Api) -> None:
    configure(queues, queue_capacity=1000)
    redis.client().set(redis.key("waiting"), "400 350 0", ex=30)
    queue = json_of(api.get("/api/messages/statistics/realtime"))["queues"]["message.send"]
    assert {name: queue[name] for name in ("depth", "capacity", "usage_percent", "in_broker", "waiting_in_database")} == {
        "depth": 750, "capacity": 1000, "usage_percent": 75.0, "in_broker": 400, "waiting_in_database": 350,
    }  # fmt: skip


@pytest.mark.usefixtures("live_figures_are_clean")
def test_rates_are_those_of_the_last_ten_whole_seconds_and_of_the_tenant(tenant: Tenant) -> None:
    now = timezone.now().replace(microsecond=0)
    pipeline = redis.client().pipeline()
    for seconds_ago, number in ((1, 30), (10, 20), (11, 999), (0, 999)):
        count(pipeline, now - timedelta(seconds=seconds_ago), {(tenant.pk, "sms", sent_within(40)): number})
    count(pipeline, now - timedelta(seconds=1), {(tenant.pk + 1, "sms", "sent"): 100})
    pipeline.execute()
    shown = statistics.realtime(tenant_id=tenant.pk, now=now)
    assert shown["rates_per_second"]["sent"] == 5.0
    assert shown["series"][-1] == {"second": int(now.timestamp()) - 1, **dict.fromkeys(shown["rates_per_second"], 0), "sent": 30}
    assert statistics.realtime(tenant_id=None, now=now)["rates_per_second"]["sent"] == 15.0


@pytest.fixture
def redis_is_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Points this process at a port without a listener."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9/0")
    monkeypatch.setenv("BROKER_URL", env.load().broker_url)
    env.load.cache_clear()
    redis.client.cache_clear()
    yield
    monkeypatch.undo()
    env.load.cache_clear()
    redis.client.cache_clear()


@pytest.mark.usefixtures("redis_is_away")
def test_while_redis_is_away_live_figures_are_unavailable_and_say_when_to_come_back(api: Api) -> None:
    answer = api.get("/api/messages/statistics/realtime")
    assert (answer.status_code, answer["Content-Type"], answer["Retry-After"]) == (503, "application/problem+json", "2")


@pytest.mark.usefixtures("redis_is_away")
def test_while_redis_is_away_days_messages_and_traces_are_answered_all_the_same(api: Api, tenant: Tenant) -> None:
    message = make_message(tenant, status=Status.SENT)
    assert api.get("/api/messages/statistics/overview").status_code == 200
    assert json_of(api.get(f"/api/messages/{message.pk}/trace/"))["source"] == "message"
    answer = api.post("/api/messages/", {"channel": "sms", "recipient": "+8613812345678", "body": "Hi"})
    assert answer.status_code == 202
