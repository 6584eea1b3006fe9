"""How a batch gets on: its sentence, its pace, and where its messages spend their time."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Tenant
from messaging import selectors
from messaging.delivery.deliver import deliver
from messaging.explain import batch as explain
from messaging.explain.batch import Report, percentiles
from messaging.models import Batch, BatchStatus, Message, Status
from messaging.queueing import operate, queue_statistics
from posthaste.lib import redis
from posthaste.lib.queues import SEND
from tests.builders import TESTER, json_of, make_api, make_batch, make_message, make_provider, make_tenant
from tracing import selectors as traces
from tracing.services.tally import tally

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


@pytest.fixture(autouse=True)
def _no_pools() -> None:
    redis.client().delete(redis.key("pools", SEND))


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def worker() -> Iterator[None]:
    queue_statistics.report_pool("worker-1", {"threads": 10, "active_count": 1}, alive_seconds=30)
    yield
    queue_statistics.forget_pool("worker-1")


def report(batch: Batch) -> Report:
    batch.refresh_from_db()
    return explain.report(batch, selectors.batch_counts([batch])[batch.pk], now=timezone.now())


def put_off(tenant: Tenant, batch: Batch, code: str, number: int = 3, **fields: Any) -> None:
    due = timezone.now() + timedelta(minutes=5)
    for _ in range(number):
        make_message(tenant, batch=batch, due_at=due, error_code=code, **fields)
    Batch.objects.filter(pk=batch.pk).update(accepted=number)


@pytest.mark.parametrize(
    ("status", "counts", "code"),
    [
        (BatchStatus.FINISHED, {"sent": 3}, "finished"),
        (BatchStatus.FINISHED, {"sent": 2, "failed": 1}, "finished_dead"),
        (BatchStatus.PAUSED, {"pending": 2}, "paused"),
        (BatchStatus.CANCELLED, {"cancelled": 2, "pending": 1}, "cancelled"),
        (BatchStatus.RUNNING, {"sent": 3, "pending": 2}, "running"),
        (BatchStatus.RUNNING, {"pending": 2}, "no_worker"),
    ],
)
def test_a_batch_says_in_one_sentence_where_it_is(tenant: Tenant, status: str, counts: dict[str, int], code: str) -> None:
    found = report(make_batch(tenant, status=status, channel="sms", **counts)).answer
    assert found.code == code
    assert str(found)


def test_one_that_is_scheduled_says_until_when(tenant: Tenant) -> None:
    batch = make_batch(tenant, pending=2)
    Batch.objects.update(send_at=timezone.now() + timedelta(hours=2))
    found = report(batch).answer
    assert (found.code, found.until) == ("scheduled", Batch.objects.get().send_at)


@pytest.mark.parametrize(
    ("code", "answer", "says"),
    [
        ("breaker:Main gateway", "breaker", "3 messages wait for the breaker of Main gateway"),
        ("rule:quiet:night", "rule", "3 messages are put off by the rule night"),
        ("http_503", "retry", "3 messages failed with http_503 and are tried again"),
    ],
)
def test_one_that_stands_still_says_why(tenant: Tenant, worker: None, code: str, answer: str, says: str) -> None:
    batch = make_batch(tenant)
    put_off(tenant, batch, code)
    found = report(batch).answer
    assert found.code == answer
    assert says in str(found)


def test_one_whose_messages_are_due_waits_for_its_turn(tenant: Tenant, worker: None) -> None:
    assert report(make_batch(tenant, pending=2)).answer.code == "turn"


def test_rate_and_time_left_are_those_of_the_last_half_minute(tenant: Tenant) -> None:
    batch = make_batch(tenant, sent=6, pending=3)
    Batch.objects.update(created_at=timezone.now() - timedelta(seconds=20))
    pace = report(batch).pace
    assert pace.left == 3
    assert 0.25 <= pace.per_second <= 0.31
    assert pace.left_seconds is not None
    assert 9 <= pace.left_seconds <= 12


def test_the_percentiles_of_each_node_come_from_rows_and_traces(tenant: Tenant) -> None:
    make_provider(tenant, config={"latency_ms": 20, "keep_outbox": False})
    batch = make_batch(tenant)
    now = timezone.now()
    rows = [make_message(tenant, status=Status.QUEUED, batch=batch, at=now - timedelta(seconds=2)) for _ in range(4)]
    Batch.objects.update(accepted=4)
    deliver([row.pk for row in rows])
    first = Message.objects.order_by("pk")[0]
    Message.objects.filter(pk=first.pk).update(status=Status.DELIVERED, finished_at=first.sent_at + timedelta(seconds=5))  # type: ignore[operator]
    nodes = {node["name"]: node for node in report(batch).nodes}
    assert nodes["queue"]["messages"] == nodes["send"]["messages"] == nodes["until_sent"]["messages"] == 4
    assert nodes["queue"]["p50_ms"] >= 2_000
    assert nodes["send"]["p50_ms"] >= 20
    assert nodes["callback"]["p99_ms"] == 5_000
    answered = json_of(make_api(tenant).get(f"/api/batches/{batch.pk}/progress/"))
    assert answered["nodes"][0]["p50_ms"] >= 2_000
    assert answered["answer"]["code"] == "finished"


def test_percentiles_are_by_the_nearest_rank() -> None:
    assert percentiles(list(range(1, 101))) == {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99}
    assert percentiles([7]) == {"p50_ms": 7, "p95_ms": 7, "p99_ms": 7}
    assert percentiles([]) == {"p50_ms": None, "p95_ms": None, "p99_ms": None}


def test_pausing_a_batch_is_told_in_the_traces_of_what_was_taken_back(tenant: Tenant) -> None:
    batch = make_batch(tenant, queued=2, pending=1)
    operate.pause_batch(batch=batch, by=TESTER)
    tally.flush()
    told = [[(event.code, event.words) for event in found] for found in traces.events_of(list(batch.messages.values_list("pk", flat=True)))]
    assert sorted(told) == [[], [("B", ("paused",))], [("B", ("paused",))]]
