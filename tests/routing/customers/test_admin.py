"""Customers in the admin: masked in the list, a merge and an erasure ask first."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, Member, User
from accounts.roles import Role
from routing.models import Customer, CustomerAttribute, IdentityKind
from tests.builders import make_tenant
from tests.routing.builders import make_customer, make_identity
from tests.routing.customers.builders import make_known

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    user = User.objects.create(username="ada", is_staff=True)
    Member.objects.create(user=user, tenant=make_tenant(), role=Role.OPERATOR)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def customer(client: Client) -> Customer:
    return make_known(Member.objects.get().tenant, value="ada@example.com", name="Ada").customer


def page(verb: str, customer: Customer) -> str:
    return reverse(f"admin:routing_customer_{verb}", args=[customer.pk])


def test_the_list_masks_and_finds_by_the_whole_value(client: Client, customer: Customer) -> None:
    make_customer(customer.tenant, name="Bob")
    text = client.get("/admin/routing/customer/", {"q": "Ada@example.com"}).content.decode()
    assert "a***@example.com" in text
    assert "Bob" not in text
    assert ">ada@example.com" not in text
    assert "Bob" not in client.get("/admin/routing/customer/", {"q": "ada@example"}).content.decode()


def test_a_merge_shows_what_will_happen_before_it_does(client: Client, customer: Customer) -> None:
    other = make_customer(customer.tenant, name="Augusta")
    make_identity(other, IdentityKind.PHONE, value="+8613812345678")
    text = client.get(page("merge", customer), {"other": "+8613812345678"}).content.decode()
    assert "Augusta" in text
    assert "+8613812345678" in text
    assert not Customer.objects.exclude(merged_into=None).exists()
    client.post(page("merge", customer), {"other": str(other.pk)})
    assert Customer.objects.get(pk=other.pk).merged_into_id == customer.pk


def test_a_merge_that_is_not_possible_has_no_button(client: Client, customer: Customer) -> None:
    assert "is not merged with itself" in client.get(page("merge", customer), {"other": str(customer.pk)}).content.decode()
    assert "No other customer" in client.get(page("merge", customer), {"other": "nothing@example.com"}).content.decode()


def test_an_erasure_wants_the_number_of_texts(client: Client, customer: Customer) -> None:
    assert "suppression list" in client.get(page("erase", customer)).content.decode()
    client.post(page("erase", customer), {"number": "7"})
    assert Customer.objects.get(pk=customer.pk).erased_at is None
    client.post(page("erase", customer), {"number": "1"})
    assert Customer.objects.get(pk=customer.pk).erased_at is not None


@pytest.mark.parametrize(("name", "text", "value"), [("vip", "true", True), ("tags", "b2b, new", ["b2b", "new"]), ("orders", "12", 12)])
def test_what_staff_type_is_kept_as_its_kind(client: Client, customer: Customer, name: str, text: str, value: object) -> None:
    client.post(page("attribute", customer), {"name": name, "value": text})
    assert (CustomerAttribute.objects.get().value, CustomerAttribute.objects.get().source) == (value, "staff")
    client.post(page("attribute", customer), {"name": name, "value": ""})
    assert not CustomerAttribute.objects.exists()


def test_a_wrong_value_is_refused_beside_its_field(client: Client, customer: Customer) -> None:
    answer = client.post(page("attribute", customer), {"name": "vip", "value": "perhaps"})
    assert (answer.status_code, "vip must be true or false" in answer.content.decode()) == (422, True)


def test_an_export_is_a_file_that_is_written_down_and_kept_by_no_cache(client: Client, customer: Customer) -> None:
    answer = client.post(page("export_data", customer))
    assert b"ada@example.com" in answer.content
    assert "no-store" in answer["Cache-Control"]
    assert AuditEntry.objects.filter(action="customer.export", target=str(customer.pk)).exists()
