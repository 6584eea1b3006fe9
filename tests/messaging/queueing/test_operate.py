"""Cancel and send again, one message or many, over the API and below it."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from messaging.models import Batch, BatchStatus, Message, Status
from messaging.queueing import operate
from messaging.storage import store
from posthaste.lib.ids import new_id
from posthaste.lib.problems import Conflict
from tests.builders import TESTER, Api, json_of, make_api, make_batch, make_message, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
OPEN = ["pending", "queued"]
RETRYABLE = ["failed", "unknown", "expired", "cancelled"]


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return make_api(tenant)


def audited() -> list[tuple[str, str, dict[str, Any]]]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", "target", "detail"))


@pytest.mark.parametrize("status", OPEN)
def test_a_message_that_nobody_has_begun_is_cancelled(status: str, api: Api, tenant: Tenant) -> None:
    message = make_message(tenant, status=status)
    answer = json_of(api.post(f"/api/messages/{message.pk}/cancel/"))
    assert answer["status"] == "cancelled"
    assert answer["finished_at"]
    assert audited() == [("message.cancel", str(message.pk), {"was": status})]


@pytest.mark.parametrize("status", sorted(set(Status.values) - set(OPEN)))
def test_otherwise_cancelling_is_a_conflict_that_names_the_state(status: str, api: Api, tenant: Tenant) -> None:
    message = make_message(tenant, status=status)
    answer = api.post(f"/api/messages/{message.pk}/cancel/")
    assert (answer.status_code, json_of(answer)["current_status"]) == (409, status)
    assert status in json_of(answer)["detail"]
    message.refresh_from_db()
    assert message.status == status
    assert audited() == []


@pytest.mark.parametrize("status", RETRYABLE)
def test_what_ended_without_a_send_is_sent_again_with_fresh_retries(status: str, api: Api, tenant: Tenant) -> None:
    message = make_message(tenant, status=status, attempts=4, error_code="http_500", error_detail="HTTP 500")
    before = timezone.now()
    answer = json_of(api.post(f"/api/messages/{message.pk}/retry/"))
    assert (answer["status"], answer["attempts"], answer["error_code"], answer["error_detail"]) == ("pending", 0, "", "")
    message.refresh_from_db()
    assert message.due_at >= before
    assert (message.finished_at, message.claim, message.lease_until, message.queued_at) == (None, None, None, None)
    assert audited() == [("message.retry", str(message.pk), {"was": status})]


@pytest.mark.parametrize("status", sorted(set(Status.values) - set(RETRYABLE)))
def test_what_is_under_way_or_was_sent_is_not_sent_again(status: str, api: Api, tenant: Tenant) -> None:
    message = make_message(tenant, status=status)
    before = Message.objects.filter(pk=message.pk).values().get()
    answer = api.post(f"/api/messages/{message.pk}/retry/")
    assert answer.status_code == 409
    assert status in json_of(answer)["detail"]
    assert json_of(answer)["current_status"] == status
    assert Message.objects.filter(pk=message.pk).values().get() == before
    assert audited() == []


def test_sending_again_lifts_an_expiry_that_has_passed_and_keeps_one_that_has_not(tenant: Tenant) -> None:
    now = timezone.now()
    past = make_message(tenant, status=Status.EXPIRED, expires_at=now - timedelta(hours=1))
    ahead = make_message(tenant, status=Status.FAILED, expires_at=now + timedelta(hours=1))
    assert operate.retry_messages(ids=[past.pk, ahead.pk], by=TESTER, now=now) == 2
    past.refresh_from_db()
    ahead.refresh_from_db()
    assert past.expires_at is None
    assert ahead.expires_at == now + timedelta(hours=1)


@pytest.mark.parametrize(
    ("was", "becomes"), [("finished", "running"), ("cancelled", "running"), ("paused", "paused"), ("running", "running")]
)
def test_the_batch_of_a_message_that_is_sent_again_runs_again(was: str, becomes: str, tenant: Tenant) -> None:
    batch = make_batch(tenant, status=was, failed=1, sent=1)
    Batch.objects.filter(pk=batch.pk).update(finished_at=timezone.now())
    operate.retry_messages(ids=list(batch.messages.values_list("pk", flat=True)), by=TESTER, now=timezone.now())
    batch.refresh_from_db()
    assert batch.status == becomes
    assert sorted(batch.messages.values_list("status", flat=True)) == ["pending", "sent"]


def test_many_are_cancelled_at_once_and_only_those_in_time_count(tenant: Tenant) -> None:
    rows = [make_message(tenant, status=status) for status in Status.values]
    assert operate.cancel_messages(ids=[row.pk for row in rows], by=TESTER, now=timezone.now()) == 2
    assert Message.objects.filter(status=Status.CANCELLED).count() == 3  # one was already


def test_of_two_who_cancel_at_once_one_is_told_that_it_was_too_late(tenant: Tenant) -> None:
    message = make_message(tenant)
    same = Message.objects.get(pk=message.pk)  # as another request has read it
    operate.cancel_message(message=message, by=TESTER, now=timezone.now())
    with pytest.raises(Conflict):
        operate.cancel_message(message=same, by=TESTER, now=timezone.now())


def test_a_message_cancelled_before_it_is_claimed_is_not_claimed(tenant: Tenant) -> None:
    now = timezone.now()
    cancelled, queued = make_message(tenant, status=Status.QUEUED), make_message(tenant, status=Status.QUEUED)
    operate.cancel_message(message=cancelled, by=TESTER, now=now)
    claimed = store.claim([cancelled.pk, queued.pk], claim_id=new_id(), now=now, lease=timedelta(seconds=30))
    assert [row.id for row in claimed] == [queued.pk]


@pytest.mark.parametrize("decision", [Status.SENT, Status.FAILED])
def test_an_operator_settles_what_is_unknown_and_nothing_else(decision: Status, tenant: Tenant) -> None:
    rows = {status: make_message(tenant, status=status) for status in Status.values}
    now = timezone.now()
    assert operate.settle_unknown(ids=[row.pk for row in rows.values()], status=decision, by=TESTER, now=now) == 1
    settled = Message.objects.get(pk=rows["unknown"].pk)
    assert (settled.status, settled.claim, settled.finished_at) == (decision, None, now)
    assert {status for status, row in rows.items() if Message.objects.get(pk=row.pk).status != status} == {"unknown"}


def test_nobody_can_declare_an_unknown_message_delivered(tenant: Tenant) -> None:
    with pytest.raises(ValueError, match="delivered"):
        operate.settle_unknown(ids=[], status=Status.DELIVERED, by=TESTER, now=timezone.now())


def test_pausing_twice_at_once_takes_back_once(tenant: Tenant) -> None:
    batch = make_batch(tenant, queued=2)
    same = Batch.objects.get(pk=batch.pk)
    assert operate.pause_batch(batch=batch, by=TESTER) == 2
    with pytest.raises(Conflict):
        operate.pause_batch(batch=same, by=TESTER)
    assert batch.status == same.status == BatchStatus.PAUSED


def test_a_refused_cancel_of_a_batch_changes_none_of_its_messages(tenant: Tenant) -> None:
    batch = make_batch(tenant, status=BatchStatus.FINISHED, pending=1)
    with pytest.raises(Conflict):
        operate.cancel_batch(batch=batch, by=TESTER, now=timezone.now())
    assert batch.messages.get().status == Status.PENDING
