"""What the triggers of the database record, whichever code made the change."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import KeyKind, Tenant
from messaging.models import Batch, BatchStatus, Event, EventRecording, Message, RecordedEvent, Status
from messaging.queueing import operate
from messaging.receipts import sandbox
from messaging.storage import batches, store, unreadable
from messaging.webhooks import content, event_types, events
from posthaste.lib.ids import new_id
from tests.builders import TESTER, make_batch, make_key, make_message, make_provider, make_tenant
from tests.messaging.webhooks.hooks import end, make_endpoint, recorded, sent, types

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
NOW = timezone.now


@pytest.fixture
def tenant() -> Tenant:
    """Make a tenant whose changes are recorded."""
    tenant = make_tenant()
    events.start_recording(tenant.pk)
    return tenant


def cancel(rows: list[Message]) -> None:
    operate.cancel_messages(ids=[row.pk for row in rows], by=TESTER, now=NOW())


def retry(rows: list[Message]) -> None:
    operate.retry_messages(ids=[row.pk for row in rows], by=TESTER, now=NOW())


def settle(rows: list[Message]) -> None:
    operate.settle_unknown(ids=[row.pk for row in rows], status=Status.FAILED, by=TESTER, now=NOW())


def report(rows: list[Message]) -> None:
    sandbox.apply_sandbox_receipts([[row.pk.hex, "delivered", "", ""] for row in rows], now=NOW())


def look_up(rows: list[Message]) -> None:
    store.move([row.pk for row in rows], source=Status.UNKNOWN, status=Status.SENT, sent_at=NOW(), finished_at=NOW())


def plant_unreadable(rows: list[Message]) -> None:
    with connection.cursor() as cursor:
        key = rows[0].pk if connection.vendor == "postgresql" else rows[0].pk.hex
        cursor.execute("UPDATE messaging_message SET variables = '[]' WHERE id = %s", [key])
    assert unreadable.set_aside(Message.objects.filter(pk=rows[0].pk)) == 1


WRITERS: dict[str, tuple[str, Callable[[list[Message]], None], str]] = {
    "a provider accepts it": ("queued", lambda rows: end(rows, "sent"), "message.sent"),
    "it fails": ("queued", lambda rows: end(rows, "failed", error_code="http_400"), "message.failed"),
    "its outcome is unknown": ("queued", lambda rows: end(rows, "unknown", error_code="timeout"), "message.unknown"),
    "a rule ends it": ("queued", lambda rows: end(rows, "suppressed", error_code="rule:suppressed:manual"), "message.suppressed"),
    "it expires": ("queued", lambda rows: end(rows, "expired", error_code="expired"), "message.expired"),
    "it is put off": ("queued", lambda rows: end(rows, "pending", due_at=NOW(), error_code="http_500"), "message.deferred"),
    "a receipt says delivered": ("sent", report, "message.delivered"),
    "an operator cancels it": ("pending", cancel, "message.cancelled"),
    "an operator sends it again": ("failed", retry, "message.deferred"),
    "an operator decides about it": ("unknown", settle, "message.failed"),
    "a look-up finds it": ("unknown", look_up, "message.sent"),
    "it can't be read": ("pending", plant_unreadable, "message.failed"),
}


@pytest.mark.parametrize("case", WRITERS)
def test_a_change_of_a_message_is_recorded_when(case: str, tenant: Tenant) -> None:
    status, change, expected = WRITERS[case]
    provider = make_provider(tenant)
    row = make_message(tenant, status=status, provider=provider, is_sandbox=status == "sent")
    change([row])
    (event,) = recorded(tenant)
    assert (event.type, event.subject_id, event.channel) == (expected, row.pk, "sms")
    assert event.data["status"] == Message.objects.values_list("status", flat=True).get(pk=row.pk)
    assert abs(event.occurred_at - NOW()) < timedelta(minutes=1)


def test_each_state_that_ends_a_message_has_a_type_of_event() -> None:
    internal = {Status.PENDING, Status.QUEUED, Status.SENDING}
    assert {f"message.{status}" for status in set(Status) - internal} | {"message.deferred"} == {
        name for name in event_types.EVENT_TYPES if name.startswith("message.")
    }


def test_the_usual_way_to_a_worker_and_back_is_no_event(tenant: Tenant) -> None:
    row = make_message(tenant)
    store.move([row.pk], source="pending", status="queued", queued_at=NOW())
    store.claim([row.pk], claim_id=(claim := new_id()), now=NOW(), lease=timedelta(seconds=30))
    store.write_outcomes([store.Outcome(id=row.pk, status="pending", attempts=0, due_at=NOW())], claim_id=claim)
    store.move([row.pk], source="pending", status="queued", queued_at=NOW())
    store.move([row.pk], source="queued", status="pending", queued_at=None)
    assert recorded(tenant) == []


def test_a_change_of_something_else_than_the_state_is_no_event(tenant: Tenant) -> None:
    row = make_message(tenant, status="sent")
    Message.objects.filter(pk=row.pk).update(error_detail="noted", status="sent")
    assert recorded(tenant) == []


def test_nothing_is_recorded_for_a_tenant_that_nobody_listens_to() -> None:
    sent(make_tenant())
    assert not Event.objects.exists()
    assert not RecordedEvent.objects.exists()


def test_an_event_dies_with_the_change_that_it_tells_of(tenant: Tenant) -> None:
    row = make_message(tenant)

    @transaction.atomic
    def cancel_and_fail() -> None:
        cancel([row])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cancel_and_fail()
    assert recorded(tenant) == []
    assert Message.objects.get(pk=row.pk).status == "pending"


def test_events_of_a_message_are_in_the_order_of_its_changes(tenant: Tenant) -> None:
    rows = [make_message(tenant) for _ in range(20)]
    for status in ("pending", "failed", "sent", "unknown"):
        end(rows, status, error_code="x", due_at=NOW())
    told = [(event.subject_id, event.data["status"]) for event in recorded(tenant)]
    for row in rows:
        assert [status for subject, status in told if subject == row.pk] == ["pending", "failed", "sent", "unknown"]


def test_a_bulk_statement_records_an_event_for_each_row(tenant: Tenant) -> None:
    batch = make_batch(tenant, pending=30)
    operate.cancel_batch(batch=batch, by=TESTER, now=NOW())
    batches.sweep(now=NOW())
    assert types(tenant).count("message.cancelled") == 30


def test_a_batch_tells_what_becomes_of_it(tenant: Tenant) -> None:
    batch = make_batch(tenant, pending=1)
    operate.pause_batch(batch=batch, by=TESTER)
    operate.resume_batch(batch=batch, by=TESTER)
    Batch.objects.filter(pk=batch.pk).update(status=BatchStatus.FINISHED, finished_at=NOW())
    with transaction.atomic():
        batches.reopen([batch.pk])
    operate.cancel_batch(batch=batch, by=TESTER, now=NOW())
    told = [event for event in recorded(tenant) if event.type.startswith("batch.")]
    assert [event.type for event in told] == [
        "batch.started",
        "batch.paused",
        "batch.resumed",
        "batch.finished",
        "batch.resumed",
        "batch.cancelled",
    ]
    assert {event.subject_id for event in told} == {batch.pk}
    assert told[-1].data == {"status": "cancelled", "previous_status": "running"}


def test_events_of_a_sandbox_key_are_marked(tenant: Tenant) -> None:
    key, _text = make_key(tenant, kind=KeyKind.SANDBOX)
    Batch.objects.create(tenant=tenant, api_key=key, channel="sms", created_at=NOW())
    Batch.objects.create(tenant=tenant, channel="sms", created_at=NOW())
    sent(tenant, is_sandbox=True)
    assert [event.is_sandbox for event in recorded(tenant)] == [True, False, True]


def test_a_value_that_fits_no_column_does_not_stop_a_change(tenant: Tenant) -> None:
    if connection.vendor == "postgresql":
        pytest.skip("PostgreSQL refuses such values")
    row = make_message(tenant, status="failed")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messaging_message SET error_code = x'ff00', provider_id = x'01', due_at = 'soon' WHERE id = %s", [row.pk.hex]
        )
        cursor.execute("UPDATE messaging_message SET status = 'pending' WHERE id = %s", [row.pk.hex])
    page = events.after(tenant_id=tenant.pk, position=0, limit=10, now=NOW())
    assert [event["type"] for event in page.events] == ["message.deferred"]


def test_another_app_records_its_own_events(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_types, "EVENT_TYPES", dict(event_types.EVENT_TYPES))
    event_types.declare("parcel.closed", "a parcel was closed")
    subject, stranger = new_id(), make_tenant()
    new: dict[str, Any] = {"type": "parcel.closed", "occurred_at": NOW(), "subject_id": subject, "data": {"by": "ada"}}
    number = events.record([events.NewEvent(tenant_id=tenant.pk, **new), events.NewEvent(tenant_id=stranger.pk, **new)])
    assert number == 1
    (event,) = content.as_seen(recorded(tenant))
    assert event["type"] == "parcel.closed"
    assert event["data"] == {"id": str(subject), "by": "ada"}


def test_an_event_of_a_type_that_is_not_declared_is_refused(tenant: Tenant) -> None:
    with pytest.raises(ValueError, match="not declared"):
        events.record([events.NewEvent(tenant_id=tenant.pk, type="order.made", occurred_at=NOW())])


@pytest.mark.parametrize("name", ["sent", "Message.sent", "message.", "message.sent.twice", "m." + "x" * 60, "message.sent"])
def test_a_type_of_event_is_declared_once_and_well(name: str) -> None:
    with pytest.raises(ValueError, match=r"subject\.happened|twice"):
        event_types.declare(name, "")


def test_an_endpoint_starts_the_recording_and_its_tables_have_their_triggers() -> None:
    tenant = make_tenant()
    make_endpoint(tenant, "https://hooks.example.com/in")
    assert EventRecording.objects.filter(tenant=tenant).exists()
    sent(tenant)
    assert types(tenant) == ["message.sent"]
