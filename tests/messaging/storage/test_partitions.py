"""Messages are partitioned by day on PostgreSQL; days are made ahead and dropped at the end of retention."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from messaging.models import Batch, BatchStatus, Message, ReceiptEntry, Status
from messaging.storage import partitions
from posthaste.lib.ids import first_id_at, made_at
from tests.builders import make_batch, make_message, make_provider, make_tenant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]

needs_partitions = pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has partitions")


@pytest.fixture(autouse=True)
def _made_ahead() -> None:
    partitions.make_ahead(now=timezone.now())


def partition_of(message: Message) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM messaging_message WHERE id = %s", [message.pk])
        return str(cursor.fetchone()[0])


@needs_partitions
def test_a_message_lies_in_the_partition_of_its_day() -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    message = make_message(make_tenant(), at=tomorrow)
    assert partition_of(message) == f"messaging_message_{tomorrow:%Y%m%d}"


@needs_partitions
def test_two_weeks_are_made_ahead_and_making_them_again_does_nothing() -> None:
    assert partitions.make_ahead(now=timezone.now()) == 0
    last = partitions.partitions()[-1]
    assert last.ends_at >= timezone.now() + timedelta(days=14)
    assert partitions.make_ahead(now=timezone.now() + timedelta(days=2)) == 2
    for partition in partitions.partitions()[-2:]:
        with connection.cursor() as cursor:
            cursor.execute(f'DROP TABLE "{partition.name}"')


@needs_partitions
def test_messages_of_a_day_that_was_never_made_are_kept_and_move_in_when_it_is() -> None:
    far = timezone.now() + timedelta(days=40)
    message = make_message(make_tenant(), at=far)
    assert partition_of(message) == "messaging_message_default"
    assert partitions.make_partition(far.date()) is True
    assert partition_of(message) == f"messaging_message_{far:%Y%m%d}"
    with connection.cursor() as cursor:
        cursor.execute(f'DROP TABLE "messaging_message_{far:%Y%m%d}"')


def test_at_the_end_of_retention_old_messages_go_with_receipts_and_batches_and_young_ones_stay() -> None:
    tenant = make_tenant()
    then = timezone.now() + timedelta(days=3)  # a day that has a partition of its own, seen from two weeks later
    old, young = make_message(tenant, status=Status.SENT, at=then), make_message(tenant, status=Status.SENT, at=then + timedelta(days=5))
    batch = Batch.objects.create(
        id=first_id_at(then), tenant=tenant, channel="sms", status=BatchStatus.FINISHED, accepted=1, created_at=then
    )
    in_batch = make_message(tenant, status=Status.DELIVERED, at=then, batch=batch)
    provider = make_provider(tenant)
    ReceiptEntry.objects.create(id=first_id_at(then), provider=provider, message=in_batch, reported="delivered", outcome="applied")
    partitions.forget_before(moment=then + timedelta(days=3))
    assert set(Message.objects.values_list("pk", flat=True)) == {young.pk}
    assert not Batch.objects.filter(pk=batch.pk).exists()
    assert not ReceiptEntry.objects.exists()
    assert made_at(old.pk) < then + timedelta(days=1)


def test_what_is_still_in_progress_is_kept_however_old_it_is() -> None:
    tenant = make_tenant()
    then = timezone.now() + timedelta(days=4)
    waiting = make_message(tenant, status=Status.PENDING, at=then)
    partitions.forget_before(moment=then + timedelta(days=5))
    assert list(Message.objects.values_list("pk", flat=True)) == [waiting.pk]


def test_the_job_does_both_and_keeps_everything_when_retention_is_off() -> None:
    message = make_message(make_tenant(), status=Status.SENT, at=timezone.now() - timedelta(days=400))
    assert partitions.maintain(now=timezone.now(), retention_days=0)["removed"] == 0
    assert Message.objects.filter(pk=message.pk).exists()


def test_a_batch_on_the_partitioned_table_counts_as_before() -> None:
    batch = make_batch(make_tenant(), sent=3, pending=2)
    assert Message.objects.filter(batch=batch).count() == 5
