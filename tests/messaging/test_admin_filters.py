"""The admin's list of messages, narrowed down: by template, error, id, state, batch, tenant, reference, recipient and time."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Member, Tenant, User
from accounts.roles import Role
from messaging.models import Message, Status
from posthaste.lib.ids import first_id_at
from tests.builders import make_batch, make_message, make_template, make_tenant, published
from tracing import w3c

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
PHONE = "+447911123456"
LIST = "admin:messaging_message_changelist"


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant("Mine")


@pytest.fixture
def other() -> Tenant:
    return make_tenant("Other")


def signed_in(*tenants: Tenant) -> Client:
    user = User.objects.create(username="ada", is_staff=True)
    for tenant in tenants:
        Member.objects.create(user=user, tenant=tenant, role=Role.VIEWER)
    client = Client()
    client.force_login(user)
    return client


def found(client: Client, **query: Any) -> set[Any]:
    answer: Any = client.get(reverse(LIST), query)
    assert answer.status_code == 200, answer
    return {row.pk for row in answer.context["cl"].result_list}


def full(tenant: Tenant) -> Message:
    """Make a message that every filter can find."""
    return make_message(
        tenant,
        status=Status.FAILED,
        recipient=PHONE,
        reference="order-1",
        error_code="timeout",
        template_version=published(make_template(tenant, name="code")),
        body="",
        batch=make_batch(tenant),
    )


def test_each_filter_finds_what_it_names_in_the_readers_own_tenants_only(tenant: Tenant, other: Tenant) -> None:
    wanted, foreign = full(tenant), full(other)
    plain = make_message(tenant, recipient="+8613812345678")
    client = signed_in(tenant)
    assert found(client) == {wanted.pk, plain.pk}
    queries: list[dict[str, Any]] = [
        {"template": "code"},
        {"error": "timeout"},
        {"state": "failed"},
        {"state": "dead"},
        {"batch": str(wanted.batch_id)},
        {"q": str(wanted.pk)},
        {"q": wanted.pk.hex},
        {"q": w3c.traceparent(wanted.pk, "attempt 1")},
        {"q": str(wanted.batch_id)},
        {"q": PHONE},
        {"q": "order-1"},
    ]
    for query in queries:
        assert found(client, **query) == {wanted.pk}, query
    for query in ({"batch": str(foreign.batch_id)}, {"q": foreign.pk.hex}, {"q": str(foreign.batch_id)}, {"q": PHONE[:-1]}):
        assert found(client, **query) == set(), query


def test_a_reader_of_several_tenants_chooses_one(tenant: Tenant, other: Tenant) -> None:
    mine, theirs, hidden = full(tenant), full(other), full(make_tenant("Hidden"))
    client = signed_in(tenant, other)
    assert found(client) == {mine.pk, theirs.pk}
    assert found(client, tenant=str(other.pk)) == {theirs.pk}
    assert found(client, tenant=str(other.pk), template="code", state="failed") == {theirs.pk}
    assert is_refused(client, tenant=str(hidden.tenant_id))


def test_times_narrow_it_down_to_what_was_accepted_between_them(tenant: Tenant) -> None:
    now = timezone.now()
    days = [now - timedelta(days=days) for days in (3, 2, 1)]
    rows = [make_message(tenant, id=first_id_at(at), at=at) for at in days]
    client = signed_in(tenant)
    middle = days[1]
    start, end = middle - timedelta(hours=1), middle + timedelta(hours=1)
    assert found(client, **{"from": f"{start:%Y-%m-%dT%H:%M}", "until": f"{end:%Y-%m-%dT%H:%M}"}) == {rows[1].pk}
    assert found(client, **{"from": start.isoformat()}) == {rows[1].pk, rows[2].pk}
    assert found(client, until=f"{start:%Y-%m-%dT%H:%M}") == {rows[0].pk}
    assert found(client, since="week", until=f"{end:%Y-%m-%dT%H:%M}") == {rows[0].pk, rows[1].pk}
    shown = client.get(reverse(LIST), {"from": f"{start:%Y-%m-%dT%H:%M}", "state": "pending"}).content.decode()
    assert f"{start:%Y-%m-%d %H:%M} – …" in shown
    assert '<input type="hidden" name="state" value="pending">' in shown, "the form of the times keeps the other filters"


def is_refused(client: Client, **query: Any) -> bool:
    """Return whether an address is answered with a warning that nothing was filtered, in place of rows that look as if they were."""
    answer = client.get(reverse(LIST), query)
    if answer.status_code == 400:
        return True
    followed = client.get(reverse(LIST), query, follow=True)
    return answer.status_code == 302 and "A filter of the address could not be understood" in followed.content.decode()


@pytest.mark.parametrize(
    "query",
    [
        {"state": "lost"},
        {"since": "yesterday"},
        {"from": "yesterday"},
        {"until": "2030-99-01T00:00"},
        {"until": "9999-12-31T23:59"},
        {"batch": "not-an-id"},
        {"tenant": "999999"},
        {"stat": "failed"},
        {"templates": "code"},
        {"trace": "x"},
    ],
    ids=str,
)
def test_a_filter_that_is_misspelt_is_said_to_be(query: dict[str, str], tenant: Tenant) -> None:
    make_message(tenant)
    assert is_refused(signed_in(tenant), **query)


def test_a_template_or_error_that_there_is_none_of_finds_nothing(tenant: Tenant) -> None:
    make_message(tenant)
    client = signed_in(tenant)
    assert found(client, template="code") == set()
    assert found(client, error="timeout") == set()
