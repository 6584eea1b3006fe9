"""What the limits do at the moment."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView
from accounts.services.rights import must_operate
from configcenter.scopes import CONFIG_READ
from messaging.configuration.flow import Unit
from messaging.intake import limit_states


class RefusedOut(serializers.Serializer[dict[str, Any]]):
    """How many requests were refused, and by what."""

    rule = serializers.CharField(help_text="Name of the flow rule; of system protection: load, latency or threads.")
    number = serializers.IntegerField()


class SystemOut(serializers.Serializer[dict[str, Any]]):
    """System protection."""

    is_enabled = serializers.BooleanField()
    refused = RefusedOut(many=True)


class StepOut(serializers.Serializer[dict[str, Any]]):
    """One step of the adaptive limit, and what it was taken for."""

    at = serializers.DateTimeField()
    limit = serializers.FloatField(help_text="Per second, in the `unit` of the limit.")
    before = serializers.FloatField()
    reason = serializers.CharField(help_text="latency, room, near_the_knee, enough, no_traffic")
    latency_ms = serializers.FloatField(help_text="Mean time of the requests of the period.")
    per_second = serializers.FloatField(help_text="Let in, in the `unit` of the limit.")
    refused = serializers.IntegerField()


class AdaptiveOut(serializers.Serializer[dict[str, Any]]):
    """The adaptive limit."""

    is_enabled = serializers.BooleanField()
    limit = serializers.FloatField(allow_null=True)
    unit = serializers.ChoiceField(choices=Unit.choices, help_text="What it counts.")
    min_per_second = serializers.FloatField()
    max_per_second = serializers.FloatField()
    steps = StepOut(many=True, help_text="The last hundred, newest first.")


class LimitsOut(serializers.Serializer[dict[str, Any]]):
    """Counts of all processes over the last minutes; null where they are unknown because Redis is away."""

    minutes = serializers.IntegerField()
    is_local = serializers.BooleanField(help_text="Redis is away: each process keeps to its share of every limit.")
    processes = serializers.IntegerField(help_text="Among so many the limits are shared out then.")
    let_in = serializers.IntegerField(allow_null=True, help_text="Requests.")
    messages = serializers.IntegerField(allow_null=True, help_text="What they counted, a batch its size.")
    waited = serializers.IntegerField(allow_null=True, help_text="Requests that a rule with a queue let wait.")
    refused = RefusedOut(many=True)
    system = SystemOut()
    adaptive = AdaptiveOut()


class LimitsNow(TenantView):
    """`/api/limits/`."""

    scopes = {"GET": CONFIG_READ}
    serializer_class = LimitsOut
    pagination_class = None

    @extend_schema(
        operation_id="limits_now",
        summary="What the limits do at the moment",
        description="Of the whole installation, so for a tenant that operates it.",
        responses=LimitsOut,
    )
    def get(self, request: Request) -> Response:
        must_operate(self.caller)
        return Response(LimitsOut(limit_states.now()).data)
