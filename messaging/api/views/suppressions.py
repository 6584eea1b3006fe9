"""The suppression list: look, add, remove."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.services.audit import Actor
from messaging import selectors
from messaging.api.filters import SuppressionFilter
from messaging.api.suppressions import (
    SuppressionBulkIn,
    SuppressionBulkOut,
    SuppressionDetailOut,
    SuppressionIn,
    SuppressionOut,
    SuppressionsAdded,
)
from messaging.models import Suppression
from messaging.scopes import SUPPRESSIONS_READ, SUPPRESSIONS_WRITE
from messaging.suppression import suppressions
from posthaste.lib.pagination import CursorPages

#: What the answer to adding one shows to keys that may not read the list: which entry it is, and what they sent.
TOLD = ("id", "recipient", "kind", "channel", "category")
ANSWER = readable_or(SuppressionDetailOut, *TOLD)


class SuppressionView(TenantView):
    """Base: the tenant's list."""

    queryset = Suppression.objects.none()
    serializer_class = SuppressionOut

    def get_queryset(self) -> "QuerySet[Suppression]":
        return selectors.suppressions(self.tenant_id)

    def add(self, request: Request, recipients: list[str], values: dict[str, Any], field: str) -> int:
        """Put recipients on the list and return the number of new ones."""
        return suppressions.add(
            tenant_id=self.tenant_id,
            recipients=recipients,
            channel=values["channel"],
            kind=values["kind"],
            category=values["category"],
            reason=values["reason"],
            expires_at=values.get("expires_at"),
            by=Actor.of_request(request),
            now=timezone.now(),
            field=field,
        )


class SuppressionCollection(ListModelMixin, SuppressionView):
    """`/api/suppressions/`."""

    scopes = {"GET": SUPPRESSIONS_READ, "POST": SUPPRESSIONS_WRITE}
    pagination_class = CursorPages
    filterset_class = SuppressionFilter

    @extend_schema(summary="List suppressions", description="Newest first; recipients are masked. Ask for one with `recipient`, exactly.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Suppress a recipient",
        description="Nothing (or nothing of the channel or category) is sent to them any more. 200 if they stand on the list already. "
        "An entry has a channel, or is of a kind: set it, or write the recipient so that it shows.",
        request=SuppressionIn,
        responses={200: ANSWER, 201: ANSWER},
    )
    def post(self, request: Request) -> Response:
        values = self.validated(SuppressionIn)
        added = self.add(request, [values["recipient"]], values, "recipient")
        recipient = suppressions.normalise(values["recipient"], values["channel"], values["kind"])
        entry = self.get_queryset().get(recipient=recipient, channel=values["channel"], category=values["category"])
        shown = self.readable(SuppressionDetailOut(entry).data, scope=SUPPRESSIONS_READ, always=TOLD)
        return Response(shown, status=201 if added else 200)


class SuppressionBulk(SuppressionView):
    """`/api/suppressions/bulk/`."""

    scopes = {"POST": SUPPRESSIONS_WRITE}

    @extend_schema(
        summary="Suppress many recipients",
        description="Up to 10,000. One bad recipient rejects all. Safe to repeat: recipients already on the list stay as they are.",
        request=SuppressionBulkIn,
        responses=SuppressionBulkOut,
    )
    def post(self, request: Request) -> Response:
        values = self.validated(SuppressionBulkIn)
        added = self.add(request, values["recipients"], values, "recipients")
        return Response(SuppressionsAdded(added=added, present=len(values["recipients"]) - added))


class SuppressionItem(RetrieveModelMixin, SuppressionView):
    """`/api/suppressions/{id}/`."""

    scopes = {"GET": SUPPRESSIONS_READ, "DELETE": SUPPRESSIONS_WRITE}
    serializer_class = SuppressionDetailOut

    @extend_schema(summary="One suppression, whole")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)

    @extend_schema(summary="Take a recipient off the list", request=None, responses={204: None})
    def delete(self, request: Request, id: str) -> Response:
        entry = self.get_object()
        suppressions.remove(entries=[entry], by=Actor.of_request(request))
        return Response(status=204)
