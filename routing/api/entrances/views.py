"""Entrances and contact ways over the API."""

from typing import Any

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.services.audit import Actor
from posthaste.lib.filters import StrictFilterSet, TruthFilter
from posthaste.lib.pagination import CursorPages
from posthaste.lib.problems import Invalid
from routing.api.entrances import serializers as s
from routing.entrances import editing, registry, selectors
from routing.entrances.wecom_contact import ways
from routing.entrances.wecom_kf import quota
from routing.models import ContactWay, Conversation, Entrance, EntranceKind
from routing.scopes import CONVERSATIONS_READ, ENTRANCES_READ, ENTRANCES_WRITE

ID = ("id",)


class EntranceFilter(StrictFilterSet):
    """`?kind=email&is_enabled=true`."""

    kind = django_filters.ChoiceFilter(choices=EntranceKind.choices)
    is_enabled = TruthFilter()

    class Meta:
        model = Entrance
        fields: list[str] = []


class ContactWayFilter(StrictFilterSet):
    """`?entrance=…&state=shop-7`."""

    entrance = django_filters.UUIDFilter(field_name="entrance_id")
    state = django_filters.CharFilter()

    class Meta:
        model = ContactWay
        fields: list[str] = []


class EntranceView(TenantView):
    """Base: the tenant's entrances."""

    queryset = Entrance.objects.none()
    serializer_class = s.EntranceOut
    read_scope, always_told = ENTRANCES_READ, ID

    def get_queryset(self) -> "QuerySet[Entrance]":
        return selectors.entrances(self.tenant_id)


class EntranceCollection(ListModelMixin, EntranceView):
    """`/api/entrances/`."""

    scopes = {"GET": ENTRANCES_READ, "POST": ENTRANCES_WRITE}
    pagination_class = CursorPages
    filterset_class = EntranceFilter

    @extend_schema(summary="List entrances")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Make an entrance",
        description="`callback_url` in the answer is the address to enter at WeCom, the mail server or the other system.",
        request=s.EntranceIn,
        responses={201: readable_or(s.EntranceOut, *ID)},
    )
    def post(self, request: Request) -> Response:
        values = self.validated(s.EntranceIn)
        settings, secrets = values.pop("settings"), values.pop("secrets")
        entrance = Entrance(tenant_id=self.tenant_id, created_at=timezone.now(), **values)
        editing.create_entrance(entrance=entrance, settings=settings, secrets=secrets, by=Actor.of_request(request))
        return self.written(entrance, status=201)


class EntranceItem(RetrieveModelMixin, EntranceView):
    """`/api/entrances/{id}/`."""

    scopes = {"GET": ENTRANCES_READ, "PATCH": ENTRANCES_WRITE, "DELETE": ENTRANCES_WRITE}

    @extend_schema(summary="One entrance")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)

    @extend_schema(
        summary="Change an entrance",
        description="`settings` replaces the stored ones. Of `secrets` only those that are named change; an empty text removes one.",
        request=s.EntranceChange,
        responses={200: readable_or(s.EntranceOut, *ID)},
    )
    @transaction.atomic
    def patch(self, request: Request, id: str) -> Response:
        # Locked first and read then: of two changes at once none undoes the other's.
        list(self.get_queryset().order_by().select_for_update(of=("self",)).filter(pk=id).values_list("pk"))
        entrance = self.get_object()
        values = self.validated(s.EntranceChange, partial=True)
        settings, secrets = values.pop("settings", entrance.settings), values.pop("secrets", {})
        for name, value in values.items():
            setattr(entrance, name, value)
        by = Actor.of_request(request)
        editing.change_entrance(entrance=entrance, settings=settings, secrets=secrets, fields=request.data, by=by)
        return self.written(entrance)

    @extend_schema(
        summary="Delete an entrance",
        description="409 once conversations came through it: disable it instead, so that its history stays complete.",
        responses={204: None},
    )
    def delete(self, request: Request, id: str) -> Response:
        editing.delete_entrance(entrance=self.get_object(), by=Actor.of_request(request))
        return Response(status=204)


class EntranceTest(EntranceView):
    """`/api/entrances/{id}/test/`."""

    scopes = {"POST": ENTRANCES_WRITE}

    @extend_schema(
        summary="Test an entrance",
        description="Connects to WeCom or to the mailbox with the stored settings, and answers what it said. Nothing is sent or changed.",
        request=None,
        responses=s.ProbedOut,
    )
    def post(self, request: Request, id: str) -> Response:
        return Response(s.ProbedOut(editing.probe(entrance=self.get_object(), by=Actor.of_request(request))).data)


