"""The fields of ticket types: definitions, values, and what older tickets keep."""

from typing import Any

import pytest
from django.utils import translation

from accounts.models import Tenant
from posthaste.lib.problems import Invalid
from routing.models import TicketType
from routing.tickets import changing, fields, types
from routing.tickets.fields import Definition, checked_definitions, checked_values
from tests.builders import TESTER
from tests.routing.tickets.builders import LATER, NOW, make_ticket, make_type

COLOURS = [{"value": "Red", "zh": "红"}, {"value": "Blue"}]


def definition(kind: str, **given: Any) -> Definition:
    return Definition.model_validate({"key": "x", "kind": kind, "label": "X", **given})


@pytest.mark.parametrize(
    ("kind", "given", "value", "stored"),
    [
        ("text", {}, " lamp ", "lamp"),
        ("text", {}, "   ", None),
        ("long_text", {}, "a" * 5_000, "a" * 5_000),
        ("number", {"minimum": 1, "maximum": 10}, "2.0", 2),
        ("number", {}, 2.5, 2.5),
        ("date", {}, "2026-12-25", "2026-12-25"),
        ("yes_no", {}, False, False),
        ("choice", {"choices": COLOURS}, "Red", "Red"),
        ("choices", {"choices": COLOURS}, ["Blue", "Red", "Blue"], ["Blue", "Red"]),
        ("choices", {"choices": COLOURS}, [], None),
        ("order", {}, "A-1042/7", "A-1042/7"),
        ("email", {}, "ada@example.com", "ada@example.com"),
        ("phone", {}, "+49 30 123456", "+49 30 123456"),
    ],
)
def test_a_value_is_stored_as_its_kind_has_it(kind: str, given: Any, value: Any, stored: Any) -> None:
    found = checked_values([definition(kind, **given)], {"x": value})
    assert found == ({} if stored is None else {"x": stored})


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("text", {}, 5),
        ("text", {}, "a" * 301),
        ("number", {"minimum": 1}, 0),
        ("number", {"maximum": 1}, 2),
        ("number", {}, "many"),
        ("number", {}, True),
        ("number", {}, "nan"),
        ("date", {}, "25.12.2026"),
        ("date", {}, "2026-02-30"),
        ("yes_no", {}, "yes"),
        ("choice", {"choices": COLOURS}, "Green"),
        ("choices", {"choices": COLOURS}, "Red"),
        ("order", {}, "<script>"),
        ("email", {}, "ada"),
        ("phone", {}, "call me"),
    ],
)
def test_a_value_that_does_not_fit_is_an_error_of_its_field(kind: str, given: Any, value: Any) -> None:
    with pytest.raises(Invalid) as wrong:
        checked_values([definition(kind, **given)], {"x": value})
    assert [error["field"] for error in wrong.value.errors] == ["fields.x"]


def test_what_is_required_when_it_is_opened_must_be_there_and_what_is_unknown_is_refused() -> None:
    with pytest.raises(Invalid) as wrong:
        checked_values([definition("text", required="open")], {"y": "1"})
    assert [(error["field"], error["code"]) for error in wrong.value.errors] == [("fields.y", "unknown"), ("fields.x", "required")]


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"key": "Order No", "label": "X"}, "fields[0].key"),
        ({"key": "x"}, "fields[0].label"),
        ({"key": "x", "label": "X", "kind": "color"}, "fields[0].kind"),
        ({"key": "x", "label": "X", "kind": "choice"}, "fields[0].choices"),
        ({"key": "x", "label": "X", "choices": COLOURS}, "fields[0].choices"),
        ({"key": "x", "label": "X", "kind": "choice", "choices": [COLOURS[0], COLOURS[0]]}, "fields[0].choices"),
        ({"key": "x", "label": "X", "minimum": 1}, "fields[0].minimum"),
        ({"key": "x", "label": "X", "kind": "number", "minimum": 2, "maximum": 1}, "fields[0].maximum"),
        ({"key": "x", "label": "X", "colour": "red"}, "fields[0].colour"),
    ],
)
def test_a_wrong_definition_is_named(given: dict[str, Any], place: str) -> None:
    with pytest.raises(Invalid) as wrong:
        checked_definitions([given])
    assert wrong.value.errors[0]["field"] == place
    assert wrong.value.errors[0]["message"]


def test_fields_are_shown_in_the_language_of_the_reader() -> None:
    one = definition("choice", choices=COLOURS, label="Colour", label_zh="颜色")
    assert fields.shown([one], {"x": "Red", "old": True}) == [("Colour", "Red"), ("old", "Yes")]
    with translation.override("zh-hans"):
        assert fields.shown([one], {"x": "Red"}) == [("颜色", "红")]


@pytest.mark.django_db
def test_a_changed_definition_leaves_what_older_tickets_have(tenant: Tenant) -> None:
    kind = make_type(tenant, fields=checked_definitions([{"key": "size", "kind": "text", "label": "Size"}]))
    ticket = make_ticket(tenant, kind, fields={"size": "large"})
    kind.fields = [
        {"key": "size", "kind": "number", "label": "Size", "required": "open"},
        {"key": "why", "kind": "text", "label": "Why", "required": "open"},
    ]
    types.change_type(kind=kind, fields=["fields"], by=TESTER)
    changing.change(ticket=ticket, values={"subject": "Other"}, by=TESTER, now=LATER)
    row = changing.change(ticket=ticket, values={"fields": {"why": "It broke"}}, by=TESTER, now=LATER)
    assert row.fields == {"size": "large", "why": "It broke"}
    with pytest.raises(Invalid):
        changing.change(ticket=ticket, values={"fields": {"why": ""}}, by=TESTER, now=LATER)
    kind.fields = []
    types.change_type(kind=kind, fields=["fields"], by=TESTER)
    assert fields.shown(fields.of_type(kind), row.fields) == [("size", "large"), ("why", "It broke")]


@pytest.mark.django_db
def test_a_type_that_tickets_have_is_switched_off_rather_than_deleted(tenant: Tenant) -> None:
    kind = types.create_type(kind=TicketType(tenant=tenant, name="refund", title="Refund"), by=TESTER, now=NOW)
    with pytest.raises(Invalid):
        types.create_type(kind=TicketType(tenant=tenant, name="refund", title="Other"), by=TESTER, now=NOW)
    make_ticket(tenant, kind)
    with pytest.raises(Exception, match="Switch it off"):
        types.delete_type(kind=kind, by=TESTER)
