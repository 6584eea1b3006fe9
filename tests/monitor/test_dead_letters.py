"""Dead letters by reason, and sending all of one reason again."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, Member, Tenant, User
from accounts.roles import Role
from messaging.models import Message, Status
from posthaste.lib.ids import new_id
from tests.builders import make_message, make_tenant

pytestmark = pytest.mark.django_db
PAGE, REPLAY = "dead-letters", "dead-letters-replay"


def member(tenant: Tenant, role: str) -> Client:
    user, _made = User.objects.get_or_create(username=f"{role} of {tenant.slug}", defaults={"is_staff": True})
    Member.objects.get_or_create(user=user, tenant=tenant, role=role)
    client = Client()
    client.force_login(user)
    return client


def test_reasons_are_counted_the_largest_first_and_of_the_own_tenant_alone() -> None:
    tenant, other = make_tenant("Own"), make_tenant("Other")
    for code in ("timeout", "http_503", "http_503"):
        make_message(tenant, status=Status.FAILED, error_code=code)
    make_message(tenant, status=Status.UNKNOWN, error_code="timeout")
    make_message(tenant, status=Status.SENT)
    make_message(other, status=Status.FAILED, error_code="theirs")
    answer = member(tenant, Role.VIEWER).get(reverse(PAGE))
    rows = [(row["code"], row["status"], row["number"]) for row in answer.context["rows"]]
    assert rows[0] == ("http_503", "failed", 2)
    assert sorted(rows[1:]) == [("timeout", "failed", 1), ("timeout", "unknown", 1)]
    assert "Send all again" not in answer.content.decode()  # a viewer changes nothing


def test_all_of_one_reason_are_sent_again_once_that_was_confirmed() -> None:
    tenant = make_tenant()
    client = member(tenant, Role.OPERATOR)
    row = make_message(tenant, status=Status.FAILED, error_code="http_503")
    kept = make_message(tenant, status=Status.FAILED, error_code="bad_number")
    asked = client.get(reverse(REPLAY), {"code": "http_503", "status": "failed"})
    assert "This affects <strong>1</strong> message." in asked.content.decode()
    row.refresh_from_db()
    assert row.status == Status.FAILED
    done = client.post(reverse(REPLAY), {"code": "http_503", "status": "failed"})
    assert done.headers["Location"] == reverse(PAGE)
    for message in (row, kept):
        message.refresh_from_db()
    assert (row.status, kept.status) == (Status.PENDING, Status.FAILED)
    assert AuditEntry.objects.filter(action="message.retry").exists()


def test_many_want_their_number_typed() -> None:
    tenant, now = make_tenant(), timezone.now()
    made = {"tenant": tenant, "channel": "sms", "recipient": "+8613812345678", "created_at": now, "due_at": now}
    Message.objects.bulk_create([Message(id=new_id(), status=Status.FAILED, error_code="timeout", **made) for _row in range(51)])
    client = member(tenant, Role.OPERATOR)
    refused = client.post(reverse(REPLAY), {"code": "timeout", "status": "failed"})
    assert refused.status_code == 422
    assert not Message.objects.filter(status=Status.PENDING).exists()
    client.post(reverse(REPLAY), {"code": "timeout", "status": "failed", "number": "51"})
    assert Message.objects.filter(status=Status.PENDING).count() == 51


def test_nothing_is_sent_again_by_one_who_only_looks_or_in_another_tenant() -> None:
    tenant, other = make_tenant("Own"), make_tenant("Other")
    mine = make_message(tenant, status=Status.FAILED, error_code="timeout")
    theirs = make_message(other, status=Status.FAILED, error_code="timeout")
    member(tenant, Role.VIEWER).post(reverse(REPLAY), {"code": "timeout", "status": "failed"})
    mine.refresh_from_db()
    assert mine.status == Status.FAILED
    member(tenant, Role.OPERATOR).post(reverse(REPLAY), {"code": "timeout", "status": "failed"})
    theirs.refresh_from_db()
    assert theirs.status == Status.FAILED


@pytest.mark.parametrize("status", ["", "sent", "nonsense"])
def test_only_dead_letters_are_sent_again(status: str) -> None:
    assert member(make_tenant(), Role.OPERATOR).get(reverse(REPLAY), {"code": "x", "status": status}).status_code == 404
