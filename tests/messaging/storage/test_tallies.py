"""Counts that the database keeps up itself are those one would count, whatever changes the messages."""

import random
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Tenant
from messaging.models import Batch, Message, Status, Tally, TallyChange
from messaging.queueing import operate
from messaging.storage import batches, partitions, store, tallies
from messaging.storage import tally_totals as adding
from posthaste.lib.ids import new_id
from tests.builders import TESTER, make_batch, make_message, make_tenant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]

kept = pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL keeps counts")


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


def assert_exact() -> None:
    """Compare the kept counts with counted ones, before and after adding up."""
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    span = (now - timedelta(hours=2), now + timedelta(hours=2))
    rows = list(Message.objects.values_list("tenant_id", "batch_id", "channel", "status", "latency_ms"))
    by_batch = Counter((batch, status) for _tenant, batch, _channel, status, _latency in rows if batch)
    for _ in range(2):
        found = tallies.by_batch(Batch.objects.values_list("pk", flat=True))
        assert {(batch, status): n for batch, status, n in found} == by_batch
        for tenant_id in (None, *Tenant.objects.values_list("pk", flat=True)):
            mine = [row for row in rows if tenant_id in (None, row[0])]
            assert {(c, s): n for c, s, n in tallies.by_channel(*span, tenant_id)} == Counter((row[2], row[3]) for row in mine)
            assert dict(tallies.by_latency(*span, tenant_id)) == Counter(row[4] for row in mine if row[4] is not None)
        adding.add_up()


def test_they_are_exact_through_the_life_of_messages(tenant: Tenant) -> None:
    batch = make_batch(tenant, pending=5)
    make_message(tenant, status=Status.QUEUED, channel="email")
    make_message(make_tenant(), status=Status.SENT, latency_ms=100)
    assert_exact()
    ids = list(batch.messages.values_list("pk", flat=True))
    store.move(ids, source=Status.PENDING, status=Status.QUEUED, queued_at=timezone.now())
    assert_exact()
    claim = new_id()
    store.claim(ids[:3], claim_id=claim, now=timezone.now(), lease=timedelta(seconds=30))
    assert_exact()
    outcomes = [store.Outcome(id=pk, status=Status.SENT.value, attempts=1, latency_ms=n) for n, pk in enumerate(ids[:2])]
    store.write_outcomes([*outcomes, store.Outcome(id=ids[2], status=Status.FAILED.value, attempts=1)], claim_id=claim)
    assert_exact()
    operate.cancel_batch(batch=batch, by=TESTER, now=timezone.now())
    assert_exact()
    operate.retry_messages(ids=ids, by=TESTER, now=timezone.now())
    assert_exact()
    Message.objects.filter(pk=ids[0]).delete()
    assert_exact()
    assert batches.counts_by_state(batch.pk) == {"pending": 3, "sent": 1}


def test_what_is_rolled_back_was_not_counted(tenant: Tenant) -> None:
    with transaction.atomic():
        make_batch(tenant, pending=2)
        transaction.set_rollback(True)
    assert_exact()


@kept
def test_adding_up_leaves_one_row_a_key_and_none_that_says_nothing(tenant: Tenant) -> None:
    for _ in range(3):
        message = make_message(tenant)
        store.move([message.pk], source=Status.PENDING, status=Status.QUEUED, queued_at=timezone.now())
        adding.add_up()
    assert not TallyChange.objects.exists()
    assert {(tally.status, tally.number) for tally in Tally.objects.filter(tenant_id=tenant.pk, status="queued")} == {("queued", 3)}


@kept
def test_an_emptied_table_has_nothing_to_count(tenant: Tenant) -> None:
    make_message(tenant)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE messaging_message")
    assert not Tally.objects.exists()
    assert not TallyChange.objects.exists()


@kept
def test_rows_that_move_into_a_new_partition_are_not_counted_again(tenant: Tenant) -> None:
    far = timezone.now() + timedelta(days=41)
    batch = make_batch(tenant)
    make_message(tenant, at=far, batch=batch)
    partitions.make_partition(far.date())
    try:
        assert tallies.by_batch([batch.pk]) == [(batch.pk, "pending", 1)]
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'DROP TABLE "messaging_message_{far:%Y%m%d}"')


@kept
def test_counts_end_with_the_batch_and_the_hours_they_are_of(tenant: Tenant) -> None:
    then = timezone.now() - timedelta(days=3)
    gone = UUID(int=(int(then.timestamp() * 1000) << 80) | (7 << 76))
    for batch_id in (gone, make_batch(tenant, sent=1).pk):
        Tally.objects.create(batch_id=batch_id, status="failed", number=1)
    Tally.objects.create(hour=then, tenant_id=tenant.pk, channel="sms", status="sent", number=1)
    adding.forget_before(moment=timezone.now() - timedelta(days=2))
    assert not Tally.objects.filter(batch_id=gone).exists()
    assert not Tally.objects.filter(hour=then).exists()
    assert Tally.objects.filter(status="failed", number=1).count() == 1


def test_a_latency_is_found_again_within_a_hundredth() -> None:
    for value in [*range(2_000), *(random.randrange(2**31) for _ in range(1_000))]:
        found = tallies.middle_of(tallies.bucket_of(value))
        assert abs(found - value) <= value / 100 if value >= 128 else found == value


@kept
def test_the_database_chooses_the_same_bucket(tenant: Tenant) -> None:
    for value in (0, 127, 128, 255, 256, 1_000, 65_535, 86_400_000, 2**31 - 1):
        make_message(tenant, status=Status.SENT, latency_ms=value)
        assert TallyChange.objects.filter(bucket=tallies.bucket_of(value)).exists(), value
