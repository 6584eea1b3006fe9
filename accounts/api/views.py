"""API keys, the audit trail, and who am I."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import Body, BoundedList, TenantView
from accounts.models import ApiKey, AuditEntry, KeyKind, Tenant
from accounts.scopes import ADMIN, SCOPES, SandboxSafe
from accounts.services import api_keys
from accounts.services.audit import Actor
from accounts.tenancy import owned_by
from posthaste.lib.dates import within_range
from posthaste.lib.pagination import CursorPages
from posthaste.lib.visible_text import must_be_visible


class ApiKeyOut(serializers.ModelSerializer[ApiKey]):
    """A key without its secret, which is not stored."""

    scopes = serializers.ListField(child=serializers.CharField())
    ip_ranges = serializers.ListField(child=serializers.CharField(), help_text="CIDR. Empty: any address.")

    class Meta:
        model = ApiKey
        fields = ["id", "name", "prefix", "kind", "scopes", "ip_ranges", "expires_at", "revoked_at", "last_used_at", "created_at"]


class ApiKeyIn(Body):
    """What makes a key."""

    name = serializers.CharField(max_length=100, validators=[must_be_visible])
    kind = serializers.ChoiceField(choices=KeyKind.choices, default=KeyKind.LIVE)
    scopes = BoundedList(child=serializers.ChoiceField(choices=sorted(SCOPES)), min_length=1, max_length=100)
    ip_ranges = BoundedList(child=serializers.CharField(max_length=50), default=list, max_length=1_000)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, validators=[within_range])


class ApiKeyView(TenantView):
    """Base: the tenant's keys."""

    queryset = ApiKey.objects.none()
    serializer_class = ApiKeyOut

    def get_queryset(self) -> "QuerySet[ApiKey]":
        return owned_by(ApiKey.objects.all(), self.tenant_id)

    def is_live(self, row: ApiKey) -> bool:
        return row.kind != KeyKind.SANDBOX


class ApiKeyCollection(ListModelMixin, ApiKeyView):
    """`/api/keys/`."""

    scopes = {"GET": ADMIN, "POST": ADMIN}
    sandbox_safe = {"POST": SandboxSafe.SANDBOX_ONLY}
    pagination_class = CursorPages
    filter_backends = ()

    @extend_schema(summary="List API keys")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Issue an API key",
        description="`api_key` is shown in this answer only.",
        request=ApiKeyIn,
        responses={201: inline_serializer("ApiKeyIssued", {"api_key": serializers.CharField(), "key": ApiKeyOut()})},
    )
    def post(self, request: Request) -> Response:
        values = self.validated(ApiKeyIn)
        if values["kind"] == KeyKind.LIVE:
            self.caller.must_be_live()
        tenant = Tenant.objects.get(pk=self.tenant_id)
        key, clear = api_keys.issue_api_key(tenant=tenant, by=Actor.of_request(request), **values)
        return Response({"api_key": clear, "key": ApiKeyOut(key).data}, status=201)


class ApiKeyRevoke(ApiKeyView):
    """`/api/keys/{id}/revoke/`."""

    scopes = {"POST": ADMIN}
    sandbox_safe = {"POST": SandboxSafe.SANDBOX_ONLY}

    @extend_schema(
        summary="Revoke an API key", description="For ever; within two seconds in every process.", request=None, responses=ApiKeyOut
    )
    def post(self, request: Request, id: int) -> Response:
        key = self.get_object()
        api_keys.revoke_api_key(key=key, now=timezone.now(), by=Actor.of_request(request))
        key.refresh_from_db()
        return Response(ApiKeyOut(key).data)


class AuditOut(serializers.ModelSerializer[AuditEntry]):
    """One entry of the audit trail."""

    detail = serializers.DictField()

    class Meta:
        model = AuditEntry
        fields = ["id", "at", "actor", "action", "target", "detail", "ip"]


class AuditTrail(ListModelMixin, TenantView):
    """`/api/audit/`."""

    scopes = {"GET": ADMIN}
    queryset = AuditEntry.objects.none()
    serializer_class = AuditOut
    pagination_class = CursorPages
    filterset_fields = ["actor", "action", "target"]

    def get_queryset(self) -> "QuerySet[AuditEntry]":
        return owned_by(AuditEntry.objects.all(), self.tenant_id)

    @extend_schema(summary="Who did what")
    def get(self, request: Request) -> Response:
        return self.list(request)


class WhoAmI(TenantView):
    """`/api/me/`: needs a key, but no particular scope of it."""

    @extend_schema(
        summary="The key in use",
        responses=inline_serializer(
            "Me",
            {
                "tenant": serializers.CharField(),
                "prefix": serializers.CharField(),
                "kind": serializers.ChoiceField(choices=KeyKind.choices),
                "scopes": serializers.ListField(child=serializers.CharField()),
                "expires_at": serializers.DateTimeField(allow_null=True),
            },
        ),
    )
    def get(self, request: Request) -> Response:
        caller = self.caller
        kind = KeyKind.SANDBOX if caller.is_sandbox else KeyKind.LIVE
        return Response(
            {
                "tenant": caller.tenant_slug,
                "prefix": caller.prefix,
                "kind": kind,
                "scopes": sorted(caller.scopes),
                "expires_at": caller.expires_at,
            }
        )

    def get_permissions(self) -> list[Any]:
        return []
