"""What waits in the database comes into the broker: due, in fair turns, never more than it may hold."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from celery import current_app
from django.db import connection
from django.utils import timezone

from jobs import registry
from jobs.services import fence
from messaging.configuration import queues
from messaging.models import Batch, BatchStatus, Message, Status
from messaging.queueing import admission, broker, feed, queue_statistics, readiness
from messaging.queueing.publish import kick_feeder
from posthaste.lib import locks, redis
from posthaste.lib.queues import SEND
from tests import crowds
from tests.builders import configure, make_batch, make_message, make_provider, make_tenant, poll

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


@pytest.fixture(autouse=True)
def _empty_broker() -> None:
    with current_app.pool.acquire(block=True) as connection:
        broker.declare()
        connection.default_channel.queue_purge(SEND)


def capacity(number: int) -> None:
    configure(queues, queue_capacity=number)


def queued_of(tenant_id: int) -> int:
    return Message.objects.filter(tenant_id=tenant_id, status=Status.QUEUED).count()


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a look hand over all it may, however busy the machine is."""
    monkeypatch.setattr(feed, "HAND_OVER_SECONDS", 60.0)


def test_what_is_due_is_fed_and_what_is_not_yet_due_stays() -> None:
    tenant = make_tenant()
    due = make_message(tenant)
    later = make_message(tenant, due_at=timezone.now() + timedelta(hours=1))
    assert feed.feed(now=timezone.now()) == 1
    due.refresh_from_db()
    later.refresh_from_db()
    assert (due.status, later.status) == (Status.QUEUED, Status.PENDING)
    assert broker.depth(SEND) == 1


def test_the_broker_never_holds_more_than_its_capacity() -> None:
    capacity(100)
    tenant = make_tenant()
    make_batch(tenant, pending=250)
    assert feed.feed(now=timezone.now()) == 100
    assert feed.feed(now=timezone.now()) == 0
    Message.objects.filter(pk__in=Message.objects.filter(status=Status.QUEUED).values("pk")[:30]).update(status=Status.SENDING)
    assert feed.feed(now=timezone.now()) == 30


def test_a_big_batch_does_not_stand_before_another_tenants_few() -> None:
    capacity(100)
    big, small = make_tenant("Big"), make_tenant("Small")
    make_batch(big, pending=400)
    for _ in range(10):
        make_message(small)
    feed.feed(now=timezone.now())
    assert queued_of(small.pk) == 10
    assert queued_of(big.pk) == 90


def test_tenants_take_turns_by_weight() -> None:
    capacity(300)
    heavy, light = make_tenant("Heavy", weight=2), make_tenant("Light", weight=1)
    make_batch(heavy, pending=400)
    make_batch(light, pending=400)
    feed.feed(now=timezone.now())
    assert (queued_of(heavy.pk), queued_of(light.pk)) == (200, 100)


def test_urgent_messages_are_fed_although_the_broker_is_full() -> None:
    capacity(100)
    tenant = make_tenant()
    make_batch(tenant, queued=100, pending=10)
    urgent = make_message(tenant, priority=10)
    assert feed.feed(now=timezone.now()) == 1
    urgent.refresh_from_db()
    assert urgent.status == Status.QUEUED


@pytest.mark.parametrize("status", [BatchStatus.PAUSED, BatchStatus.CANCELLED])
def test_a_batch_that_does_not_run_is_not_fed_not_even_its_urgent_messages(status: str) -> None:
    batch = make_batch(make_tenant(), status=status, pending=5)
    Message.objects.filter(batch=batch).update(priority=10)
    assert feed.feed(now=timezone.now()) == 0
    assert not Message.objects.filter(status=Status.QUEUED).exists()


def test_a_batch_is_finished_when_nothing_of_it_is_in_progress_and_not_before() -> None:
    tenant = make_tenant()
    done, busy = make_batch(tenant, sent=2, failed=1), make_batch(tenant, sent=2, sending=1)
    feed.feed(now=timezone.now())
    assert Batch.objects.get(pk=done.pk).status == BatchStatus.FINISHED
    assert Batch.objects.get(pk=busy.pk).status == BatchStatus.RUNNING


def test_what_comes_back_to_a_cancelled_batch_for_a_retry_is_cancelled_too() -> None:
    batch = make_batch(make_tenant(), status=BatchStatus.CANCELLED, pending=3)
    feed.feed(now=timezone.now())
    assert Message.objects.filter(batch=batch, status=Status.CANCELLED).count() == 3


def test_messages_travel_in_tasks_of_one_tenant_and_priority_and_urgent_ones_alone() -> None:
    one, two = make_tenant("One"), make_tenant("Two")
    for tenant in (one, two):
        make_provider(tenant)  # the sandbox takes a hundred at once
        for priority in (5, 5, 5, 7, 10, 10):
            make_message(tenant, priority=priority)
    assert feed.feed(now=timezone.now()) == 12
    assert broker.depth(SEND) == 2 * (1 + 1 + 2)  # a task of fives, one of sevens, and each ten by itself


def test_a_feeder_that_was_overtaken_hands_over_nothing_more() -> None:
    """Its lock ran out while it was stopped, and the next one has fed since."""
    message = make_message(make_tenant())
    with locks.simple(feed.LOCK, lease_seconds=0.01) as late:
        with crowds.pool(1) as pool:

            def feed_next() -> None:
                with locks.simple(feed.LOCK, wait_seconds=5), fence.guarded(feed.LOCK):
                    pass
                connection.close()

            pool.submit(feed_next).result()
        with pytest.raises(fence.Overtaken):
            feed._feeder.look(timezone.now())
    assert late.lost.is_set()
    message.refresh_from_db()
    assert message.status == Status.PENDING
    assert broker.depth(SEND) == 0


