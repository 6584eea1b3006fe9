"""Ticket types and tags."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import Body, BoundedList, TenantView, readable_or
from accounts.services.audit import Actor
from posthaste.lib.pagination import CursorPages
from posthaste.lib.problems import Invalid
from routing.api.tickets.shapes import SLUG, TagIn, TagOut
from routing.assignment import lists
from routing.models import Tag, TicketKind, TicketPriority, TicketType
from routing.scopes import TICKETS_READ, TICKETS_WRITE
from routing.tickets import finding, types
from routing.tickets.field_values import FieldKind
from routing.tickets.fields import MAX_CHOICES, MAX_FIELDS, Required

TOLD, TAG_TOLD = ("name",), ("id", "name")
NEW_TYPE = OpenApiExample(
    "A refund",
    {
        "name": "refund",
        "title": "Refund",
        "title_zh": "退款",
        "fields": [{"key": "order", "kind": "order", "label": "Order number", "label_zh": "订单号", "required": "open", "is_public": True}],
        "checklist": ["Check the payment"],
    },
    request_only=True,
)


class ChoiceShape(Body):
    """A choice of a field."""

    value = serializers.CharField(max_length=100)
    zh = serializers.CharField(max_length=100, required=False, allow_blank=True, help_text="As it reads in Chinese.")


class FieldShape(Body):
    """A field of a ticket type."""

    key = serializers.CharField(max_length=40, help_text="Small letters, digits and underscores.")
    kind = serializers.ChoiceField(choices=FieldKind.choices)
    label = serializers.CharField(max_length=100)  # type: ignore[assignment]  # of a ticket's field, as the next ones
    label_zh = serializers.CharField(max_length=100, required=False, allow_blank=True)
    help = serializers.CharField(max_length=300, required=False, allow_blank=True)
    help_zh = serializers.CharField(max_length=300, required=False, allow_blank=True)
    required = serializers.ChoiceField(  # type: ignore[assignment]  # a field of a ticket's field
        choices=[(str(one), str(one)) for one in Required], required=False, allow_blank=True, help_text="open, resolve, or empty: never."
    )
    is_public = serializers.BooleanField(required=False, help_text="Customers fill it in in the portal.")
    minimum = serializers.FloatField(required=False, allow_null=True)
    maximum = serializers.FloatField(required=False, allow_null=True)
    choices = BoundedList(child=ChoiceShape(), max_length=MAX_CHOICES, required=False)


class TicketTypeOut(serializers.ModelSerializer[TicketType]):
    """A ticket type."""

    fields = serializers.ListField(child=serializers.DictField())  # type: ignore[assignment]  # the type's
    checklist = serializers.ListField(child=serializers.CharField())
    group = serializers.SerializerMethodField(help_text="Short name.")

    class Meta:
        model = TicketType
        fields = [
            "id", "name", "title", "title_zh", "kind", "fields", "checklist", "priority", "group", "is_public", "is_active", "created_at",
        ]  # fmt: skip

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_group(self, row: TicketType) -> str | None:
        return row.group.name if row.group else None


class TicketTypeIn(Body):
    """What makes a ticket type."""

    name = serializers.RegexField(SLUG, max_length=80, help_text="Short name. It can't be changed later.")
    title = serializers.CharField(max_length=100)
    title_zh = serializers.CharField(max_length=100, required=False, allow_blank=True)
    kind = serializers.ChoiceField(choices=TicketKind.choices, required=False)
    fields = BoundedList(child=FieldShape(), max_length=MAX_FIELDS, required=False)  # type: ignore[assignment]  # the type's
    checklist = BoundedList(child=serializers.CharField(max_length=300), max_length=types.MAX_ITEMS, required=False)
    priority = serializers.ChoiceField(choices=TicketPriority.choices, required=False)
    group = serializers.RegexField(
        SLUG, max_length=80, required=False, allow_null=True, help_text="Short name of the group that gets them."
    )
    is_public = serializers.BooleanField(required=False)
    is_active = serializers.BooleanField(required=False)


class TypeView(TenantView):
    """Base: the tenant's ticket types."""

    queryset = TicketType.objects.none()
    serializer_class = TicketTypeOut
    read_scope, always_told = TICKETS_READ, TOLD
    lookup_url_kwarg = lookup_field = "name"

    def get_queryset(self) -> "QuerySet[TicketType]":
        return finding.types(self.tenant_id)

    def fill(self, kind: TicketType, values: dict[str, Any]) -> None:
        """Set what a body says of a type.

        Raises:
            Invalid: there is no such group.
        """
        if values.get("group") is not None:
            values["group"] = lists.group_named(self.tenant_id, values["group"])
        for name, value in values.items():
            setattr(kind, name, value)


