"""The search of every page: what an id, a recipient, a reference or a name finds, of the reader's own tenants."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Member, Tenant, User
from accounts.roles import Role
from messaging.models import Batch
from tests.builders import make_batch, make_message, make_tenant
from tracing import w3c

pytestmark = pytest.mark.django_db
PHONE = "+8613812345678"


def viewer(tenant: Tenant) -> Client:
    user = User.objects.create(username=f"viewer of {tenant.slug}", is_staff=True)
    Member.objects.create(user=user, tenant=tenant, role=Role.VIEWER)
    client = Client()
    client.force_login(user)
    return client


def found(client: Client, term: str) -> list[str]:
    answer: Any = client.get(reverse("search"), {"q": term}, headers={"X-Panel": "1"})
    assert answer.status_code == 200
    return [hit["url"] for group in answer.context["groups"] for hit in group["hits"]]


def address(row: Any) -> str:
    return reverse(f"admin:messaging_{row._meta.model_name}_change", args=[row.pk])


def test_an_id_leads_straight_to_its_message_or_batch() -> None:
    tenant = make_tenant()
    client = viewer(tenant)
    message = make_message(tenant)
    batch = make_batch(tenant)
    for row in (message, batch):
        for written in (str(row.pk), row.pk.hex, f" {row.pk} ", w3c.traceparent(row.pk, "attempt 1")):
            answer = client.get(reverse("search"), {"q": written})
            assert (answer.status_code, answer.headers.get("Location")) == (302, address(row))


def test_a_recipient_and_a_reference_find_their_messages() -> None:
    tenant = make_tenant()
    client = viewer(tenant)
    message = make_message(tenant, recipient=PHONE, reference="order-77")
    assert found(client, PHONE) == [address(message)]
    assert found(client, "86 138 1234 5678") == [address(message)]
    assert found(client, "order-77") == [address(message)]
    shown = client.get(reverse("search"), {"q": "order-77"}).content.decode()
    assert "12345678" not in shown


def test_the_start_of_a_name_finds_batches_and_a_word_finds_pages() -> None:
    tenant = make_tenant()
    client = viewer(tenant)
    batch = make_batch(tenant)
    Batch.objects.filter(pk=batch.pk).update(name="Promotion November")
    assert found(client, "promotion") == [address(batch)]
    assert reverse("admin:messaging_provider_changelist") in found(client, "provid")


def test_nothing_of_another_tenant_is_found() -> None:
    own, other = make_tenant("Own"), make_tenant("Other")
    theirs = make_message(other, recipient=PHONE, reference="order-77")
    client = viewer(own)
    for term in (PHONE, "order-77", str(theirs.pk)):
        assert found(client, term) == []


@pytest.mark.parametrize("term", ["", "\0", "%", "x" * 5_000, "'; --", "<script>"])
def test_any_term_has_an_answer(term: str) -> None:
    answer = viewer(make_tenant()).get(reverse("search"), {"q": term})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.content.decode()
