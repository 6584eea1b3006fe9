"""Who wrote: identities are found however they are written, made once, and lead to one customer."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction
from django.db.models import F

from accounts.models import Tenant
from routing.contract import SenderName
from routing.customers import merging, suggestions, undoing
from routing.customers.identities import resolve
from routing.models import Conversation, Customer, CustomerMerge, Entrance, Identity, IdentityKind
from tests.builders import TESTER, make_tenant
from tests.routing.builders import make_conversation, make_customer, make_entrance, make_identity

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
State = CustomerMerge.State


def phone(value: str = "+8613812345678", *, verified: bool = False) -> SenderName:
    return SenderName("phone", value, verified)


def email(value: str = "ada@example.com", *, verified: bool = False) -> SenderName:
    return SenderName("email", value, verified)


def own(value: str = "c-1", *, verified: bool = True) -> SenderName:
    return SenderName("own", value, verified)


def came(tenant: Tenant, *names: SenderName) -> Identity:
    return resolve(names[0], tenant_id=tenant.pk, also=names[1:], now=NOW)


def states(tenant: Tenant) -> list[tuple[str, str]]:
    return [(row.state, row.reason) for row in CustomerMerge.objects.filter(tenant=tenant).order_by("pk")]


def test_the_same_number_or_address_written_differently_is_one_identity() -> None:
    tenant = make_tenant()
    assert came(tenant, phone("+86 138-1234-5678")).pk == came(tenant, phone("＋8613812345678")).pk
    assert came(tenant, email("Ada@Example.COM")).pk == came(tenant, email(" ada@example.com ")).pk
    assert Customer.objects.filter(tenant=tenant).count() == 2


def test_another_tenants_identity_is_another_customers() -> None:
    assert came(make_tenant(), phone()).customer_id != came(make_tenant("Other"), phone()).customer_id


def test_a_value_without_a_right_form_is_kept_so_that_the_text_is_not_lost() -> None:
    assert came(make_tenant(), email("not an address")).value == "not an address"


def test_another_name_without_a_right_form_connects_no_two_customers() -> None:
    tenant = make_tenant()
    first, second = (came(tenant, email(f"{name}@example.com"), phone(" ", verified=True)) for name in ("ada", "bob"))
    assert first.customer_id != second.customer_id
    assert not CustomerMerge.objects.exists()
    assert set(Identity.objects.values_list("kind", flat=True)) == {"email"}


def test_a_new_name_of_a_known_sender_is_added_to_the_customer() -> None:
    tenant = make_tenant()
    first = came(tenant, phone(verified=True))
    again = came(tenant, phone(verified=True), email())
    assert {row.kind for row in again.customer.identities.all()} == {"phone", "email"}
    assert again.customer_id == first.customer_id


def test_a_new_browser_of_a_signed_in_customer_is_theirs() -> None:
    tenant = make_tenant()
    known = came(tenant, own())
    visitor = came(tenant, SenderName("portal", "v-9"), own())
    assert visitor.customer_id == known.customer_id
    assert states(tenant) == []


def test_two_customers_who_share_verified_names_merge_into_the_older_one() -> None:
    tenant = make_tenant()
    older, younger = came(tenant, phone(verified=True)), came(tenant, email(verified=True))
    found = came(tenant, email(verified=True), phone(verified=True))
    assert (found.pk, found.customer_id) == (younger.pk, older.customer_id)
    assert Customer.objects.get(pk=younger.customer_id).merged_into_id == older.customer_id
    assert states(tenant) == [("done", "verified:phone")]


def test_a_name_that_nothing_proves_is_only_suggested_and_only_once() -> None:
    tenant = make_tenant()
    first, second = came(tenant, phone(verified=True)), came(tenant, email())
    for _time in range(2):
        assert came(tenant, phone(verified=True), email()).customer_id == first.customer_id
    assert Identity.objects.get(pk=second.pk).customer_id == second.customer_id
    assert states(tenant) == [("suggested", "shared:email")]


def test_verified_names_that_contradict_each_other_never_merge() -> None:
    tenant = make_tenant()
    came(tenant, own("c-1"), phone(verified=True))
    stranger = came(tenant, own("c-2"), phone(verified=True))
    assert stranger.customer_id != Identity.objects.get(value="c-1").customer_id
    assert states(tenant) == [("suggested", "conflict:phone")]


def test_what_a_person_undid_is_not_done_again() -> None:
    tenant = make_tenant()
    came(tenant, phone(verified=True)), came(tenant, email(verified=True))
    came(tenant, email(verified=True), phone(verified=True))
    undoing.undo(merge_id=CustomerMerge.objects.get().pk, tenant_id=tenant.pk, by=TESTER, now=NOW)
    came(tenant, email(verified=True), phone(verified=True))
    assert states(tenant) == [("undone", "verified:phone")]


def test_a_merged_customers_identity_leads_to_the_one_that_was_kept() -> None:
    tenant = make_tenant()
    first, second = came(tenant, phone()), came(tenant, email())
    merging.merge(kept_id=first.customer_id, merged_id=second.customer_id, tenant_id=tenant.pk, by=TESTER, now=NOW)
    assert came(tenant, email()).customer_id == first.customer_id


def test_a_dismissed_suggestion_stays_dismissed() -> None:
    tenant = make_tenant()
    came(tenant, phone()), came(tenant, email())
    came(tenant, phone(), email())
    suggestions.dismiss(merge_id=CustomerMerge.objects.get().pk, tenant_id=tenant.pk, by=TESTER, now=NOW)
    came(tenant, phone(), email())
    assert states(tenant) == [("dismissed", "shared:email")]


def at_once(*calls: Sequence[SenderName], tenant: Tenant) -> list[Identity | Exception]:
    """Resolve in threads that begin together, each with a connection of its own."""
    gate, found = threading.Barrier(len(calls)), list[Identity | Exception]()

    def work(names: Sequence[SenderName]) -> None:
        try:
            gate.wait(10)
            found.append(came(tenant, *names))
        except Exception as error:  # noqa: BLE001 - told to the test
            found.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(names,)) for names in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def errors_of(*acts: Callable[[], None]) -> list[Exception]:
    """Do all at once, each in a thread with a connection of its own, and return what went wrong."""
    failed = list[Exception]()

    def work(act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - told to the test
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return failed


@pytest.mark.django_db(transaction=True)
def test_senders_who_write_at_once_for_the_first_time_are_made_once() -> None:
    tenant = make_tenant()
    found = at_once(*[(phone(verified=True), email(verified=True)), (email(verified=True), phone(verified=True))] * 4, tenant=tenant)
    assert [error for error in found if isinstance(error, Exception)] == []
    assert {row.customer_id for row in found if isinstance(row, Identity)} == {Customer.objects.get(tenant=tenant).pk}
    assert Identity.objects.filter(tenant=tenant).count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_merges_of_the_same_customers_at_once_are_one() -> None:
    tenant = make_tenant()
    one, other = make_customer(tenant), make_customer(tenant)
    make_identity(one, IdentityKind.PHONE, value="+8613812345678", verified_at=NOW)
    make_identity(other, IdentityKind.EMAIL, value="ada@example.com", verified_at=NOW)
    names = (phone(verified=True), email(verified=True))
    found = at_once(names, names[::-1], names, names[::-1], tenant=tenant)
    assert {getattr(row, "customer_id", row) for row in found} == {one.pk}
    assert states(tenant) == [("done", states(tenant)[0][1])]


@pytest.mark.django_db(transaction=True)
def test_a_text_that_comes_in_while_two_merge_and_split_stays_with_the_customer_of_its_identity() -> None:
    tenant = make_tenant()
    entrance, kept, merged = make_entrance(tenant), make_customer(tenant), make_customer(tenant)
    make_identity(merged, IdentityKind.PHONE, value="+8613812345678")

    def decide() -> None:
        for _time in range(5):
            row = merging.merge(kept_id=kept.pk, merged_id=merged.pk, tenant_id=tenant.pk, by=TESTER, now=NOW)
            undoing.undo(merge_id=row.pk, tenant_id=tenant.pk, by=TESTER, now=NOW)

    assert errors_of(writer(tenant, entrance, "a"), decide, writer(tenant, entrance, "b")) == []
    apart = Conversation.objects.exclude(customer=F("identity__customer"))
    assert (Conversation.objects.count(), apart.count()) == (16, 0)


@pytest.mark.django_db(transaction=True)
def test_who_proves_a_number_while_texts_come_from_it_has_them_all() -> None:
    tenant = make_tenant()
    entrance = make_entrance(tenant)
    claimer = came(tenant, SenderName("portal", "v-1"), phone())
    found = list[Identity]()

    def prove() -> None:
        found.append(came(tenant, own(), phone(verified=True)))

    assert errors_of(writer(tenant, entrance, "a"), prove, writer(tenant, entrance, "b")) == []
    proved = Identity.objects.get(kind="phone")
    assert (proved.customer_id, proved.verified_at) == (found[0].customer_id, NOW)
    assert proved.customer_id != claimer.customer_id
    assert set(Conversation.objects.values_list("customer", flat=True)) == {proved.customer_id}


def writer(tenant: Tenant, entrance: Entrance, name: str) -> Callable[[], None]:
    """Return what writes eight texts with the same identity, each in a conversation of its own."""

    def write() -> None:
        for number in range(8):
            with transaction.atomic():
                make_conversation(came(tenant, phone()), entrance, thread=f"{name}-{number}")

    return write