class TicketTypes(ListModelMixin, TypeView):
    """`/api/ticket-types/`."""

    scopes = {"GET": TICKETS_READ, "POST": TICKETS_WRITE}
    pagination_class = CursorPages

    @extend_schema(summary="List ticket types", description="Newest first.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Add a ticket type",
        request=TicketTypeIn,
        responses={201: readable_or(TicketTypeOut, *TOLD)},
        examples=[NEW_TYPE],
    )
    def post(self, request: Request) -> Response:
        kind = TicketType(tenant_id=self.tenant_id)
        self.fill(kind, self.validated(TicketTypeIn))
        types.create_type(kind=kind, by=Actor.of_request(request), now=timezone.now())
        return self.written(kind, status=201)


class TicketTypeItem(RetrieveModelMixin, TypeView):
    """`/api/ticket-types/{name}/`."""

    scopes = {"GET": TICKETS_READ, "PATCH": TICKETS_WRITE, "DELETE": TICKETS_WRITE}

    @extend_schema(summary="One ticket type")
    def get(self, request: Request, name: str) -> Response:
        return self.retrieve(request)

    @extend_schema(
        summary="Change a ticket type",
        description="`fields` and `checklist` replace what there was; tickets keep their values and items.",
        request=TicketTypeIn,
        responses={200: readable_or(TicketTypeOut, *TOLD)},
    )
    def patch(self, request: Request, name: str) -> Response:
        kind = self.get_object()
        values = self.validated(TicketTypeIn, partial=True)
        if values.pop("name", kind.name) != kind.name:
            raise Invalid.field("name", _("The short name can't be changed: service levels name it."), "not_allowed")
        self.fill(kind, values)
        if values:
            types.change_type(kind=kind, fields=values, by=Actor.of_request(request))
        return self.written(kind)

    @extend_schema(
        summary="Delete a ticket type",
        description="409 if tickets have it: set `is_active` to false instead.",
        request=None,
        responses={204: None},
    )
    def delete(self, request: Request, name: str) -> Response:
        types.delete_type(kind=self.get_object(), by=Actor.of_request(request))
        return Response(status=204)


class TagView(TenantView):
    """Base: the tenant's tags."""

    queryset = Tag.objects.none()
    serializer_class = TagOut
    read_scope, always_told = TICKETS_READ, TAG_TOLD

    def get_queryset(self) -> "QuerySet[Tag]":
        return finding.tags(self.tenant_id)


class Tags(ListModelMixin, TagView):
    """`/api/tags/`."""

    scopes = {"GET": TICKETS_READ, "POST": TICKETS_WRITE}
    pagination_class = CursorPages

    @extend_schema(summary="List tags", description="Newest first. Tickets and conversations share them.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(summary="Add a tag", request=TagIn, responses={201: readable_or(TagOut, *TAG_TOLD)})
    def post(self, request: Request) -> Response:
        tag = Tag(tenant_id=self.tenant_id, name=self.validated(TagIn)["name"])
        types.create_tag(tag=tag, by=Actor.of_request(request), now=timezone.now())
        return self.written(tag, status=201)


class TagItem(TagView):
    """`/api/tags/{id}/`."""

    scopes = {"PATCH": TICKETS_WRITE, "DELETE": TICKETS_WRITE}

    @extend_schema(summary="Rename a tag", request=TagIn, responses={200: readable_or(TagOut, *TAG_TOLD)})
    def patch(self, request: Request, id: str) -> Response:
        tag, values = self.get_object(), self.validated(TagIn, partial=True)
        if "name" in values:
            tag.name = values["name"]
            types.change_tag(tag=tag, by=Actor.of_request(request))
        return self.written(tag)

    @extend_schema(summary="Delete a tag", description="It is taken off what is marked with it.", request=None, responses={204: None})
    def delete(self, request: Request, id: str) -> Response:
        types.delete_tag(tag=self.get_object(), by=Actor.of_request(request))
        return Response(status=204)