def test_useful_threads_stay_reported_when_nothing_is_on_its_way_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the pools would grow past the cap of a provider in each pause between two messages to it."""
    tenant = make_tenant()
    make_provider(tenant, max_at_once=5)
    make_message(tenant)
    queue_statistics.measure(timezone.now())
    feeder = feed.Feeder()
    assert feeder.look(timezone.now()) == 1
    useful = queue_statistics.latest().useful_threads
    assert useful is not None
    assert useful >= 5
    Message.objects.update(status=Status.SENT)
    queue_statistics.publish_drain(per_second=None, oldest_seconds=0.0, useful_threads=None)
    monkeypatch.setattr(feed, "ROUTES_SECONDS", 0.0)
    feeder._each_second_at = 0.0  # a second has passed
    feeder.look(timezone.now())
    assert feeder.routes == {}
    assert queue_statistics.latest().useful_threads == useful


def test_without_redis_it_feeds_without_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    make_message(make_tenant())

    def away(*_args: object, **_options: object) -> None:
        raise redis.Unavailable

    monkeypatch.setattr(locks.server, "take", away)
    feed.keep_feeding()
    assert broker.depth(SEND) == 1


@pytest.fixture
def ready_feeder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a feeder with nothing to feed, in a thread of its own. Left alone it looks every two seconds."""
    monkeypatch.setattr(feed, "READY_LOOK_SECONDS", 1.9)
    stop = threading.Event()
    monkeypatch.setattr(feed, "stopping", stop)
    crowd = crowds.start(feed.keep_feeding)
    poll(lambda: not registry.is_needed("messaging.feed"), what="the feeder says that it stays ready")
    yield
    stop.set()
    kick_feeder()
    crowd.join()


@pytest.mark.usefixtures("ready_feeder")
def test_a_feeder_that_stays_ready_feeds_what_it_is_kicked_for() -> None:
    tenant = make_tenant()
    for number in range(1, 4):
        make_batch(tenant, pending=1)
        redis.client().delete(redis.key("kick"))  # kicks are for at most one in a fifth of a second
        kick_feeder()
        poll(lambda number=number: queued_of(tenant.pk) == number, what="what came is in the broker")  # type: ignore[misc]


@pytest.mark.usefixtures("ready_feeder")
def test_beat_starts_no_second_feeder_and_one_that_starts_all_the_same_ends() -> None:
    feed.keep_feeding()
    assert not registry.is_needed("messaging.feed"), "the first one stays ready"


def test_a_feeder_that_died_is_replaced_when_its_note_has_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "NOTE_MS", 300)
    assert registry.is_needed("messaging.feed")
    dead = readiness.Readiness()
    assert dead.claim()
    assert not readiness.Readiness().claim()
    assert not registry.is_needed("messaging.feed")
    poll(lambda: registry.is_needed("messaging.feed"), what="the note runs out")
    assert readiness.Readiness().claim()


def test_recovery_is_needed_only_while_something_is_in_progress() -> None:
    message = make_message(make_tenant())
    for status, times, needed in (
        (Status.PENDING, {}, False),
        (Status.QUEUED, {"queued_at": timezone.now()}, True),
        (Status.SENDING, {"lease_until": timezone.now()}, True),
        (Status.SENT, {}, False),
    ):
        Message.objects.filter(pk=message.pk).update(status=status, **times)
        assert registry.is_needed("messaging.recover") is needed


def test_what_begins_while_nothing_is_in_progress_is_not_passed_over() -> None:
    """A feeder that has just looked only makes sure that nothing has begun."""
    feeder = feed._feeder
    feed.feed(now=timezone.now())
    assert feeder.is_calm(time.monotonic())
    tenant = make_tenant()
    later = make_message(tenant, due_at=timezone.now() + timedelta(days=1))
    assert not feeder.is_calm(time.monotonic()), "what waits for tomorrow is looked after each second"
    later.delete()
    assert feeder.is_calm(time.monotonic())
    make_batch(tenant)
    assert not feeder.is_calm(time.monotonic()), "an open batch has to be closed"


def test_a_feeder_looks_again_after_a_while_a_new_bound_an_admission_and_a_loss_of_redis() -> None:
    feeder = feed._feeder
    feed.feed(now=timezone.now())
    assert not feeder.is_calm(time.monotonic() + feed.CALM_SECONDS + 0.1)
    capacity(200)
    assert not feeder.is_calm(time.monotonic())
    feed.feed(now=timezone.now())
    assert feeder.is_calm(time.monotonic())
    assert admission.take({1: 1}) == {1: 1}
    assert not feeder.is_calm(time.monotonic())
    feed.feed(now=timezone.now())
    redis.client().delete(*admission.redis_keys())
    assert not feeder.is_calm(time.monotonic())
    assert admission.take({1: 1}) == {}, "what a loss has left is no count to rely upon"


def test_a_count_that_is_said_to_be_right_still_keeps_what_was_taken() -> None:
    feed.feed(now=timezone.now())
    at = admission.now_ms()
    granted = admission.take({admission.FEEDER: 5})[admission.FEEDER]
    assert granted == 5
    admission.renew_count(at=at)
    assert redis.client().hget(redis.key("admission"), "fed") == b"%d" % granted
