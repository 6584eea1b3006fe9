"""Rows of customers and links for the walks over all addresses."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from accounts.models import Tenant
from routing.customers import merging
from routing.models import Customer, CustomerMerge, Identity, IdentityKind, SafeLink
from tests.builders import untraced
from tests.routing.builders import make_customer, make_identity
from tests.routing.links.builders import make_link


@dataclass(frozen=True, slots=True)
class OwnedCustomers:
    """A customer with an identity, another one, a merge that was done, one that is suggested, and a link."""

    customer: Customer
    identity: Identity
    other: Customer
    done: CustomerMerge
    suggested: CustomerMerge
    link: SafeLink

    def rows(self) -> list[Any]:
        """List them all."""
        return [self.customer, self.identity, self.other, self.done, self.suggested, self.link]


def make_customers(tenant: Tenant) -> OwnedCustomers:
    """Make one of everything about customers."""
    customer, other, third, fourth = (make_customer(tenant, name=f"A's own {name}") for name in ("Ada", "Bob", "Cyd", "Dan"))
    now = timezone.now()
    with untraced() as by:
        done = merging.merge(kept_id=third.pk, merged_id=fourth.pk, tenant_id=tenant.pk, by=by, now=now)
    return OwnedCustomers(
        customer=customer,
        identity=make_identity(customer, IdentityKind.EMAIL, value="a-own@example.com"),
        other=other,
        done=done,
        suggested=CustomerMerge.objects.create(tenant=tenant, kept=customer, merged=other, state="suggested", created_at=now),
        link=make_link(tenant, customer_id=customer.pk).row,
    )


ONE, LINK = "customers.customer.pk", "customers.link.pk"
#: As `SAMPLES` of test_tenants.
CUSTOMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "api/customers/<uuid:id>/": (ONE, {"PATCH": {"note": "mine now"}}),
    "api/customers/<uuid:id>/identities/": (ONE, {"POST": {"kind": "own", "value": "mine"}}),
    "api/customers/<uuid:id>/identities/<uuid:identity>/": (f"{ONE} customers.identity.pk", {}),
    "api/customers/<uuid:id>/attributes/": (ONE, {"PATCH": {"values": {"vip": True}}}),
    "api/customers/<uuid:id>/merge/<uuid:merged>/": (f"{ONE} customers.other.pk", {}),
    "api/customers/<uuid:id>/export/": (ONE, {}),
    "api/customers/<uuid:id>/erase/": (ONE, {}),
    "api/customer-merges/<uuid:id>/undo/": ("customers.done.pk", {}),
    "api/customer-merges/<uuid:id>/dismiss/": ("customers.suggested.pk", {}),
    "api/links/<uuid:id>/": (LINK, {}),
    "api/links/<uuid:id>/revoke/": (LINK, {}),
    "api/links/<uuid:id>/clicks/": (LINK, {}),
}
