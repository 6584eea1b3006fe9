"""Two customers become one, and can be made two again."""

from datetime import UTC, datetime

import pytest

from accounts.models import AuditEntry
from posthaste.lib.problems import Conflict
from routing.configuration import customers as configuration
from routing.configuration.attribute_rules import AttributeRule, Operator
from routing.customers import erasing, merging, undoing
from routing.customers.merging import ConflictingIdentities, NotMergeable, SameCustomer
from routing.customers.undoing import NotUndoable
from routing.models import AttributeSource, Conversation, Customer, CustomerAttribute, CustomerMerge, Identity, IdentityKind
from tests.builders import TESTER, make_tenant
from tests.routing.builders import make_conversation, make_customer, make_entrance, make_identity
from tests.routing.customers.builders import make_attribute, make_known

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)


def merge(kept: Customer, merged: Customer) -> CustomerMerge:
    return merging.merge(kept_id=kept.pk, merged_id=merged.pk, tenant_id=kept.tenant_id, by=TESTER, now=NOW)


def undo(row: CustomerMerge) -> CustomerMerge:
    return undoing.undo(merge_id=row.pk, tenant_id=row.tenant_id, by=TESTER, now=NOW)


def everything() -> list[object]:
    """Whose each row is, and what customers are called."""
    rows: list[object] = [*Customer.objects.order_by("pk").values_list("pk", "name", "note", "merged_into")]
    for model in (Identity, Conversation, CustomerAttribute):
        rows += model._default_manager.order_by("pk").values_list("pk", "customer_id")
    return rows


def test_the_plan_says_what_the_merge_then_does_and_undoing_it_restores_all() -> None:
    tenant = make_tenant()
    entrance = make_entrance(tenant, name="Shop chat")
    kept, merged = make_customer(tenant, name=""), make_customer(tenant, note="Likes tea")
    first, second = make_identity(kept, value="a"), make_identity(merged, IdentityKind.EMAIL, value="ada@example.com")
    make_conversation(first, entrance), make_conversation(second, entrance)
    make_attribute(kept, "level", "gold"), make_attribute(merged, "level", "silver"), make_attribute(merged, "vip", True)
    make_attribute(merged, "level", "bronze", AttributeSource.STAFF)
    before = everything()

    plan = merging.plan(kept=kept, merged=merged)
    assert everything() == before, "a plan changes nothing"
    assert (plan.identities, plan.conversations, plan.open_at_both, plan.filled) == ([second], 1, ["Shop chat"], ["name", "note"])
    assert [(row.name, row.value, own) for row, own in plan.differing] == [("level", "silver", "gold")]
    assert [(row.name, row.source) for row in plan.attributes] == [("level", "staff"), ("vip", "api")]

    done = merge(kept, merged)
    assert {row.customer_id for row in Identity.objects.all()} == {kept.pk}
    assert {row.customer_id for row in Conversation.objects.all()} == {kept.pk}
    assert Conversation.objects.get(identity=second).identity_id == second.pk, "replies still go to the identity that wrote"
    assert (Customer.objects.get(pk=kept.pk).name, Customer.objects.get(pk=merged.pk).merged_into_id) == ("Ada", kept.pk)

    assert undo(done).state == "undone"
    assert everything() == before
    assert [*AuditEntry.objects.order_by("pk").values_list("action", flat=True)] == ["customer.merge", "customer.merge_undo"]


def test_a_conversation_that_a_merged_identity_began_since_goes_back_with_it() -> None:
    tenant = make_tenant()
    kept, merged = make_customer(tenant), make_customer(tenant)
    identity = make_identity(merged)
    done = merge(kept, merged)
    later = make_conversation(Identity.objects.get(pk=identity.pk))
    undo(done)
    assert Conversation.objects.get(pk=later.pk).customer_id == merged.pk


def test_none_is_merged_with_itself_with_anothers_or_twice() -> None:
    tenant = make_tenant()
    kept, merged, third = (make_customer(tenant) for _number in range(3))
    with pytest.raises(SameCustomer):
        merge(kept, kept)
    with pytest.raises(NotMergeable):
        merge(kept, make_customer(make_tenant("Other")))
    merge(kept, merged)
    for pair in ((kept, merged), (merged, third), (third, merged)):
        with pytest.raises(NotMergeable):
            merge(*pair)
    assert CustomerMerge.objects.count() == 1


@pytest.mark.parametrize(("kind", "is_refused"), [(IdentityKind.EMAIL, True), (IdentityKind.OWN, True), (IdentityKind.PORTAL, False)])
def test_customers_with_verified_identities_of_the_same_kind_never_merge(kind: IdentityKind, is_refused: bool) -> None:
    tenant = make_tenant()
    kept, merged = make_customer(tenant), make_customer(tenant)
    make_identity(kept, kind, verified_at=NOW), make_identity(merged, kind, verified_at=NOW)
    before = everything()
    assert bool(merging.plan(kept=kept, merged=merged).conflicts) is is_refused
    if not is_refused:
        merge(kept, merged)
        return
    with pytest.raises(ConflictingIdentities) as problem:
        merge(kept, merged)
    assert (problem.value.status, problem.value.extra["kinds"]) == (409, [kind])
    assert everything() == before


def test_a_merge_that_can_not_be_restored_exactly_is_not_undone() -> None:
    tenant = make_tenant()
    first, second, third = (make_customer(tenant) for _number in range(3))
    identity = make_identity(second)
    inner, outer = merge(first, second), merge(third, first)
    with pytest.raises(NotUndoable, match="Undo that merge first"):
        undo(inner)
    undo(outer)
    identity.delete()
    before = everything()
    with pytest.raises(NotUndoable, match="1 of the identities"):
        undo(inner)
    assert everything() == before
    assert CustomerMerge.objects.get(pk=inner.pk).state == "done"
    with pytest.raises(NotUndoable, match="undone already"):
        undo(outer)


def test_a_suggestion_that_is_followed_becomes_the_merge() -> None:
    kept, merged = make_known(value="a@example.com").customer, None
    merged = make_known(kept.tenant, value="b@example.com").customer
    row = CustomerMerge.objects.create(tenant=kept.tenant, kept=merged, merged=kept, state="suggested", created_at=NOW)
    assert merge(kept, merged).pk == row.pk
    assert CustomerMerge.objects.get() == row


def test_a_merge_with_one_who_was_erased_is_refused_and_so_is_undoing_it() -> None:
    tenant = make_tenant()
    kept, merged = make_customer(tenant), make_customer(tenant)
    done = merge(kept, merged)
    erasing.erase(customer_id=kept.pk, tenant_id=tenant.pk, by=TESTER, now=NOW)
    with pytest.raises(NotUndoable, match="erased"):
        undo(done)
    with pytest.raises(Conflict):
        merge(make_customer(tenant), Customer.objects.get(pk=kept.pk))


def test_what_rules_derive_follows_a_merge_and_its_undoing() -> None:
    tenant = make_tenant()
    kept, merged = make_customer(tenant), make_customer(tenant)
    make_attribute(merged, "orders", 12)
    rule = AttributeRule(attribute="orders", operator=Operator.AT_LEAST, value="10", sets="level", to="gold")
    levels = CustomerAttribute.objects.filter(name="level")
    with configuration.set(attribute_rules=[rule]):
        done = merge(kept, merged)
        assert levels.get().customer_id == kept.pk
        undo(done)
        assert levels.get().customer_id == merged.pk
