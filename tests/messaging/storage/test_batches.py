"""Batches that stop: at once for what is sent, in the background for what is only written down."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Tenant
from messaging import selectors
from messaging.models import Batch, BatchStatus, Message, Status
from messaging.queueing import backlog, broker, feed, operate, settling
from messaging.storage import batches, store
from posthaste.lib.ids import new_id
from posthaste.lib.queues import SEND
from tests import crowds
from tests.builders import TESTER, make_batch, make_provider, make_tenant, poll

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]

needs_row_locks = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")


@pytest.fixture
def tenant() -> Tenant:
    tenant = make_tenant()
    make_provider(tenant)
    return tenant


@pytest.fixture
def _slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small steps, and none at once, as it is for a big batch."""
    monkeypatch.setattr(batches, "ROWS_A_STEP", 2)
    monkeypatch.setattr(operate, "AT_ONCE_SECONDS", -1.0)


def states(batch: Batch) -> dict[str, int]:
    return batches.counts_by_state(batch.pk)


def totals(batch: Batch) -> dict[str, int]:
    batch.refresh_from_db()
    counts = selectors.batch_counts([batch])[batch.pk]
    assert sum(counts.values()) == batch.accepted
    return {state: number for state, number in counts.items() if number}


@pytest.mark.usefixtures("_slow")
def test_the_rest_of_a_big_batch_counts_as_cancelled_before_it_is_marked(tenant: Tenant) -> None:
    batch = make_batch(tenant, pending=7, queued=3, sent=1)
    answer = operate.cancel_batch(batch=batch, by=TESTER, now=timezone.now())
    assert (answer.cancelled, answer.too_late, answer.unknown) == (10, 1, 0)
    assert states(batch) == {"pending": 5, "cancelled": 5, "sent": 1}
    assert totals(batch) == {"cancelled": 10, "sent": 1}
    batches.sweep(now=timezone.now())
    assert states(batch) == {"cancelled": 10, "sent": 1}


def test_a_small_batch_is_marked_at_once(tenant: Tenant) -> None:
    batch = make_batch(tenant, pending=7, queued=3)
    operate.cancel_batch(batch=batch, by=TESTER, now=timezone.now())
    assert states(batch) == {"cancelled": 10}


@pytest.mark.usefixtures("_slow")
def test_a_sweep_that_ends_half_way_is_gone_on_with_by_the_next(tenant: Tenant) -> None:
    batch = make_batch(tenant, pending=9)
    operate.cancel_batch(batch=batch, by=TESTER, now=timezone.now())
    left = []
    while states(batch).get("pending"):
        batches.sweep(now=timezone.now(), seconds=-1.0)
        left.append(states(batch).get("pending", 0))
        assert totals(batch) == {"cancelled": 9}
    assert left == [5, 3, 1, 0]
    assert batches.sweep(now=timezone.now()) == 0
    settling.settle_batches(now=timezone.now())
    batch.refresh_from_db()
    assert (batch.status, batch.finished_at is not None) == ("cancelled", True)


def test_how_many_were_cancelled_leaves_out_those_that_had_been_before(tenant: Tenant) -> None:
    batch = make_batch(tenant, pending=2, cancelled=3, sending=1, unknown=1)
    answer = operate.cancel_batch(batch=batch, by=TESTER, now=timezone.now())
    assert (answer.cancelled, answer.too_late, answer.unknown) == (2, 4, 1)


def test_nothing_is_handed_over_that_was_found_before_its_batch_stopped(tenant: Tenant) -> None:
    held = broker.depth(SEND)
    for stop in (
        lambda batch: operate.pause_batch(batch=batch, by=TESTER),
        lambda batch: operate.cancel_batch(batch=batch, by=TESTER, now=timezone.now()),
    ):
        batch = make_batch(tenant, pending=3)
        now = timezone.now()
        waiting = backlog.waiting(now)
        assert [line.batch_id for line in waiting] == [batch.pk]
        stop(batch)
        assert feed._feeder._hand_over(waiting, 100, now) == 0
        assert not Message.objects.filter(batch=batch, status=Status.QUEUED).exists()
        Message.objects.filter(batch=batch).delete()
    assert broker.depth(SEND) == held


@needs_row_locks
def test_what_is_being_handed_over_while_its_batch_is_cancelled_is_taken_back(tenant: Tenant) -> None:
    batch = make_batch(tenant, pending=5)
    queue = backlog.BacklogQueue(tenant.pk, batch.pk)

    def cancel() -> None:
        operate.cancel_batch(batch=batch, by=TESTER, now=timezone.now())

    with transaction.atomic():
        assert queue.hold()
        ids = list(queue.due(timezone.now(), 5).values_list("pk", flat=True))
        cancelling = crowds.start(cancel)
        poll(lambda: waiting_for_locks() > 0, what="the cancel waits for the feeder")
        assert store.move(ids, source=Status.PENDING, status=Status.QUEUED, queued_at=timezone.now()) == 5
    cancelling.join()
    assert states(batch) == {"cancelled": 5}


