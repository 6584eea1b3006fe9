"""Customers, their identities and attributes, their export and erasure."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.services.audit import Actor
from posthaste.lib.pagination import CursorPages
from routing.api.customers import shapes
from routing.api.customers.filters import CustomerFilter
from routing.customers import attributes, editing, erasing, exporting, finding
from routing.customers.editing import NewIdentity
from routing.models import AttributeSource, Customer
from routing.scopes import CUSTOMERS_READ, CUSTOMERS_WRITE

#: What the answer to a write shows to keys that may not read customers.
TOLD = ("id",)
ANSWER = readable_or(shapes.CustomerWholeOut, *TOLD)
EXPORTED = {"type": "object", "additionalProperties": True, "description": "See the page about customers for its parts."}
IDENTITY_ANSWER = readable_or(shapes.IdentityWholeOut, *TOLD)


class CustomerView(TenantView):
    """Base: the tenant's customers."""

    queryset = Customer.objects.none()
    serializer_class: type[serializers.BaseSerializer[Any]] = shapes.CustomerWholeOut

    def get_queryset(self) -> "QuerySet[Customer]":
        return finding.every_customer(self.tenant_id).prefetch_related("identities", "attributes")

    def shown(self, customer_id: Any) -> dict[str, Any]:
        """Return what the answer to a write shows."""
        if not self.caller.may(CUSTOMERS_READ):
            return {"id": str(customer_id)}
        return dict(shapes.CustomerWholeOut(self.get_queryset().get(pk=customer_id)).data)


class CustomerCollection(ListModelMixin, CustomerView):
    """`/api/customers/`."""

    scopes = {"GET": CUSTOMERS_READ, "POST": CUSTOMERS_WRITE}
    pagination_class = CursorPages
    filterset_class = CustomerFilter
    serializer_class = shapes.CustomerOut

    def get_queryset(self) -> "QuerySet[Customer]":
        return finding.customers(self.tenant_id).prefetch_related("identities", "attributes")

    @extend_schema(
        summary="List customers",
        description="Newest first; the values of identities are masked. Customers that were merged or erased are left out.",
    )
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Add a customer",
        description="409 if another customer has one of the identities.",
        request=shapes.CustomerIn,
        responses={201: ANSWER},
        examples=[shapes.NEW_CUSTOMER],
    )
    def post(self, request: Request) -> Response:
        values = self.validated(shapes.CustomerIn)
        customer = editing.create(
            tenant_id=self.tenant_id,
            fields=values,
            identities=[NewIdentity(**identity) for identity in values["identities"]],
            by=Actor.of_request(request),
            now=timezone.now(),
        )
        whole = finding.every_customer(self.tenant_id).prefetch_related("identities", "attributes").get(pk=customer.pk)
        return Response(self.readable(shapes.CustomerWholeOut(whole).data, scope=CUSTOMERS_READ, always=TOLD), status=201)


class CustomerItem(RetrieveModelMixin, CustomerView):
    """`/api/customers/{id}/`."""

    scopes = {"GET": CUSTOMERS_READ, "PATCH": CUSTOMERS_WRITE}

    @extend_schema(summary="One customer, whole")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)

    @extend_schema(summary="Change a customer", request=shapes.CustomerChangeIn, responses={200: ANSWER})
    def patch(self, request: Request, id: str) -> Response:
        customer = self.get_object()
        values = self.validated(shapes.CustomerChangeIn, partial=True)
        editing.change_fields(customer_id=customer.pk, tenant_id=self.tenant_id, fields=values, by=Actor.of_request(request))
        return Response(self.shown(customer.pk))


class CustomerIdentities(CustomerView):
    """`/api/customers/{id}/identities/`."""

    scopes = {"POST": CUSTOMERS_WRITE}

    @extend_schema(
        summary="Add an identity",
        description="409 if another customer has it, with that customer's id. Add one again with `verified` when you have proved it.",
        request=shapes.IdentityIn,
        responses={201: IDENTITY_ANSWER},
    )
    def post(self, request: Request, id: str) -> Response:
        customer = self.get_object()
        identity = NewIdentity(**self.validated(shapes.IdentityIn))
        by, now = Actor.of_request(request), timezone.now()
        row = editing.add_identity(customer_id=customer.pk, tenant_id=self.tenant_id, identity=identity, by=by, now=now)
        shown = self.readable(shapes.IdentityWholeOut(row).data, scope=CUSTOMERS_READ, always=TOLD)
        return Response(shown, status=201)


class CustomerIdentity(CustomerView):
    """`/api/customers/{id}/identities/{identity}/`."""

    scopes = {"DELETE": CUSTOMERS_WRITE}

    @extend_schema(summary="Remove an identity", description="409 if it wrote conversations.", request=None, responses={204: None})
    def delete(self, request: Request, id: str, identity: UUID) -> Response:
        customer = self.get_object()
        by = Actor.of_request(request)
        editing.remove_identity(customer_id=customer.pk, tenant_id=self.tenant_id, identity_id=identity, by=by)
        return Response(status=204)


class CustomerAttributes(CustomerView):
    """`/api/customers/{id}/attributes/`."""

    scopes = {"PATCH": CUSTOMERS_WRITE}

    @extend_schema(
        summary="Set or remove attributes",
        description="What other sources say stays. Where they differ, staff count more than the API, then WeCom, the portal and rules.",
        request=shapes.AttributesIn,
        responses={200: ANSWER},
        examples=[shapes.SET_ATTRIBUTES],
    )
    def patch(self, request: Request, id: str) -> Response:
        customer = self.get_object()
        values = self.validated(shapes.AttributesIn)
        attributes.change(
            customer_id=customer.pk,
            tenant_id=self.tenant_id,
            values=values["values"],
            source=AttributeSource.API,
            valid_until=values.get("valid_until"),
            by=Actor.of_request(request),
            now=timezone.now(),
        )
        return Response(self.shown(customer.pk))


class CustomerExport(CustomerView):
    """`/api/customers/{id}/export/`."""

    scopes = {"POST": CUSTOMERS_WRITE}

    @extend_schema(
        summary="Export everything about a customer",
        description="With those that were merged into it: identities, attributes, conversations with all lines, links, suppressions, "
        "messages. It is written down who asked. `not_included` says what is elsewhere.",
        request=None,
        responses={200: EXPORTED},
    )
    def post(self, request: Request, id: str) -> Response:
        customer = self.get_object()
        by = Actor.of_request(request)
        return Response(exporting.export(customer_id=customer.pk, tenant_id=self.tenant_id, by=by, now=timezone.now()))


class CustomerErase(CustomerView):
    """`/api/customers/{id}/erase/`."""

    scopes = {"POST": CUSTOMERS_WRITE}

    @extend_schema(
        summary="Erase a customer",
        description="Cannot be undone. The answer says what was deleted, and what was kept and why. 409 while conversations are open. "
        "Doing it again changes nothing.",
        request=None,
        responses=shapes.ErasedOut,
    )
    def post(self, request: Request, id: str) -> Response:
        customer = self.get_object()
        found = erasing.erase(customer_id=customer.pk, tenant_id=self.tenant_id, by=Actor.of_request(request), now=timezone.now())
        shown = {"id": customer.pk, "erased_at": found.erased_at, "deleted": found.deleted, "kept": found.kept}
        return Response(shapes.ErasedOut(shown).data)
