"""Safe links: made, read, taken back."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import Body, TenantView, readable_or
from accounts.services.audit import Actor
from posthaste.lib.filters import StrictFilterSet
from posthaste.lib.pagination import CursorPages
from routing.links import listing, making, using
from routing.models import LinkClick, LinkPurpose, SafeLink
from routing.scopes import LINKS_READ, LINKS_WRITE

VISIT = OpenApiExample(
    "A page, once, for a day",
    {"purpose": "visit", "target": "https://www.example.com/orders/1042", "hours": 24, "max_uses": 1},
    request_only=True,
)


class LinkOut(serializers.ModelSerializer[SafeLink]):
    """A link; its address was shown when it was made."""

    state = serializers.SerializerMethodField()

    class Meta:
        model = SafeLink
        fields = [
            "id", "purpose", "target", "data", "customer", "state", "max_uses", "uses", "expires_at", "revoked_at", "created_by",
            "created_at",
        ]  # fmt: skip

    @extend_schema_field(serializers.ChoiceField(choices=using.STATES))
    def get_state(self, link: SafeLink) -> str:
        return str(using.state(link, now=timezone.now()) or "usable")


class LinkMadeOut(LinkOut):
    """A new link with its address, which is shown only now."""

    url = serializers.CharField()

    class Meta(LinkOut.Meta):
        fields = ["url", *LinkOut.Meta.fields]


class LinkIn(Body):
    """What makes a link."""

    purpose = serializers.ChoiceField(choices=LinkPurpose.choices)
    target = serializers.CharField(max_length=2048, default="", allow_blank=True, help_text="The page, for `visit`.")
    data = serializers.DictField(  # type: ignore[assignment]  # a field of the body
        default=dict,
        help_text="`attachment`: {attachment: its id}. `unsubscribe`: {identity: its id, category: empty for all}. "
        "`satisfaction`: {rating: its id}. `sign_in`: {entrance: the portal's id, identity: its id}.",
    )
    customer = serializers.UUIDField(required=False, allow_null=True, help_text="To whom it is given.")
    hours = serializers.FloatField(required=False, min_value=0.01, max_value=making.MAX_HOURS, help_text="Default: as configured.")
    max_uses = serializers.IntegerField(required=False, min_value=0, max_value=1000, help_text="0: no limit. Default: as configured.")


class ClickOut(serializers.ModelSerializer[LinkClick]):
    """A request for a link. `shown` is a GET, which may be a mail scanner's; `used` is a person's."""

    outcome = serializers.ChoiceField(choices=using.Outcome.choices)

    class Meta:
        model = LinkClick
        fields = ["id", "method", "outcome", "network", "user_agent", "clicked_at"]


class LinkFilter(StrictFilterSet):
    """`?purpose=visit&customer=…`."""

    purpose = django_filters.ChoiceFilter(choices=LinkPurpose.choices)
    customer = django_filters.UUIDFilter(field_name="customer_id")

    class Meta:
        model = SafeLink
        fields: list[str] = []


#: What the answer to a revocation shows to keys that may not read links.
TOLD = ("id", "state")
ANSWER = readable_or(LinkOut, *TOLD)


class LinkView(TenantView):
    """Base: the tenant's links."""

    queryset = SafeLink.objects.none()
    serializer_class = LinkOut

    def get_queryset(self) -> "QuerySet[SafeLink]":
        return listing.links(self.tenant_id)


class LinkCollection(ListModelMixin, LinkView):
    """`/api/links/`."""

    scopes = {"GET": LINKS_READ, "POST": LINKS_WRITE}
    pagination_class = CursorPages
    filterset_class = LinkFilter

    @extend_schema(summary="List safe links", description="Newest first.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Make a safe link",
        description="`url` is shown in this answer only: what is stored can't be turned back into it.",
        request=LinkIn,
        responses={201: LinkMadeOut},
        examples=[VISIT],
    )
    def post(self, request: Request) -> Response:
        values = self.validated(LinkIn)
        made = making.make(
            LinkPurpose(values["purpose"]),
            tenant_id=self.tenant_id,
            target=values["target"],
            data=values["data"],
            customer_id=values.get("customer"),
            hours=values.get("hours"),
            max_uses=values.get("max_uses"),
            by=Actor.of_request(request),
            now=timezone.now(),
        )
        shown: dict[str, Any] = {"url": made.url, **LinkOut(made.row).data}
        return Response(shown, status=201)


class LinkItem(RetrieveModelMixin, LinkView):
    """`/api/links/{id}/`."""

    scopes = {"GET": LINKS_READ}

    @extend_schema(summary="One safe link")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)


class LinkRevoke(LinkView):
    """`/api/links/{id}/revoke/`."""

    scopes = {"POST": LINKS_WRITE}

    @extend_schema(summary="Revoke a safe link", description="It stops working at once.", request=None, responses={200: ANSWER})
    def post(self, request: Request, id: str) -> Response:
        link = self.get_object()
        making.revoke(link=link, by=Actor.of_request(request), now=timezone.now())
        return Response(self.readable(LinkOut(link).data, scope=LINKS_READ, always=TOLD))


class LinkClicks(ListModelMixin, TenantView):
    """`/api/links/{id}/clicks/`."""

    scopes = {"GET": LINKS_READ}
    queryset = LinkClick.objects.none()
    serializer_class = ClickOut
    pagination_class = CursorPages

    def get_queryset(self) -> "QuerySet[LinkClick]":
        return listing.clicks(get_object_or_404(listing.links(self.tenant_id), pk=self.kwargs["id"]))

    @extend_schema(summary="Requests for a safe link", description="Newest first; at most a thousand are kept.")
    def get(self, request: Request, id: str) -> Response:
        return self.list(request)
