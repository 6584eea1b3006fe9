"""Providers: who carries a channel's messages."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView
from accounts.scopes import ADMIN, SandboxSafe
from accounts.services.audit import Actor
from messaging import selectors
from messaging.api import serializers as s
from messaging.api.filters import ProviderFilter
from messaging.channels import registry
from messaging.channels.sandbox import outbox
from messaging.models import Provider
from messaging.providers import editing
from messaging.providers.cache import SANDBOX
from messaging.scopes import READ
from posthaste.lib import redis
from posthaste.lib.crypto import is_lost
from posthaste.lib.pagination import CursorPages
from posthaste.lib.problems import Unavailable


class ProviderView(TenantView):
    """Base: the tenant's providers."""

    queryset = Provider.objects.none()
    serializer_class = s.ProviderOut

    def get_queryset(self) -> "QuerySet[Provider]":
        return selectors.providers(self.tenant_id)


class ProviderCollection(ListModelMixin, ProviderView):
    """`/api/providers/`."""

    scopes = {"GET": ADMIN, "POST": ADMIN}
    pagination_class = CursorPages
    filterset_class = ProviderFilter

    @extend_schema(summary="List providers")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Make a provider",
        description="`receipt_secret` is shown in this answer only.",
        request=s.ProviderIn,
        responses={201: s.ProviderCreatedOut},
    )
    def post(self, request: Request) -> Response:
        values = self.validated(s.ProviderIn)
        config, caps = values.pop("config"), values.pop("caps")
        provider = Provider(tenant_id=self.tenant_id, max_per_second=caps.get("per_second"), max_at_once=caps.get("at_once"), **values)
        editing.create_provider(provider=provider, config=config, by=Actor.of_request(request))
        return Response(s.ProviderCreatedOut(provider).data, status=201)


class ProviderItem(RetrieveModelMixin, ProviderView):
    """`/api/providers/{id}/`."""

    scopes = {"GET": ADMIN, "PATCH": ADMIN, "DELETE": ADMIN}

    @extend_schema(summary="One provider")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)

    @extend_schema(
        summary="Change a provider",
        description="A `config` replaces the stored one; secrets that still show their mask keep their value. Of `caps` only those that "
        "are named change (RFC 7396): null removes one, and null in place of the object all.",
        request=s.ProviderChange,
        responses=s.ProviderOut,
    )
    @transaction.atomic
    def patch(self, request: Request, id: str) -> Response:
        # Locked first and read then: of two changes at once none undoes the other's.
        list(self.get_queryset().order_by().select_for_update(of=("self",)).filter(pk=id).values_list("pk"))
        provider = self.get_object()
        values = self.validated(s.ProviderChange, partial=True)
        is_unusable = not editing.is_installed(provider) or ("config" not in values and is_lost(provider, "config"))
        if is_unusable:
            provider.is_enabled = values.get("is_enabled", provider.is_enabled)
            editing.disable_uninstalled(provider=provider, fields=values, by=Actor.of_request(request))
            return Response(s.ProviderOut(provider).data)
        config: dict[str, Any] = editing.config_of(provider)
        if "config" in values:
            config = editing.merge_secrets(kind=provider.kind, old=config, new=values.pop("config"))
        if "caps" in values:
            editing.change_caps(provider=provider, caps=values.pop("caps"))
        for name, value in values.items():
            setattr(provider, name, value)
        editing.change_provider(provider=provider, config=config, fields=request.data, by=Actor.of_request(request))
        return Response(s.ProviderOut(provider).data)

    @extend_schema(
        summary="Remove a provider",
        description="409 once it has carried messages: disable it instead, so that its history stays complete.",
        responses={204: None},
    )
    def delete(self, request: Request, id: str) -> Response:
        provider = self.get_object()
        editing.delete_provider(provider=provider, by=Actor.of_request(request))
        return Response(status=204)


class ProviderTest(ProviderView):
    """`/api/providers/{id}/test/`."""

    scopes = {"POST": ADMIN}
    sandbox_safe = {"POST": SandboxSafe.SANDBOX_ONLY}

    def is_live(self, row: Provider) -> bool:
        return row.kind != SANDBOX

    @extend_schema(
        summary="Send a test message",
        description="At once and outside the queue; answers what the provider said. 429 while too many calls wait for an answer.",
        request=s.TestSendIn,
        responses=s.TestSendOut,
    )
    def post(self, request: Request, id: str) -> Response:
        provider = self.get_object()
        values = self.validated(s.TestSendIn)
        result = editing.send_test(provider=provider, recipient=values["recipient"], text=values["text"], by=Actor.of_request(request))
        self.waited_seconds = result.duration_ms / 1000
        return Response(s.TestSendOut(result).data)


class ProviderSecret(ProviderView):
    """`/api/providers/{id}/receipt-secret/`."""

    scopes = {"POST": ADMIN}

    @extend_schema(
        summary="Make a new receipt secret", description="The old one stops working at once.", request=None, responses=s.ProviderCreatedOut
    )
    def post(self, request: Request, id: str) -> Response:
        provider = self.get_object()
        editing.renew_receipt_secret(provider=provider, by=Actor.of_request(request))
        return Response(s.ProviderCreatedOut(provider).data)


class ProviderKinds(TenantView):
    """`/api/provider-kinds/`."""

    scopes = {"GET": ADMIN}
    pagination_class = None
    queryset = Provider.objects.none()  # not used: the reference asks every list for one

    @extend_schema(
        summary="Kinds of providers",
        description="Each with its channels and the JSON schema of its configuration.",
        responses=inline_serializer(
            "ProviderKindOut",
            {
                "kind": serializers.CharField(),
                "title": serializers.CharField(),
                "channels": serializers.ListField(child=serializers.CharField()),
                "config": serializers.DictField(),
            },
            many=True,
        ),
    )
    def get(self, request: Request) -> Response:
        return Response(
            [
                {
                    "kind": kind,
                    "title": str(adapter.title),
                    "channels": sorted(adapter.channels),
                    "config": adapter.Config.model_json_schema(),
                }
                for kind, adapter in registry.ADAPTERS.items()
            ]
        )


class SandboxOutbox(TenantView):
    """`/api/sandbox/outbox/`."""

    scopes = {"GET": READ}
    pagination_class = None

    @extend_schema(
        summary="What the sandbox sent",
        description="The latest 100 of up to 1,000 messages, newest first. Recipients are whole: nothing here left the platform.",
        responses={200: {"type": "array", "items": {"type": "object"}}},
    )
    def get(self, request: Request) -> Response:
        try:
            return Response(outbox.read(tenant_id=self.tenant_id))
        except redis.Unavailable:
            raise Unavailable(_("The outbox is unavailable at the moment. Try again.")) from None
