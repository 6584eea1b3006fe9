"""Customers of a tenant: read, and locked for a change."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from accounts.tenancy import owned_by
from posthaste.lib.problems import Conflict, NotFound
from routing.customers.values import search_forms
from routing.models import OPEN_STATUSES, Customer, CustomerMerge, Identity


def customers(tenant_id: int) -> "QuerySet[Customer]":
    """Return the tenant's customers; those that were merged into another or erased are left out."""
    return owned_by(Customer.objects.filter(merged_into=None, erased_at=None), tenant_id)


def every_customer(tenant_id: int) -> "QuerySet[Customer]":
    """Return the tenant's customers, also those that were merged or erased."""
    return owned_by(Customer.objects.all(), tenant_id)


def suggestions(tenant_id: int) -> "QuerySet[CustomerMerge]":
    """Return the merges of a tenant's customers, suggested, done, undone and dismissed."""
    return owned_by(CustomerMerge.objects.select_related("kept", "merged"), tenant_id)


def owners(value: str, *, tenant_ids: Iterable[int], kind: str = "") -> list[UUID]:
    """Return the ids of the customers with an identity of exactly this value, however it is written."""
    found = Identity.objects.filter(tenant_id__in=list(tenant_ids), value__in=search_forms(value))
    return list((found.filter(kind=kind) if kind else found).order_by().values_list("customer_id", flat=True).distinct())


def with_counts(rows: "QuerySet[Customer]") -> "QuerySet[Customer]":
    """Add the number of conversations that are not over, as `open_conversations`."""
    return rows.annotate(open_conversations=Count("conversations", filter=Q(conversations__status__in=OPEN_STATUSES)))


def lock_customers(ids: Iterable[UUID], *, tenant_id: int) -> dict[UUID, Customer]:
    """Lock customers until the transaction ends, in the order of their ids, and return those that exist.

    What is decided about a customer's identities is decided under this lock; the order keeps two merges from waiting for each other.
    """
    rows = Customer.objects.filter(tenant_id=tenant_id, pk__in=set(ids)).order_by("pk").select_for_update(no_key=True)
    return {row.pk: row for row in rows}


def lock_customer(customer_id: UUID, *, tenant_id: int) -> Customer:
    """Lock one customer until the transaction ends.

    Raises:
        NotFound: there is none.
    """
    found = lock_customers([customer_id], tenant_id=tenant_id).get(customer_id)
    if found is None:
        raise NotFound
    return found


def lock_changeable(customer_id: UUID, *, tenant_id: int) -> Customer:
    """Lock one customer until the transaction ends, for a change.

    Raises:
        NotFound: there is none.
        Conflict: it was merged or erased.
    """
    customer = lock_customer(customer_id, tenant_id=tenant_id)
    if customer.merged_into_id is not None:
        said = _("It was merged into another customer. Change that one.")
        raise Conflict(said, merged_into=str(customer.merged_into_id))
    if customer.erased_at is not None:
        raise Conflict(_("It was erased."))
    return customer