class EntranceKinds(TenantView):
    """`/api/entrance-kinds/`."""

    scopes = {"GET": ENTRANCES_READ}
    pagination_class = None
    queryset = Entrance.objects.none()  # not used: the reference asks every list for one

    @extend_schema(
        summary="Kinds of entrances",
        description="Each with the JSON schemas of its settings and secrets.",
        responses=inline_serializer(
            "EntranceKindOut",
            {
                "kind": serializers.CharField(),
                "title": serializers.CharField(),
                "settings": serializers.DictField(),
                "secrets": serializers.DictField(),
            },
            many=True,
        ),
    )
    def get(self, request: Request) -> Response:
        return Response(
            [
                {
                    "kind": code,
                    "title": str(kind.title),
                    "settings": kind.Settings.model_json_schema(),
                    "secrets": kind.Secrets.model_json_schema(),
                }
                for code, kind in registry.KINDS.items()
            ]
        )


class ContactWayView(TenantView):
    """Base: the tenant's contact ways."""

    queryset = ContactWay.objects.none()
    serializer_class = s.ContactWayOut
    read_scope, always_told = ENTRANCES_READ, ID

    def get_queryset(self) -> "QuerySet[ContactWay]":
        return selectors.contact_ways(self.tenant_id)

    def with_group(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return values with the skill group that they name.

        Raises:
            Invalid: there is none of that name.
        """
        if "group" in values:
            name = values["group"]
            values["group"] = selectors.group_named(self.tenant_id, name) if name else None
            if name and values["group"] is None:
                raise Invalid.field("group", _("There is no such skill group."), "unknown")
        return values


class ContactWayCollection(ListModelMixin, ContactWayView):
    """`/api/contact-ways/`."""

    scopes = {"GET": ENTRANCES_READ, "POST": ENTRANCES_WRITE}
    pagination_class = CursorPages
    filterset_class = ContactWayFilter

    @extend_schema(summary="List contact ways")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Make a contact way",
        description="It is made at WeCom first: 502 says why WeCom refused. `qr_code` in the answer is the link of its QR code.",
        request=s.ContactWayIn,
        responses={201: readable_or(s.ContactWayOut, *ID)},
    )
    def post(self, request: Request) -> Response:
        values = self.with_group(self.validated(s.ContactWayIn))
        entrance = selectors.entrances(self.tenant_id).filter(pk=s.entrance_id(values)).first()
        if entrance is None:
            raise Invalid.field("entrance", _("There is no such entrance."), "unknown")
        way = ways.create_contact_way(entrance=entrance, values=values, by=Actor.of_request(request), now=timezone.now())
        return self.written(way, status=201)


class ContactWayItem(RetrieveModelMixin, ContactWayView):
    """`/api/contact-ways/{id}/`."""

    scopes = {"GET": ENTRANCES_READ, "PATCH": ENTRANCES_WRITE, "DELETE": ENTRANCES_WRITE}

    @extend_schema(summary="One contact way")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)

    @extend_schema(
        summary="Change a contact way",
        description="Here and at WeCom. Its entrance and state stay.",
        request=s.ContactWayChange,
        responses={200: readable_or(s.ContactWayOut, *ID)},
    )
    def patch(self, request: Request, id: str) -> Response:
        values = self.with_group(self.validated(s.ContactWayChange, partial=True))
        way = ways.change_contact_way(way=self.get_object(), values=values, by=Actor.of_request(request))
        return self.written(way)

    @extend_schema(summary="Delete a contact way", description="Here and at WeCom: its QR code leads nowhere.", responses={204: None})
    def delete(self, request: Request, id: str) -> Response:
        ways.delete_contact_way(way=self.get_object(), by=Actor.of_request(request))
        return Response(status=204)


class ReplyQuota(TenantView):
    """`/api/conversations/{id}/reply-quota/`."""

    scopes = {"GET": CONVERSATIONS_READ}
    queryset = Conversation.objects.none()
    serializer_class = s.QuotaOut

    def get_queryset(self) -> "QuerySet[Conversation]":
        return Conversation.objects.filter(tenant_id=self.tenant_id).select_related("entrance")

    @extend_schema(
        summary="How many replies are left",
        description="WeCom customer service takes five replies, counting each file, within 48 hours of the customer's last message. "
        "`is_limited` is false for other entrances.",
        responses=s.QuotaOut,
    )
    def get(self, request: Request, id: str) -> Response:
        found = quota.quota(self.get_object())
        now = timezone.now()
        shown = {"is_limited": found is not None, "left": found.left_at(now) if found else None, "until": found.until if found else None}
        return Response(s.QuotaOut(shown).data)
