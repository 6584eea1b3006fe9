"""What becomes of the messages of a worker that died: three kinds, told apart by its journal."""

from datetime import timedelta
from typing import Literal
from uuid import UUID

import pytest
from django.utils import timezone

from jobs.models import Fence
from messaging.channels.base import SendRequest
from messaging.channels.http import HttpAdapter
from messaging.delivery import journal, recover
from messaging.delivery.journal import Journal
from messaging.models import Batch, BatchStatus, Message, Status
from messaging.queueing.feed import feed
from messaging.queueing.settling import settle_batches
from messaging.storage import store
from messaging.storage.store import Outcome
from posthaste.lib import locks, redis
from posthaste.lib.ids import new_id
from tests import crowds
from tests.builders import make_batch, make_message, make_provider, make_tenant
from tests.peers.gateway import Gateway

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


def claimed(count: int, *, kind: str = "http") -> tuple[UUID, list[Message]]:
    """Messages in the hands of a worker whose lease has run out."""
    tenant = make_tenant()
    config = {"url": "http://127.0.0.1:9/"} if kind == "http" else {}
    make_provider(tenant, channel="sms", kind=kind, config=config)
    rows = [make_message(tenant, channel="sms", status=Status.QUEUED, queued_at=timezone.now()) for _ in range(count)]
    claim_id, past = new_id(), timezone.now() - timedelta(seconds=60)
    held = store.claim([row.pk for row in rows], claim_id=claim_id, now=past, lease=timedelta(seconds=1))
    assert len(held) == count
    Message.objects.filter(claim=claim_id).update(lease_until=past)
    return claim_id, list(Message.objects.filter(claim=claim_id).order_by("pk"))


def statuses(rows: list[Message]) -> list[str]:
    return [Message.objects.get(pk=row.pk).status for row in rows]


def test_known_results_are_written_begun_calls_become_unknown_and_the_rest_is_sent_again() -> None:
    claim_id, rows = claimed(3)
    now = timezone.now()
    written = Journal(claim_id)
    written.begin([rows[0].pk], [])
    written.begin([rows[1].pk], [Outcome(rows[0].pk, Status.SENT.value, 1, sent_at=now, finished_at=now, provider_message_id="gw-1")])
    recover.recover_dead_claims(now=now)
    assert statuses(rows) == [Status.SENT, Status.UNKNOWN, Status.PENDING]
    assert Message.objects.get(pk=rows[0].pk).provider_message_id == "gw-1"
    untouched = Message.objects.get(pk=rows[2].pk)
    assert (untouched.attempts, untouched.claim) == (0, None), "it never reached a provider, so it was no attempt"


def test_a_recovery_that_died_half_way_is_done_again_with_the_same_evidence() -> None:
    claim_id, rows = claimed(2)
    Journal(claim_id).begin([rows[0].pk], [])
    assert journal.read(claim_id).trustworthy  # and then the recovering process dies
    recover.recover_dead_claims(now=timezone.now())
    assert statuses(rows) == [Status.UNKNOWN, Status.PENDING]


def test_without_a_journal_everything_is_in_doubt() -> None:
    claim_id, rows = claimed(2)
    Journal(claim_id)
    redis.client().delete(redis.key("j", claim_id.hex))  # as a flush of Redis would
    recover.recover_dead_claims(now=timezone.now())
    assert statuses(rows) == [Status.UNKNOWN, Status.UNKNOWN]


def test_a_journal_of_a_redis_that_was_restarted_is_not_trusted() -> None:
    claim_id, rows = claimed(1)
    redis.client().rpush(redis.key("j", claim_id.hex), b'{"run":"another-run-of-the-server"}')
    recover.recover_dead_claims(now=timezone.now())
    assert statuses(rows) == [Status.UNKNOWN]


def test_where_providers_know_repeated_ids_nothing_is_in_doubt() -> None:
    _claim_id, rows = claimed(2, kind="sandbox")
    recover.recover_dead_claims(now=timezone.now())
    assert statuses(rows) == [Status.PENDING, Status.PENDING]


def test_a_worker_that_was_only_slow_still_settles_what_was_taken_for_lost() -> None:
    claim_id, rows = claimed(1)
    Journal(claim_id).begin([rows[0].pk], [])
    recover.recover_dead_claims(now=timezone.now())
    assert statuses(rows) == [Status.UNKNOWN]
    late = Outcome(rows[0].pk, Status.SENT.value, 1, sent_at=timezone.now(), finished_at=timezone.now())
    assert store.write_outcomes([late], claim_id=claim_id) == {rows[0].pk}
    assert statuses(rows) == [Status.SENT]


@pytest.mark.parametrize(("ended", "then"), [(BatchStatus.FINISHED, Status.QUEUED), (BatchStatus.CANCELLED, Status.CANCELLED)])
def test_a_slow_worker_that_wants_to_try_again_finds_the_batch_over_and_its_message_is_not_forgotten(ended: str, then: str) -> None:
    """A stopped worker's calls are taken for lost, so the batch is through; then it goes on, and the provider had refused them."""
    claim_id, rows = claimed(1)
    batch = make_batch(rows[0].tenant)
    Message.objects.filter(pk=rows[0].pk).update(batch=batch)
    Batch.objects.filter(pk=batch.pk).update(status=BatchStatus.CANCELLED if ended == BatchStatus.CANCELLED else BatchStatus.RUNNING)
    Journal(claim_id).begin([rows[0].pk], [])
    recover.recover_dead_claims(now=timezone.now())
    settle_batches(now=timezone.now())
    batch.refresh_from_db()
    assert (batch.status, batch.finished_at is not None) == (ended, True)
    late = Outcome(rows[0].pk, Status.PENDING.value, 1, due_at=timezone.now(), error_code="connection_refused")
    assert store.write_outcomes([late], claim_id=claim_id) == {rows[0].pk}
    feed(now=timezone.now())
    assert statuses(rows) == [then]


