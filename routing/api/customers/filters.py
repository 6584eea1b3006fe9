"""Filters of the lists of customers and merges."""

from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.utils import timezone

from posthaste.lib.filters import StrictFilterSet, TruthFilter
from routing.customers import finding, names
from routing.customers.attribute_values import LEVEL, VIP, in_force
from routing.models import Customer, CustomerAttribute, CustomerMerge, IdentityKind

FEW = 500  # customers that a statement names one by one


class CustomerFilter(StrictFilterSet):
    """`?identity=ada@example.com&level=gold`."""

    identity = django_filters.CharFilter(
        method="by_identity", help_text="The whole value of an identity. A phone number may lack its +, written %2B in an address."
    )
    kind = django_filters.ChoiceFilter(choices=IdentityKind.choices, method="by_kind", help_text="With an identity of this kind.")
    name = django_filters.CharFilter(method="by_name", help_text="A part of the name.")
    level = django_filters.CharFilter(method="by_level", help_text="Some source says this level now.")
    vip = TruthFilter(method="by_vip", help_text="Some source says so now.")

    class Meta:
        model = Customer
        fields: list[str] = []

    def by_identity(self, rows: "QuerySet[Customer]", _name: str, value: str) -> "QuerySet[Customer]":
        found = finding.owners(value, tenant_ids=[self.request.user.tenant_id], kind=self.data.get("kind", ""))
        return rows.filter(pk__in=found)

    def by_kind(self, rows: "QuerySet[Customer]", _name: str, value: str) -> "QuerySet[Customer]":
        # With a value, `by_identity` has asked for both of one identity.
        return rows if self.data.get("identity") else rows.filter(identities__kind=value).distinct()

    def by_name(self, rows: "QuerySet[Customer]", _name: str, value: str) -> "QuerySet[Customer]":
        return rows.filter(names.has_part(value))

    def by_level(self, rows: "QuerySet[Customer]", _name: str, value: str) -> "QuerySet[Customer]":
        return self._with_attribute(rows, LEVEL, value)

    def by_vip(self, rows: "QuerySet[Customer]", _name: str, value: bool) -> "QuerySet[Customer]":
        return self._with_attribute(rows, VIP, value)

    def _with_attribute(self, rows: "QuerySet[Customer]", name: str, value: object) -> "QuerySet[Customer]":
        own = CustomerAttribute.objects.filter(tenant_id=self.request.user.tenant_id, name=name, value=value)
        found = own.filter(in_force(timezone.now())).order_by().values_list("customer_id", flat=True)
        # Named one by one, a few are looked up; the database would walk through all customers of the tenant to meet them.
        few = list(found[: FEW + 1])
        return rows.filter(pk__in=few if len(few) <= FEW else found)


class MergeFilter(StrictFilterSet):
    """`?state=suggested&customer=…`."""

    state = django_filters.ChoiceFilter(choices=CustomerMerge.State.choices)
    customer = django_filters.UUIDFilter(method="by_customer", help_text="Kept or merged.")

    class Meta:
        model = CustomerMerge
        fields: list[str] = []

    def by_customer(self, rows: "QuerySet[CustomerMerge]", _name: str, value: UUID) -> "QuerySet[CustomerMerge]":
        return rows.filter(kept=value) | rows.filter(merged=value)
