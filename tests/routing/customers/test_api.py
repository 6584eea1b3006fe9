"""Customers over the API: masked in lists, found by any of their names, merged and erased with a reason where that is refused."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Tenant
from routing.api.customers import filters
from routing.customers.names import has_part
from routing.models import AttributeSource, Customer, CustomerAttribute, IdentityKind
from tests.builders import Api, fields_of, json_of, make_api, make_suppression, make_tenant
from tests.routing.builders import make_conversation, make_customer, make_identity
from tests.routing.customers.builders import make_attribute

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)


def make_known(tenant: Tenant, name: str, email: str, **attributes: Any) -> Customer:
    customer = make_customer(tenant, name=name)
    make_identity(customer, IdentityKind.EMAIL, value=email)
    for attribute, value in attributes.items():
        make_attribute(customer, attribute, value, AttributeSource.API)
    return customer


def names(answer: Any) -> list[str]:
    return [row["name"] for row in json_of(answer)["results"]]


def test_customers_are_found_by_any_name_and_masked_in_the_list(tenant: Tenant, api: Api) -> None:
    ada = make_known(tenant, "Ada", "ada@example.com", level="gold", vip=True)
    make_identity(ada, IdentityKind.PHONE, value="+8613812345678")
    make_known(tenant, "Bob", "bob@example.com", level="silver")
    for query in (
        {"identity": "Ada@Example.com"}, {"identity": "8613812345678"}, {"kind": "phone"}, {"level": "gold"}, {"vip": "true"},
        {"name": "AD"},
        {"identity": "+8613812345678", "kind": "phone"},
    ):  # fmt: skip
        assert names(api.get("/api/customers/", **query)) == ["Ada"], query
    assert names(api.get("/api/customers/", identity="ada@example.com", kind="phone")) == []
    text = api.get("/api/customers/").content.decode()
    assert "ada@example.com" not in text
    assert "a***@example.com" in text
    assert "ada@example.com" in api.get(f"/api/customers/{ada.pk}/").content.decode()


def test_a_list_asks_as_often_for_many_as_for_one(tenant: Tenant, api: Api) -> None:
    counts = []
    for number in range(2):
        for each in range(1 + 4 * number):
            make_known(tenant, "Ada", f"ada{number}{each}@example.com", level="gold")
        with CaptureQueriesContext(connection) as found:
            api.get("/api/customers/")
        counts.append(len([query for query in found.captured_queries if "routing_" in query["sql"]]))
    assert counts[0] == counts[1]


def test_a_customer_is_made_with_all_its_identities_or_not_at_all(tenant: Tenant, api: Api) -> None:
    first = {"kind": "email", "value": "Ada@example.com", "verified": True}
    assert api.post("/api/customers/", {"name": "Ada", "identities": [first]}).status_code == 201
    number = Customer.objects.count()
    wrong = api.post("/api/customers/", {"identities": [{"kind": "own", "value": "C-1"}, {"kind": "phone", "value": "12"}]})
    assert fields_of(wrong) == ["identities[1].value"]
    taken = api.post("/api/customers/", {"identities": [first]})
    assert (taken.status_code, json_of(taken)["customer"]) == (409, str(Customer.objects.get(name="Ada").pk))
    assert Customer.objects.count() == number


def test_suppressed_identities_are_shown_with_the_customer(tenant: Tenant, api: Api) -> None:
    ada = make_known(tenant, "Ada", "ada@example.com")
    make_suppression(tenant, "ada@example.com", channel="email")
    found = json_of(api.get(f"/api/customers/{ada.pk}/"))["suppressions"]
    assert [(entry["recipient"], entry["channel"]) for entry in found] == [("a***@example.com", "email")]


def test_an_identity_that_wrote_is_not_removed(tenant: Tenant, api: Api) -> None:
    ada = make_known(tenant, "Ada", "ada@example.com")
    identity = ada.identities.get()
    make_conversation(identity)
    assert api.delete(f"/api/customers/{ada.pk}/identities/{identity.pk}/").status_code == 409
    ada.conversations.all().delete()
    assert api.delete(f"/api/customers/{ada.pk}/identities/{identity.pk}/").status_code == 204


def test_a_merge_is_planned_done_undone_and_refused_with_a_code(tenant: Tenant, api: Api) -> None:
    ada, bob = make_known(tenant, "Ada", "ada@example.com", level="gold"), make_known(tenant, "Bob", "bob@example.com", level="silver")
    address = f"/api/customers/{ada.pk}/merge/{bob.pk}/"
    plan = json_of(api.get(address))
    assert (plan["can_merge"], plan["differing"][0]["kept"], plan["identities"][0]["value"]) == (True, "gold", "b***@example.com")
    done = json_of(api.post(address))
    assert names(api.get("/api/customers/")) == ["Ada"]
    assert json_of(api.post(address))["code"] == "not_mergeable"
    assert json_of(api.post(f"/api/customers/{ada.pk}/merge/{ada.pk}/"))["code"] == "same_customer"
    assert json_of(api.post(f"/api/customer-merges/{done['id']}/undo/"))["state"] == "undone"
    assert json_of(api.post(f"/api/customer-merges/{done['id']}/undo/"))["code"] == "merge_not_undoable"
    for customer in (ada, bob):
        customer.identities.update(verified_at=NOW)
    assert json_of(api.get(address))["conflicts"] == ["email"]
    assert json_of(api.post(address))["code"] == "conflicting_identities"


def test_an_erasure_says_what_was_kept_and_why_in_the_readers_language(tenant: Tenant, api: Api) -> None:
    ada = make_known(tenant, "Ada", "ada@example.com")
    conversation = make_conversation(ada.identities.get())
    assert json_of(api.post(f"/api/customers/{ada.pk}/erase/"))["code"] == "open_conversations"
    conversation.status = "closed"
    conversation.save()
    first, again = (json_of(api.post(f"/api/customers/{ada.pk}/erase/")) for _time in range(2))
    assert first["deleted"]["identities"] == 1
    assert (again["erased_at"], again["deleted"]) == (first["erased_at"], {})
    assert all(entry["what"] and entry["why"] for entry in again["kept"])


def test_a_key_that_may_only_write_is_told_no_more_than_the_id(tenant: Tenant) -> None:
    api = make_api(tenant, "customers:write")
    made = json_of(api.post("/api/customers/", {"name": "Ada", "identities": [{"kind": "email", "value": "ada@example.com"}]}))
    assert list(made) == ["id"]
    assert list(json_of(api.patch(f"/api/customers/{made['id']}/attributes/", {"values": {"vip": True}}))) == ["id"]
    assert api.get(f"/api/customers/{made['id']}/").status_code == 403


@pytest.mark.both_stacks
@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("lei", ["Li Lei"]),
        ("LI L", ["Li Lei"]),
        ("李雷", ["李雷"]),
        ("雷", ["小雷", "李雷"]),
        ("é", ["Zoé_100%"]),
        ("_1", ["Zoé_100%"]),
        ("%", ["Zoé_100%"]),
        ("'", ["O'Neil \\ Sons"]),
        ("l \\ s", ["O'Neil \\ Sons"]),
        ("雷李", []),
        ("l?i", []),
    ],
)
def test_customers_are_found_by_any_part_of_their_name(api: Api, tenant: Tenant, part: str, found: list[str]) -> None:
    for name in ("Li Lei", "李雷", "小雷", "Zoé_100%", "O'Neil \\ Sons", ""):
        make_customer(tenant, name=name)
    make_customer(make_tenant("Other"), name="Li Lei 雷 %")
    assert sorted(names(api.get("/api/customers/", name=part))) == sorted(found)


@pytest.mark.both_stacks
def test_an_index_answers_the_search_by_name_and_by_level(tenant: Tenant) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite reads the tenant's rows")
    # So many rows, and counted, that any other way to the few sought ones costs far more.
    seen = {"created_at": NOW, "last_seen_at": NOW}
    many = Customer.objects.bulk_create(Customer(tenant=tenant, name=f"Ada {number}", **seen) for number in range(2_000))
    of = {"tenant": tenant, "source": AttributeSource.API, "set_at": NOW}
    values = [("level", "wood"), ("vip", "no"), ("level2", "gold")]
    CustomerAttribute.objects.bulk_create(
        [CustomerAttribute(customer=each, name=name, value=value, **of) for each in many for name, value in values]
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE routing_customer, routing_customerattribute")
        cursor.execute("SELECT gin_clean_pending_list('customer_name_parts')")
        cursor.execute("SET LOCAL enable_seqscan = off")
    by_name = Customer.objects.filter(has_part("雷"))
    by_level = CustomerAttribute.objects.filter(tenant=tenant, name="level", value="gold")
    assert "customer_name_parts" in by_name.explain()
    assert "attribute_searched" in by_level.explain()


@pytest.mark.both_stacks
@pytest.mark.parametrize("few", [0, 500])
def test_a_level_finds_few_customers_and_many(api: Api, tenant: Tenant, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "FEW", few)
    for name, level in (("Ada", "gold"), ("Bo", "silver"), ("Cleo", "gold")):
        make_known(tenant, name, f"{name}@example.com", level=level)
    assert names(api.get("/api/customers/", level="gold")) == ["Cleo", "Ada"]
    assert names(api.get("/api/customers/", level="wood")) == []
