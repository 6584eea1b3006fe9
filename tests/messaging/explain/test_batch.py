"""How a batch gets on: its sentence, its pace, and where its messages spend their time."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Self

import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Tenant, User
from messaging import selectors
from messaging.delivery.deliver import deliver
from messaging.explain import batch as explain
from messaging.explain.batch import Report
from messaging.models import Batch, BatchStatus, Message, Status
from messaging.queueing import operate, queue_statistics
from messaging.storage import durations
from posthaste.lib import redis
from posthaste.lib.queues import SEND
from tests.builders import TESTER, json_of, make_api, make_batch, make_message, make_provider, make_tenant
from tracing import selectors as traces
from tracing.services.tally import tally

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


class RowsRead:
    """Counts the rows that queries give back."""

    def __init__(self) -> None:
        self.number = 0
        self.patch = pytest.MonkeyPatch()

    def __enter__(self) -> Self:
        whole = CursorWrapper.__getattr__

        def counted(cursor: Any, name: str) -> Any:
            found = whole(cursor, name)
            if name not in ("fetchmany", "fetchall", "fetchone"):
                return found

            def read(*args: Any) -> Any:
                rows = found(*args)
                self.number += len(rows or ()) if name != "fetchone" else rows is not None
                return rows

            return read

        self.patch.setattr(CursorWrapper, "__getattr__", counted)
        return self

    def __exit__(self, *_: object) -> None:
        self.patch.undo()


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
    assert durations.percentiles(list(range(1, 101))) == [50, 95, 99]
    assert durations.percentiles([7]) == [7, 7, 7]
    assert durations.percentiles([]) == [None, None, None]


@pytest.mark.parametrize("number", [0, 1, 2, 19, 20, 101])
def test_the_database_works_out_the_same_percentiles(tenant: Tenant, number: int) -> None:
    batch, now, drawn = make_batch(tenant), timezone.now(), random.Random(number)
    expected: dict[str, list[int]] = {"queue": [], "callback": [], "until_sent": []}
    for place in range(number):
        waited, took, reported = (drawn.randrange(0, 90_000) for _ in range(3))
        at = now - timedelta(minutes=10)
        claimed_at = at + timedelta(milliseconds=waited)
        sent_at = claimed_at + timedelta(milliseconds=took)
        is_delivered = place % 3 > 0
        make_message(
            tenant,
            batch=batch,
            at=at,
            due_at=at,
            status=Status.DELIVERED if is_delivered else Status.SENT,
            claimed_at=claimed_at,
            sent_at=sent_at,
            finished_at=sent_at + timedelta(milliseconds=reported) if is_delivered else sent_at,
        )
        expected["queue"].append(waited)
        expected["until_sent"].append(waited + took)
        expected["callback"] += [reported] if is_delivered else []
    make_message(tenant, batch=batch)
    make_message(tenant, batch=make_batch(tenant), status=Status.SENT, claimed_at=now, sent_at=now + timedelta(days=1))
    found = durations.of_batch(batch.pk)
    assert found == {name: (len(values), durations.percentiles(values)) for name, values in expected.items()}


def test_what_was_brought_forward_or_scheduled_counts_from_when_it_was_due(tenant: Tenant) -> None:
    batch, now = make_batch(tenant), timezone.now()
    times: dict[str, Any] = {"claimed_at": now, "sent_at": now + timedelta(seconds=1), "status": Status.SENT, "batch": batch}
    make_message(tenant, at=now - timedelta(hours=2), due_at=now - timedelta(seconds=3), **times)
    assert durations.of_batch(batch.pk)["queue"] == (1, [3_000, 3_000, 3_000])
    forward = make_batch(tenant)
    make_message(tenant, at=now - timedelta(seconds=5), due_at=now + timedelta(hours=8), **{**times, "batch": forward})
    assert durations.of_batch(forward.pk)["queue"] == (1, [0, 0, 0])


@pytest.mark.parametrize("column", ["created_at", "due_at", "claimed_at", "sent_at", "finished_at"])
def test_a_time_that_cannot_be_read_leaves_out_its_message_and_not_the_page(tenant: Tenant, column: str) -> None:
    batch = make_batch(tenant, sent=3)
    broken = batch.messages.first()
    assert broken is not None
    value, pk = ("infinity", broken.pk) if connection.vendor == "postgresql" else ("rubbish", broken.pk.hex)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {Message._meta.db_table} SET {column} = %s WHERE id = %s", [value, pk])  # noqa: S608 - a name of ours
    assert durations.of_batch(batch.pk)["until_sent"][0] in (2, 3)


def test_a_large_batch_takes_no_more_queries_and_reads_no_more_rows_than_a_small_one(tenant: Tenant, worker: None) -> None:
    def asked(batch: Batch) -> tuple[int, int]:
        batch.refresh_from_db()
        counts = selectors.batch_counts([batch])[batch.pk]
        with CaptureQueriesContext(connection) as captured, RowsRead() as read:
            explain.report(batch, counts, now=timezone.now())
        return len(captured), read.number

    small, large = make_batch(tenant, sent=1, pending=1), make_batch(tenant, sent=600, pending=300)
    assert asked(small)[0] == asked(large)[0] <= 4
    again = asked(large)
    assert again[0] <= 2, "the percentiles serve for some seconds"
    assert again[1] <= 5, "a page that is renewed reads a few rows"
    assert asked(make_batch(tenant, sent=900))[1] <= explain.TRACES + 5


def test_what_fails_leaves_as_well_as_what_is_sent(tenant: Tenant) -> None:
    now = timezone.now()
    batch = make_batch(tenant, pending=5)
    for _ in range(5):
        make_message(tenant, batch=batch, status=Status.FAILED, finished_at=now)
    Batch.objects.update(accepted=10, created_at=now - timedelta(seconds=10))
    pace = report(batch).pace
    assert pace.per_second == pytest.approx(0.5, abs=0.1)
    assert report(batch).answer.code == "running"


def test_the_bar_of_the_page_leaves_empty_what_has_not_begun(tenant: Tenant) -> None:
    batch = make_batch(tenant, sent=1, pending=3)
    user = User.objects.create(username="root", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    shown = client.get(reverse("admin:messaging_batch_change", args=[batch.pk])).content.decode()
    assert '<rect class="fill-sent" x="0.0%" y="0" width="25.0%"' in shown
    assert '<rect class="fill-track" x="25.0%" y="0" width="75.0%"' in shown
    assert "fill-pending" not in shown


def test_pausing_a_batch_is_told_in_the_traces_of_what_was_taken_back(tenant: Tenant) -> None:
    batch = make_batch(tenant, queued=2, pending=1)
    operate.pause_batch(batch=batch, by=TESTER)
    tally.flush()
    told = [[(event.code, event.words) for event in found] for found in traces.events_of(list(batch.messages.values_list("pk", flat=True)))]
    assert sorted(told) == [[], [("B", ("paused",))], [("B", ("paused",))]]
