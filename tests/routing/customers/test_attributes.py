"""What is known about customers: whose word counts, how long it holds, and what follows from it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from accounts.models import AuditEntry
from posthaste.lib.problems import Conflict, Invalid
from routing.configuration import customers as configuration
from routing.configuration.attribute_rules import AttributeRule, Customers, Operator
from routing.customers import attributes, deriving
from routing.models import AttributeSource, Customer, CustomerAttribute
from tests.builders import TESTER
from tests.routing.builders import make_customer

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
STAFF, API, WECOM, PORTAL = AttributeSource.STAFF, AttributeSource.API, AttributeSource.WECOM, AttributeSource.PORTAL


def known(customer: Customer, now: datetime = NOW) -> dict[str, Any]:
    return attributes.current([customer.pk], now=now)[customer.pk]


def say(customer: Customer, source: AttributeSource, until: datetime | None = None, **values: Any) -> None:
    attributes.record(customer.pk, values, source=source, valid_until=until, now=NOW)


def test_staff_count_more_than_systems_and_these_more_than_visitors() -> None:
    customer = make_customer()
    say(customer, PORTAL, level="platinum", city="Paris")
    say(customer, API, level="silver")
    say(customer, STAFF, level="gold")
    assert known(customer) == {"level": "gold", "city": "Paris"}
    say(customer, STAFF, level=None)
    assert known(customer)["level"] == "silver"


def test_tags_of_all_sources_are_added_up() -> None:
    customer = make_customer()
    say(customer, WECOM, tags=["new", " b2b "])
    say(customer, STAFF, tags=["b2b", "b2b"])
    assert known(customer) == {"tags": ["b2b", "new"]}


def test_a_value_that_ran_out_does_not_hide_a_weaker_one() -> None:
    customer = make_customer()
    say(customer, API, vip=False)
    say(customer, STAFF, until=NOW + timedelta(days=1), vip=True)
    assert known(customer) == {"vip": True}
    assert known(customer, NOW + timedelta(days=1)) == {"vip": False}


@pytest.mark.parametrize(
    ("name", "value"),
    [("vip", "yes"), ("vip", 1), ("level", 3), ("level", " "), ("tags", "b2b"), ("tags", [""]), ("orders", [1]), ("orders", {}),
     ("Orders", 1), ("orders", float("1e30")), ("city", "")],
)  # fmt: skip
def test_a_value_of_a_wrong_form_is_named_by_a_change_and_left_out_of_a_text(name: str, value: Any) -> None:
    customer = make_customer()
    with pytest.raises(Invalid) as problem:
        change(customer, {name: value, "city": "Paris"} | {name: value})
    assert problem.value.errors[0]["field"] == f"values.{name}"
    say(customer, PORTAL, **{name: value, "town": "Rome"})
    assert known(customer) == {"town": "Rome"}


def change(customer: Customer, values: dict[str, Any], **more: Any) -> dict[str, Any]:
    return attributes.change(customer_id=customer.pk, tenant_id=customer.tenant_id, values=values, source=API, by=TESTER, now=NOW, **more)


def test_a_change_ends_in_the_future_and_concerns_a_customer_who_is_there() -> None:
    with pytest.raises(Invalid):
        change(make_customer(), {"vip": True}, valid_until=NOW)
    with pytest.raises(Conflict):
        change(make_customer(merged_into=make_customer()), {"vip": True})


def test_what_was_known_before_is_in_the_audit_trail_and_saying_it_again_is_no_change() -> None:
    customer = make_customer()
    say(customer, API, level="silver")
    for _time in range(2):
        say(customer, API, level="gold")
    entries = AuditEntry.objects.filter(action="customer.change", target=str(customer.pk)).order_by("pk")
    assert [entry.detail["attributes"] for entry in entries] == [{"level": [None, "silver"]}, {"level": ["silver", "gold"]}]


RULES = [
    AttributeRule(attribute="orders", operator=Operator.AT_LEAST, value="10", sets="level", to="gold"),
    AttributeRule(attribute="orders", operator=Operator.AT_LEAST, value="3", sets="level", to="silver"),
    AttributeRule(attribute="level", value="gold", sets="vip", to="true"),
    AttributeRule(attribute="country", operator=Operator.EQUALS, value="CN", sets="tags", to="asia"),
    AttributeRule(attribute="orders", operator=Operator.IS_SET, sets="tags", to="buyer"),
]


def test_rules_derive_from_what_others_said_and_take_it_back() -> None:
    customer = make_customer()
    with configuration.set(attribute_rules=RULES):
        say(customer, API, orders=4, country="CN")
        assert known(customer) == {"orders": 4, "country": "CN", "level": "silver", "tags": ["asia", "buyer"]}
        say(customer, API, orders=12)
        assert known(customer)["level"] == "gold"
        assert "vip" not in known(customer), "a rule looks at nothing that a rule derived"
        say(customer, STAFF, level="bronze")
        assert known(customer)["level"] == "bronze"
        say(customer, API, orders=None, country=None)
        assert known(customer) == {"level": "bronze"}


def test_what_is_derived_ends_with_what_it_rests_on() -> None:
    customer, end = make_customer(), NOW + timedelta(days=2)
    with configuration.set(attribute_rules=RULES):
        say(customer, API, until=end, orders=10)
    assert CustomerAttribute.objects.get(name="level").valid_until == end
    assert known(customer, end) == {}


def test_each_night_rules_that_were_changed_are_applied_to_all() -> None:
    customer, other = make_customer(), make_customer()
    for one in (customer, other):
        say(one, API, orders=10)
    with configuration.set(attribute_rules=RULES):
        assert deriving.derive_attributes(now=NOW) == 2
        assert deriving.derive_attributes(now=NOW) == 0
    assert (known(customer)["level"], known(other)["level"]) == ("gold", "gold")


def test_a_customer_that_no_rule_can_cope_with_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = make_customer(), make_customer()
    for one in (bad, good):
        say(one, API, orders=10)
    apply_rules = deriving.apply_rules

    def fail(customer_id: UUID, *, tenant_id: int, now: datetime) -> bool:
        if customer_id == bad.pk:
            raise ValueError("unreadable")
        return apply_rules(customer_id, tenant_id=tenant_id, now=now)

    monkeypatch.setattr(deriving, "apply_rules", fail)
    with configuration.set(attribute_rules=RULES):
        assert deriving.derive_attributes(now=NOW) == 1
    assert known(good)["level"] == "gold"


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"attribute": "orders", "operator": "at_least", "value": "many", "sets": "level", "to": "gold"}, "value"),
        ({"attribute": "orders", "value": "1", "sets": "vip", "to": "yes"}, "to"),
        ({"attribute": "Orders", "value": "1", "sets": "level", "to": "x"}, "attribute"),
        ({"attribute": "level", "value": "1", "sets": "level", "to": "x"}, "sets"),
        ({"attribute": "orders", "value": "1", "sets": "", "to": "x"}, "sets"),
    ],
)
def test_a_rule_that_can_not_work_is_refused_with_its_field(rule: dict[str, str], field: str) -> None:
    with pytest.raises(ValidationError, match=f"{field}: "):
        Customers.model_validate({"attribute_rules": [rule]})