def test_a_result_that_comes_after_the_message_went_to_another_worker_is_refused() -> None:
    claim_id, rows = claimed(1)
    Journal(claim_id)
    recover.recover_dead_claims(now=timezone.now())
    assert statuses(rows) == [Status.PENDING]
    late = Outcome(rows[0].pk, Status.SENT.value, 1, sent_at=timezone.now())
    assert store.write_outcomes([late], claim_id=claim_id) == set()
    assert statuses(rows) == [Status.PENDING]


def test_a_lease_that_still_runs_is_left_alone() -> None:
    _claim_id, rows = claimed(1)
    Message.objects.update(lease_until=timezone.now() + timedelta(seconds=30))
    recover.recover_dead_claims(now=timezone.now())
    assert statuses(rows) == [Status.SENDING]


def test_a_task_lost_in_an_empty_broker_is_found_and_a_young_one_is_left_alone() -> None:
    tenant = make_tenant()
    old = make_message(tenant, channel="sms", status=Status.QUEUED, queued_at=timezone.now() - timedelta(seconds=3600))
    young = make_message(tenant, channel="sms", status=Status.QUEUED, queued_at=timezone.now())
    assert recover.requeue_lost_tasks(now=timezone.now()) == 1
    assert statuses([old, young]) == [Status.PENDING, Status.QUEUED]


def unknown_message(gateway: Gateway, batch_status: str) -> Message:
    """Make a message with an unknown outcome in a batch that is over; its provider supports look-ups."""
    tenant = make_tenant()
    config = {"url": gateway.url, "lookup_url": f"http://127.0.0.1:{gateway.port}/messages/{{{{ id }}}}"}
    provider = make_provider(tenant, channel="sms", kind="http", config=config)
    batch = make_batch(tenant, status=batch_status)
    Batch.objects.filter(pk=batch.pk).update(finished_at=timezone.now())
    ended = timezone.now() - timedelta(seconds=30)
    return make_message(tenant, channel="sms", batch=batch, status=Status.UNKNOWN, provider=provider, finished_at=ended, attempts=1)


def test_a_message_the_provider_never_got_is_sent_again_although_its_batch_had_finished() -> None:
    with Gateway() as gateway:
        row = unknown_message(gateway, BatchStatus.FINISHED)
        assert recover.look_up_unknown(now=timezone.now()) == {"absent": 1}
        row.refresh_from_db()
        assert (row.status, row.batch.status if row.batch else "") == (Status.PENDING, BatchStatus.RUNNING)
        feed(now=timezone.now() + timedelta(hours=1))
        assert statuses([row]) == [Status.QUEUED]


def test_only_one_at_a_time_asks_for_unknown_outcomes() -> None:
    with Gateway() as gateway:
        row = unknown_message(gateway, BatchStatus.FINISHED)
        with locks.simple(recover.LOOK_UP_LOCK), crowds.pool(1) as another:
            assert another.submit(recover.look_up_unknown, now=timezone.now()).result() == {}
        assert statuses([row]) == [Status.UNKNOWN]


def test_whoever_was_overtaken_while_he_asked_sends_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    queries = HttpAdapter.lookup

    def slow(self: HttpAdapter, request: SendRequest) -> Literal["accepted", "absent", "unknown"]:
        answer = queries(self, request)
        held = locks.current(recover.LOOK_UP_LOCK)
        assert held is not None
        Fence.objects.update_or_create(name=held.name, defaults={"token": held.fencing_token + 1})  # another one has written meanwhile
        return answer

    with Gateway() as gateway:
        row = unknown_message(gateway, BatchStatus.FINISHED)
        monkeypatch.setattr(HttpAdapter, "lookup", slow)
        assert recover.look_up_unknown(now=timezone.now()) == {}
        row.refresh_from_db()
        assert (row.status, row.batch.status if row.batch else "") == (Status.UNKNOWN, BatchStatus.FINISHED)


def test_a_message_the_provider_never_got_is_cancelled_where_its_batch_was() -> None:
    with Gateway() as gateway:
        row = unknown_message(gateway, BatchStatus.CANCELLED)
        recover.look_up_unknown(now=timezone.now())
        settle_batches(now=timezone.now())
        assert statuses([row]) == [Status.CANCELLED]


def test_a_message_the_provider_had_got_counts_as_sent() -> None:
    with Gateway() as gateway:
        row = unknown_message(gateway, BatchStatus.FINISHED)
        gateway.taken[row.pk.hex] += 1
        recover.look_up_unknown(now=timezone.now())
        assert statuses([row]) == [Status.SENT]


def test_two_do_not_recover_at_once() -> None:
    _claim_id, rows = claimed(1, kind="sandbox")
    with locks.simple(recover.LOCK):
        assert recover.recover(now=timezone.now()) == {}
    assert statuses(rows) == [Status.SENDING]
    assert recover.recover(now=timezone.now())["resent"] == 1
