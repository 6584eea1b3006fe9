"""Circuit breakers: what is left alone at the moment, why, and holding one open or closed by hand."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import Body, TenantView
from accounts.scopes import ADMIN
from accounts.services.audit import Actor
from messaging import selectors
from messaging.providers import breaker_states, breakers
from posthaste.lib import redis
from posthaste.lib.problems import NotFound, Unavailable


class BreakerOut(serializers.Serializer[dict[str, Any]]):
    """One breaker. The counts are those of its window; `reason_number` of `reason_of` calls made it open."""

    name = serializers.CharField()
    kind = serializers.CharField(help_text="provider, webhook")
    title = serializers.CharField()
    provider_id = serializers.UUIDField(allow_null=True)
    channel = serializers.CharField()
    state = serializers.CharField(help_text="closed, open, half_open")
    since = serializers.DateTimeField(allow_null=True)
    retry_at = serializers.DateTimeField(allow_null=True, help_text="When trial calls are made.")
    waits_for_receipts_until = serializers.DateTimeField(
        allow_null=True, help_text="Half-open: its trial messages were taken, and their receipts tell whether it closes."
    )
    reason = serializers.CharField(help_text="errors, slow, receipts, trial, silence (no receipt of a trial message came), forced")
    reason_number = serializers.IntegerField()
    reason_of = serializers.IntegerField()
    reason_code = serializers.CharField()
    configuration_version = serializers.IntegerField(help_text="Of circuit_breakers, when it last moved.")
    forced = serializers.CharField(help_text="open or closed while an operator holds it")
    forced_by = serializers.CharField()
    forced_until = serializers.DateTimeField(allow_null=True)
    calls = serializers.IntegerField()
    slow_calls = serializers.IntegerField()
    failed_calls = serializers.IntegerField()
    receipts = serializers.IntegerField()
    failed_receipts = serializers.IntegerField()


class BreakerEventOut(serializers.Serializer[dict[str, Any]]):
    """What happened to a breaker."""

    at = serializers.DateTimeField()
    event = serializers.CharField(help_text="opened, half_open, closed, forced_open, forced_closed, released")
    by = serializers.CharField()
    reason = serializers.CharField()
    reason_number = serializers.IntegerField()
    reason_of = serializers.IntegerField()
    reason_code = serializers.CharField()
    configuration_version = serializers.IntegerField()


class BreakerListOut(serializers.Serializer[dict[str, Any]]):
    """All breakers one may see."""

    results = BreakerOut(many=True)


class BreakerDetailOut(BreakerOut):
    """One breaker with its history, newest first."""

    history = BreakerEventOut(many=True)


class ForceIn(Body):
    """How a breaker is held."""

    state = serializers.ChoiceField(choices=["open", "closed", "automatic"], help_text="automatic: lets it go again")
    seconds = serializers.IntegerField(min_value=1, max_value=604_800, required=False, help_text="Without it: until released.")


class BreakerView(TenantView):
    """Base: breakers of the tenant's providers; those of hosts for tenants that operate the installation."""

    serializer_class = BreakerOut
    pagination_class = None

    def sees_hosts(self) -> bool:
        """Return whether the caller's tenant operates the installation."""
        return self.caller.is_operator

    def one(self, name: str) -> dict[str, Any]:
        """Return the breaker of that name.

        Raises:
            NotFound: there is none, or it is not the caller's.
        """
        found = breaker_states.find(name, tenant_id=self.tenant_id, with_hosts=self.sees_hosts())
        if found is None:
            raise NotFound
        return found

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, redis.Unavailable):
            exc = Unavailable(_("The states of the breakers are unavailable at the moment. Try again."))
        return super().handle_exception(exc)


class BreakerCollection(BreakerView):
    """`/api/breakers/`."""

    scopes = {"GET": ADMIN}

    @extend_schema(
        operation_id="breakers_list",
        summary="List circuit breakers",
        description="Of the tenant's providers; also of webhook hosts for a tenant that operates the installation.",
        responses=BreakerListOut,
    )
    def get(self, request: Request) -> Response:
        rows = breaker_states.of_providers(selectors.providers(self.tenant_id).defer("config", "receipt_secret"))
        if self.sees_hosts():
            rows += breaker_states.of_hosts()
        return Response(BreakerListOut({"results": rows}).data)


class BreakerItem(BreakerView):
    """`/api/breakers/{name}/`."""

    scopes = {"GET": ADMIN}

    @extend_schema(summary="One circuit breaker with its history", responses=BreakerDetailOut)
    def get(self, request: Request, name: str) -> Response:
        return Response(BreakerDetailOut(self.one(name) | {"history": breaker_states.history(name)}).data)


class BreakerForce(BreakerView):
    """`/api/breakers/{name}/force/`."""

    scopes = {"POST": ADMIN}

    @extend_schema(
        summary="Hold a circuit breaker open or closed",
        description="For `seconds`, or until `automatic` lets it go; one that was held open is then tried before it is trusted.",
        request=ForceIn,
        responses=BreakerOut,
    )
    def post(self, request: Request, name: str) -> Response:
        self.one(name)
        values = self.validated(ForceIn)
        breakers.force(name=name, to=values["state"], seconds=values.get("seconds", 0), by=Actor.of_request(request))
        return Response(BreakerOut(self.one(name)).data)
