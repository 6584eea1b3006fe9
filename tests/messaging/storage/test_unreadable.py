"""Rows that can't be read, planted straight into the database: they are set aside, and what is beside them goes on."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from celery import current_app
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, Tenant, User
from messaging import selectors, statistics
from messaging.delivery import recover
from messaging.delivery.deliver import deliver
from messaging.delivery.journal import Journal
from messaging.metrics.outcomes import set_aside_rows_total
from messaging.models import Batch, BatchStatus, EventRecording, Message, Status
from messaging.queueing import broker, feed, operate, settling
from messaging.storage import never_due, store, unreadable
from messaging.storage.store import Outcome
from messaging.webhooks import sequencer
from posthaste.lib import redis
from posthaste.lib.ids import new_id
from posthaste.lib.queues import SEND
from tests.builders import TESTER, Api, json_of, make_api, make_batch, make_message, make_provider, make_tenant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]

#: What is written over a good row, by database. Not every database stores every one.
PLANTED: dict[str, dict[str, str]] = {
    "a time beyond the year 9999": {
        "postgresql": "expires_at = '10000-01-01 13:59:59+00'",
        "sqlite": "expires_at = '10000-01-01 13:59:59'",
    },
    "a time before our era": {"postgresql": "expires_at = '0044-03-15 00:00:00+00 BC'"},
    "an endless time": {"postgresql": "expires_at = 'infinity'"},
    "an unreadable time of acceptance": {"postgresql": "created_at = '12026-01-01 00:00:00+00'", "sqlite": "created_at = 'yesterday'"},
    "an overdue unreadable time": {"postgresql": "due_at = '0044-03-15 00:00:00+00 BC'", "sqlite": "due_at = '2020-13-45 00:00:00'"},
    "a number as a time": {"sqlite": "expires_at = 17"},
    "a text that is no date": {"sqlite": "expires_at = 'no date'"},
    "a list as variables": {"postgresql": "variables = '[1, 2]'", "sqlite": "variables = '[1, 2]'"},
    "a number as metadata": {"postgresql": "metadata = '7'", "sqlite": "metadata = '7'"},
    "null as metadata": {"postgresql": "metadata = 'null'", "sqlite": "metadata = 'null'"},
    "JSON nested too deeply": {"postgresql": f"metadata = '{'[' * 3000}{']' * 3000}'", "sqlite": f"metadata = '{'[' * 3000}{']' * 3000}'"},
    "an id that is none": {"sqlite": "id = 'not-a-uuid'"},
    "bytes that are no text": {"sqlite": "body = CAST(x'ff' AS TEXT)"},
}


@pytest.fixture(params=PLANTED)
def planted(request: pytest.FixtureRequest) -> Callable[[Message], None]:
    """Make a good row unreadable."""
    by_database = PLANTED[request.param]
    if connection.vendor not in by_database:
        pytest.skip("this database does not store it")

    def plant(message: Message) -> None:
        overwrite(message, by_database[connection.vendor])

    return plant


@pytest.fixture(autouse=True)
def _empty_broker() -> None:
    with current_app.pool.acquire(block=True) as held:
        broker.declare()
        held.default_channel.queue_purge(SEND)


def overwrite(message: Message, assignment: str) -> None:
    address = message.pk if connection.vendor == "postgresql" else message.pk.hex
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = 1")
        cursor.execute(f"UPDATE messaging_message SET {assignment.replace('%', '%%')} WHERE id = %s", [address])
        assert cursor.rowcount == 1
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = 0")


def chunk(tenant: Tenant, status: str, plant: Callable[[Message], None], **fields: Any) -> tuple[list[UUID], UUID]:
    """Make five messages of which the third is unreadable; return the ids of the good ones and its own."""
    rows = [make_message(tenant, status=status, **fields) for _ in range(5)]
    plant(rows[2])
    return [row.pk for row in rows if row is not rows[2]], rows[2].pk


def states(ids: list[UUID]) -> list[str]:
    return list(Message.objects.filter(pk__in=ids).values_list("status", flat=True))


def set_aside_row(good: list[UUID]) -> Message:
    """Return the row that is not among the good ones: it can be read by now."""
    return Message.objects.exclude(pk__in=good).get()


@pytest.mark.parametrize("kind", ["sandbox"])
def test_a_worker_sends_the_rest_of_a_chunk(planted: Callable[[Message], None], kind: str) -> None:
    tenant = make_tenant()
    make_provider(tenant, kind=kind)
    good, bad = chunk(tenant, Status.QUEUED, planted)
    deliver([*good, bad])
    assert states(good) == [Status.SENT] * 4
    if Message.objects.filter(pk=bad).exists():  # one without a readable id is not in any task
        row = set_aside_row(good)
        assert (row.status, row.error_code, row.claim) == (Status.FAILED, "unreadable", None)
        assert row.finished_at is not None


def test_what_was_there_is_kept_for_the_operator(django_user_model: type[User]) -> None:
    tenant = make_tenant()
    message = make_message(tenant, status=Status.QUEUED)
    overwrite(message, "variables = '[\"Ada\"]'")
    deliver([message.pk])
    row = Message.objects.get()
    assert row.variables == {"unreadable": '["Ada"]'}
    # Nothing of an empty column, and nothing about a recipient: it is a text for lists and alarms.
    assert row.error_detail == "This can't be read: variables."


def test_rows_set_aside_are_counted_for_the_metric() -> None:
    before = set_aside_rows_total()["message"]
    message = make_message(make_tenant(), status=Status.QUEUED)
    overwrite(message, "metadata = '7'")
    deliver([message.pk])
    assert set_aside_rows_total()["message"] == before + 1


def test_recovery_settles_the_claims_of_a_dead_worker(planted: Callable[[Message], None]) -> None:
    tenant, other = make_tenant(), make_tenant("Other")
    for owner in (tenant, other):
        make_provider(owner, kind="http", config={"url": "https://gateway.example.com/"})
    run_out = timezone.now() - timedelta(seconds=1)
    claims = new_id(), new_id()
    for claim in claims:
        Journal(claim)
    good, _bad = chunk(tenant, Status.SENDING, planted, claim=claims[0], lease_until=run_out)
    others = [make_message(other, status=Status.SENDING, claim=claims[1], lease_until=timezone.now()).pk for _ in range(2)]
    recover.recover(now=timezone.now() + timedelta(seconds=1))
    assert states(good) == [Status.PENDING] * 4
    assert states(others) == [Status.PENDING] * 2


def test_a_journal_that_is_no_json_leaves_the_other_claims_alone() -> None:
    tenant = make_tenant()
    make_provider(tenant, kind="http", config={"url": "https://gateway.example.com/"})
    run_out = timezone.now() - timedelta(seconds=1)
    broken, whole = new_id(), new_id()
    redis.client().rpush(redis.key("j", broken.hex), b"{no JSON")
    Journal(whole)
    doubtful = make_message(tenant, status=Status.SENDING, claim=broken, lease_until=run_out - timedelta(seconds=1))
    sound = make_message(tenant, status=Status.SENDING, claim=whole, lease_until=run_out)
    recover.recover(now=timezone.now())
    assert states([doubtful.pk]) == [Status.UNKNOWN]
    assert states([sound.pk]) == [Status.PENDING]


def test_the_feeder_hands_over_what_is_beside_it_and_the_worker_sets_it_aside(planted: Callable[[Message], None]) -> None:
    tenant, other = make_tenant(), make_tenant("Other")
    for owner in (tenant, other):
        make_provider(owner)
    good, _bad = chunk(tenant, Status.PENDING, planted, due_at=timezone.now() - timedelta(minutes=1))
    others = [make_message(other).pk for _ in range(2)]
    feed.feed(now=timezone.now())
    feed.feed(now=timezone.now())
    assert states(good) + states(others) == [Status.QUEUED] * 6
    deliver(list(Message.objects.filter(status=Status.QUEUED).values_list("pk", flat=True)))
    assert set_aside_row([*good, *others]).status == Status.FAILED


def test_a_batch_with_such_a_row_ends(planted: Callable[[Message], None]) -> None:
    tenant = make_tenant()
    make_provider(tenant)
    batch = make_batch(tenant)
    chunk(tenant, Status.PENDING, planted, batch=batch, due_at=timezone.now() - timedelta(minutes=1))
    Batch.objects.update(accepted=5)
    feed.feed(now=timezone.now())
    deliver(list(Message.objects.filter(status=Status.QUEUED).values_list("pk", flat=True)))
    feed.feed(now=timezone.now())
    batch.refresh_from_db()
    assert batch.status == BatchStatus.FINISHED
    counts = selectors.batch_counts([batch])[batch.pk]
    assert (counts[Status.SENT], counts[Status.FAILED]) == (4, 1)


@pytest.mark.parametrize("status", [Status.PENDING, Status.DELIVERED])
def test_lists_show_it_and_everything_beside_it(planted: Callable[[Message], None], status: str) -> None:
    tenant = make_tenant()
    api: Api = make_api(tenant)
    good, _bad = chunk(tenant, status, planted)
    found = json_of(api.get("/api/messages/"))["results"]
    assert len(found) == 5
    assert {row["id"] for row in found} >= {str(pk) for pk in good}
    row = set_aside_row(good)
    if row.error_code or row.expires_at is not None:  # SQLite's texts that are no times are read as none: only the worker objects
        assert row.error_code == "unreadable"
        assert row.status == (Status.FAILED if status == Status.PENDING else Status.DELIVERED), "what has ended keeps its outcome"
    assert api.get(f"/api/messages/{row.pk}/").status_code == 200
    assert api.get(f"/api/messages/{row.pk}/trace/").status_code == 200


def test_the_pages_of_the_admin_show_it(planted: Callable[[Message], None], admin_client: Client) -> None:
    tenant = make_tenant()
    good, bad = chunk(tenant, Status.DELIVERED, planted)
    assert admin_client.get("/admin/messaging/message/").status_code == 200
    shown = Message.objects.filter(pk=bad).values_list("pk", flat=True).first() or set_aside_row(good).pk
    assert admin_client.get(f"/admin/messaging/message/{shown}/change/").status_code == 200
    assert admin_client.get("/admin/").status_code == 200


def test_figures_are_told_all_the_same(planted: Callable[[Message], None]) -> None:
    tenant = make_tenant()
    chunk(tenant, Status.SENT, planted)
    assert statistics.overview(tenant_id=tenant.pk, now=timezone.now())["today"]["total"] >= 4


def test_a_list_of_batches_with_an_unreadable_one_is_shown(admin_client: Client) -> None:
    tenant = make_tenant()
    batch, beside = make_batch(tenant, sent=1), make_batch(tenant, sent=1)
    beyond = "'10000-01-01 00:00:00'" if connection.vendor == "sqlite" else "'10000-01-01 00:00:00+00'"
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE messaging_batch SET send_at = {beyond} WHERE id = %s",
            [batch.pk if connection.vendor == "postgresql" else batch.pk.hex],
        )
    found = json_of(make_api(tenant).get("/api/batches/"))["results"]
    assert {row["id"] for row in found} == {str(batch.pk), str(beside.pk)}
    assert admin_client.get("/admin/messaging/batch/").status_code == 200


def test_an_outcome_that_cannot_be_written_takes_no_other_along() -> None:
    tenant, claim = make_tenant(), new_id()
    rows = [make_message(tenant, status=Status.SENDING, claim=claim) for _ in range(3)]
    now = timezone.now()
    outcomes = [
        Outcome(row.pk, Status.SENT.value, 1, sent_at=now, finished_at=now, provider_message_id=f"id-{n}") for n, row in enumerate(rows)
    ]
    outcomes[1].provider_message_id = "\ud800"  # half a character, which no database stores
    outcomes[1].latency_ms = 2**40 if connection.vendor == "postgresql" else 1
    assert store.write_outcomes(outcomes, claim_id=claim) == {row.pk for row in rows}
    assert states([row.pk for row in rows]) == [Status.SENT] * 3
    assert sorted(Message.objects.values_list("provider_message_id", flat=True)) == ["", "id-0", "id-2"]


def test_a_row_that_a_worker_holds_stays_with_the_worker() -> None:
    tenant, claim = make_tenant(), new_id()
    message = make_message(tenant, status=Status.SENDING, claim=claim)
    overwrite(message, "metadata = '7'")
    assert [row.status for row in unreadable.readable(Message.objects.all())] == [Status.SENDING]
    now = timezone.now()
    assert store.write_outcomes([Outcome(message.pk, Status.SENT.value, 1, sent_at=now, finished_at=now)], claim_id=claim) == {message.pk}


def test_readable_rows_cost_no_statement_more(django_assert_num_queries: Any) -> None:
    tenant = make_tenant()
    for _ in range(3):
        make_message(tenant)
    with django_assert_num_queries(1):
        assert len(unreadable.readable(Message.objects.all())) == 3


@pytest.mark.parametrize(
    ("status", "planted_time"),
    [
        (Status.PENDING, {"postgresql": "due_at = 'infinity'", "sqlite": "due_at = 'zzz'"}),
        (Status.PENDING, {"postgresql": "due_at = '10000-01-01 00:00:00+00'", "sqlite": "due_at = 17"}),
        (Status.QUEUED, {"postgresql": "queued_at = 'infinity'", "sqlite": "queued_at = 'zzz'"}),
    ],
)
def test_what_would_never_be_due_is_ended_so_that_its_batch_ends(status: str, planted_time: dict[str, str]) -> None:
    batch = make_batch(make_tenant())
    message = make_message(batch.tenant, status=status, batch=batch)
    scheduled = make_message(batch.tenant, due_at=timezone.now() + timedelta(days=364))
    overwrite(message, planted_time[connection.vendor])
    assert never_due.set_aside_unreadable(now=timezone.now()) == 1
    settling.settle_batches(now=timezone.now())
    batch.refresh_from_db()
    assert (batch.status, states([message.pk]), states([scheduled.pk])) == (BatchStatus.FINISHED, [Status.FAILED], [Status.PENDING])


# --- sending again what was set aside ------------------------------------------------------------------------------------


def set_aside_by_a_worker(tenant: Tenant, assignment: str) -> Message:
    row = make_message(tenant, status=Status.QUEUED, metadata={"order": 7})
    overwrite(row, assignment)
    deliver([row.pk])
    row = Message.objects.get(pk=row.pk)
    assert (row.status, row.error_code) == (Status.FAILED, "unreadable")
    return row


@pytest.mark.parametrize("column", ["metadata", "variables"])
def test_a_message_that_lost_content_is_sent_again_only_when_the_loss_is_accepted(column: str) -> None:
    tenant = make_tenant()
    make_provider(tenant)
    row, api = set_aside_by_a_worker(tenant, f"{column} = '[1,2]'"), make_api(tenant)
    refused = api.post(f"/api/messages/{row.pk}/retry/")
    assert (refused.status_code, json_of(refused)["code"], json_of(refused)["lost"]) == (409, "content_lost", [column])
    assert operate.retry_messages(ids=[row.pk], by=TESTER, now=timezone.now()) == 0
    assert Message.objects.get().error_detail == row.error_detail
    assert api.post(f"/api/messages/{row.pk}/retry/", {"accept_loss": True}).status_code == 200
    again = Message.objects.get()
    assert (again.status, getattr(again, column)) == (Status.PENDING, {}), "the placeholder is not sent"
    (entry,) = AuditEntry.objects.filter(action="message.retry", target=str(row.pk))
    assert entry.detail == {"was": "failed", "set_aside": row.error_detail, "lost": [column]}


@pytest.mark.parametrize("many", [False, True])
def test_a_message_that_lost_only_a_time_is_sent_again_and_what_was_found_is_kept(many: bool) -> None:
    tenant = make_tenant()
    make_provider(tenant)
    value = {"postgresql": "10000-01-01 13:59:59+00", "sqlite": "no date"}[connection.vendor]
    row = set_aside_by_a_worker(tenant, f"expires_at = '{value}'")
    assert value[:10] in row.error_detail
    if many:
        assert operate.retry_messages(ids=[row.pk], by=TESTER, now=timezone.now()) == 1
    else:
        operate.retry_message(message=row, by=TESTER, now=timezone.now())
    entry = AuditEntry.objects.get(action="message.retry", target=str(row.pk))
    assert entry.detail["set_aside"] == row.error_detail
    assert Message.objects.get().metadata == {"order": 7}


def test_the_trace_tells_that_a_message_was_set_aside_and_why() -> None:
    tenant = make_tenant()
    make_provider(tenant)
    row = set_aside_by_a_worker(tenant, "metadata = '[1,2]'")
    events = json_of(make_api(tenant).get(f"/api/messages/{row.pk}/trace/"))["events"]
    assert {"status": "failed", "reason": "unreadable:metadata"}.items() <= events[-1].items()


def test_an_event_about_what_was_set_aside_has_no_placeholder_as_metadata() -> None:
    tenant = make_tenant()
    make_provider(tenant)
    EventRecording.objects.create(tenant=tenant)
    row = set_aside_by_a_worker(tenant, "metadata = '[1,2]'")
    sequencer.sequence()
    told = [event for event in json_of(make_api(tenant).get("/api/events/?after=0"))["results"] if event["data"]["id"] == str(row.pk)]
    assert [(event["type"], event["data"]["metadata"]) for event in told if event["type"] == "message.failed"] == [("message.failed", {})]
