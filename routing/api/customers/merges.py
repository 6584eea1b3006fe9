"""Merges of customers: planned, done, undone, suggested."""

from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.services.audit import Actor
from posthaste.lib.pagination import CursorPages
from routing.api.customers import shapes
from routing.api.customers.filters import MergeFilter
from routing.api.customers.views import CustomerView
from routing.customers import finding, merging, suggestions, undoing
from routing.models import Customer, CustomerMerge
from routing.scopes import CUSTOMERS_READ, CUSTOMERS_WRITE

#: What the answer to a write shows to keys that may not read customers.
TOLD = ("id", "state")
ANSWER = readable_or(shapes.MergeOut, *TOLD)


class CustomerMergeWith(CustomerView):
    """`/api/customers/{id}/merge/{merged}/`."""

    scopes = {"GET": CUSTOMERS_READ, "POST": CUSTOMERS_WRITE}

    def both(self) -> tuple[Customer, Customer]:
        """Return the customer that is kept, and the one that would be merged into it."""
        other = get_object_or_404(finding.every_customer(self.tenant_id), pk=self.kwargs["merged"])
        return self.get_object(), other

    @extend_schema(
        summary="What a merge would do",
        description="Nothing is changed. The first customer of the address is kept.",
        responses=shapes.MergePlanOut,
    )
    def get(self, request: Request, id: str, merged: UUID) -> Response:
        kept, other = self.both()
        return Response(shapes.plan_shown(merging.plan(kept=kept, merged=other)))

    @extend_schema(
        summary="Merge a customer into another",
        description="The first customer of the address is kept. 409 `conflicting_identities` if both have a verified identity of the same "
        "kind; `same_customer` for a customer with itself; `not_mergeable` if one was merged or erased.",
        request=None,
        responses={201: ANSWER},
    )
    def post(self, request: Request, id: str, merged: UUID) -> Response:
        kept, other = self.both()
        by = Actor.of_request(request)
        row = merging.merge(kept_id=kept.pk, merged_id=other.pk, tenant_id=self.tenant_id, by=by, now=timezone.now())
        return Response(self.readable(shapes.MergeOut(row).data, scope=CUSTOMERS_READ, always=TOLD), status=201)


class MergeView(TenantView):
    """Base: the tenant's merges."""

    queryset = CustomerMerge.objects.none()
    serializer_class = shapes.MergeOut

    def get_queryset(self) -> "QuerySet[CustomerMerge]":
        return finding.suggestions(self.tenant_id)


class MergeCollection(ListModelMixin, MergeView):
    """`/api/customer-merges/`."""

    scopes = {"GET": CUSTOMERS_READ}
    pagination_class = CursorPages
    filterset_class = MergeFilter

    @extend_schema(summary="List merges", description="Newest first. Those to be decided: `state=suggested`.")
    def get(self, request: Request) -> Response:
        return self.list(request)


class MergeUndo(MergeView):
    """`/api/customer-merges/{id}/undo/`."""

    scopes = {"POST": CUSTOMERS_WRITE}

    @extend_schema(
        summary="Undo a merge",
        description="What it moved goes back; conversations that its identities began since go along. 409 `merge_not_undoable` with the "
        "reason if that is not possible.",
        request=None,
        responses={200: ANSWER},
    )
    def post(self, request: Request, id: str) -> Response:
        found = self.get_object()
        by = Actor.of_request(request)
        row = undoing.undo(merge_id=found.pk, tenant_id=self.tenant_id, by=by, now=timezone.now())
        return Response(self.readable(shapes.MergeOut(row).data, scope=CUSTOMERS_READ, always=TOLD))


class MergeDismiss(MergeView):
    """`/api/customer-merges/{id}/dismiss/`."""

    scopes = {"POST": CUSTOMERS_WRITE}

    @extend_schema(
        summary="Dismiss a suggestion",
        description="The two customers are not suggested again, and never merge automatically.",
        request=None,
        responses={200: ANSWER},
    )
    def post(self, request: Request, id: str) -> Response:
        found = self.get_object()
        by = Actor.of_request(request)
        row = suggestions.dismiss(merge_id=found.pk, tenant_id=self.tenant_id, by=by, now=timezone.now())
        return Response(self.readable(shapes.MergeOut(row).data, scope=CUSTOMERS_READ, always=TOLD))