@needs_row_locks
def test_the_feeder_does_not_wait_for_a_batch_that_is_just_being_stopped(tenant: Tenant) -> None:
    batch = make_batch(tenant, pending=3)
    now = timezone.now()
    fed: list[int] = []
    waiting = backlog.waiting(now)

    def look() -> None:
        fed.append(feed.Feeder()._hand_over(waiting, 100, now))

    with transaction.atomic():
        Batch.objects.filter(pk=batch.pk).update(status=BatchStatus.PAUSED)
        crowds.at_once(look)
        assert fed == [0]


def waiting_for_locks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
        return int(cursor.fetchone()[0])


@needs_row_locks
def test_a_row_that_a_worker_is_claiming_is_left_to_it_and_swept_should_it_fail(tenant: Tenant) -> None:
    batch = make_batch(tenant, queued=3)
    first = batch.messages.order_by("pk")[0].pk
    done: list[operate.Cancelled] = []

    def cancel() -> None:
        done.append(operate.cancel_batch(batch=batch, by=TESTER, now=timezone.now()))

    with transaction.atomic():
        now = timezone.now()
        store.claim([first], claim_id=new_id(), now=now, lease=timedelta(seconds=30))
        crowds.at_once(cancel)
        assert (done[0].cancelled, done[0].too_late) == (2, 1)
        transaction.set_rollback(True)
    assert states(batch) == {"queued": 1, "cancelled": 2}
    batches.sweep(now=timezone.now())
    assert states(batch) == {"cancelled": 3}


def test_what_a_paused_batch_still_has_in_the_broker_is_taken_back_by_the_sweep(tenant: Tenant) -> None:
    batch = make_batch(tenant, status=BatchStatus.PAUSED, queued=3, pending=1)
    batches.sweep(now=timezone.now())
    assert states(batch) == {"pending": 4}


@pytest.mark.usefixtures("_slow")
def test_one_message_sent_again_does_not_bring_a_cancelled_batch_back(tenant: Tenant) -> None:
    batch = make_batch(tenant, pending=8, failed=1)
    operate.cancel_batch(batch=batch, by=TESTER, now=timezone.now())
    assert states(batch)["pending"] == 6
    failed = batch.messages.get(status=Status.FAILED)
    assert operate.retry_messages(ids=[failed.pk], by=TESTER, now=timezone.now()) == 1
    batch.refresh_from_db()
    assert batch.status == BatchStatus.RUNNING
    assert states(batch) == {"pending": 1, "cancelled": 8}
    batches.sweep(now=timezone.now())
    assert batch.messages.get(pk=failed.pk).status == Status.PENDING


@pytest.mark.usefixtures("_slow")
def test_a_message_that_waits_to_be_marked_can_be_sent_again(tenant: Tenant) -> None:
    batch = make_batch(tenant, pending=8)
    operate.cancel_batch(batch=batch, by=TESTER, now=timezone.now())
    one = batch.messages.filter(status=Status.PENDING)[0]
    assert operate.retry_messages(ids=[one.pk], by=TESTER, now=timezone.now()) == 1
    assert states(batch) == {"pending": 1, "cancelled": 7}


def test_a_sweep_of_a_batch_that_runs_again_changes_nothing(tenant: Tenant) -> None:
    batch = make_batch(tenant, pending=3)
    assert batches.take_back_cancelled(batch.pk, now=timezone.now()) == 0
    assert batches.take_back_paused(batch.pk) == 0
    assert states(batch) == {"pending": 3}


@needs_row_locks
def test_a_batch_is_not_closed_while_one_of_its_messages_is_being_put_back(tenant: Tenant) -> None:
    """Else the message would be due in a batch that is never fed, and would wait for ever."""
    batch = make_batch(tenant, sent=2, failed=1)  # through, and not yet settled
    failed = batch.messages.get(status=Status.FAILED)
    settled: list[int] = []

    def settle() -> None:
        settled.append(settling.settle_batches(now=timezone.now()))

    with transaction.atomic():
        operate.retry_messages(ids=[failed.pk], by=TESTER, now=timezone.now())
        crowds.at_once(settle)
        assert settled == [0]
    assert [line.batch_id for line in backlog.waiting(timezone.now())] == [batch.pk]
    assert settling.settle_batches(now=timezone.now()) == 0


@needs_row_locks
def test_the_answer_to_a_pause_counts_what_was_being_claimed_as_begun(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operate, "AT_ONCE_SECONDS", 60.0)
    batch = make_batch(tenant, queued=3)
    answered: list[dict[str, int]] = []

    def pause() -> None:
        operate.pause_batch(batch=Batch.objects.get(pk=batch.pk), by=TESTER)
        answered.append(states(batch))

    pauses = crowds.Crowd([pause], name="pause")
    with transaction.atomic():
        claimed = batch.messages.order_by("pk").select_for_update().first()
        assert claimed is not None
        pauses.start()
        poll(lambda: batch.messages.filter(status=Status.PENDING).count() == 2)  # it has taken back what is not being claimed
        assert answered == []
        store.move([claimed.pk], source=Status.QUEUED, status=Status.SENDING)
    pauses.join()
    assert answered == [{"pending": 2, "sending": 1}]
