"""Quick replies over the API."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.services.audit import Actor
from posthaste.lib.filters import StrictFilterSet
from posthaste.lib.pagination import CursorPages
from routing.api.desk import shapes
from routing.assignment import lists
from routing.desk import quick_replies
from routing.models import QuickReply
from routing.scopes import CONVERSATIONS_READ, CONVERSATIONS_WRITE

#: What the answer to a change shows to keys that may not read.
TOLD = ("id", "shortcut")


class QuickReplyFilter(StrictFilterSet):
    """`?group=orders&language=en`."""

    group = django_filters.CharFilter(field_name="group__name", help_text="Short name of a skill group.")
    language = django_filters.CharFilter(help_text="Exactly this language code.")

    class Meta:
        model = QuickReply
        fields: list[str] = []


class QuickReplyView(TenantView):
    """Base: the tenant's quick replies."""

    queryset = QuickReply.objects.none()
    serializer_class = shapes.QuickReplyOut
    read_scope, always_told = CONVERSATIONS_READ, TOLD

    def get_queryset(self) -> "QuerySet[QuickReply]":
        return quick_replies.quick_replies(self.tenant_id)

    def values(self, *, partial: bool = False) -> dict[str, Any]:
        """Return the body, its group looked up.

        Raises:
            Invalid: there is no such group.
        """
        values = self.validated(shapes.QuickReplyIn, partial=partial)
        if values.get("group"):
            values["group"] = lists.group_named(self.tenant_id, values["group"])
        return values


class QuickReplyCollection(ListModelMixin, QuickReplyView):
    """`/api/quick-replies/`."""

    scopes = {"GET": CONVERSATIONS_READ, "POST": CONVERSATIONS_WRITE}
    pagination_class = CursorPages
    filterset_class = QuickReplyFilter

    @extend_schema(summary="List quick replies", description="Newest first.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(summary="Add a quick reply", request=shapes.QuickReplyIn, responses={201: readable_or(shapes.QuickReplyOut, *TOLD)})
    def post(self, request: Request) -> Response:
        row = QuickReply(tenant_id=self.tenant_id, **self.values())
        quick_replies.create_quick_reply(row=row, by=Actor.of_request(request), now=timezone.now())
        return self.written(row, status=201)


class QuickReplyItem(RetrieveModelMixin, QuickReplyView):
    """`/api/quick-replies/{id}/`."""

    scopes = {"GET": CONVERSATIONS_READ, "PATCH": CONVERSATIONS_WRITE, "DELETE": CONVERSATIONS_WRITE}

    @extend_schema(summary="One quick reply")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)

    @extend_schema(summary="Change a quick reply", request=shapes.QuickReplyIn, responses={200: readable_or(shapes.QuickReplyOut, *TOLD)})
    def patch(self, request: Request, id: str) -> Response:
        row: QuickReply = self.get_object()
        values = self.values(partial=True)
        for name, value in values.items():
            setattr(row, name, value)
        if values:
            quick_replies.change_quick_reply(row=row, fields=list(values), by=Actor.of_request(request), now=timezone.now())
        return self.written(row)

    @extend_schema(summary="Delete a quick reply", request=None, responses={204: None})
    def delete(self, request: Request, id: str) -> Response:
        quick_replies.delete_quick_reply(row=self.get_object(), by=Actor.of_request(request))
        return Response(status=204)
