"""Statistics: over days, and of this moment."""

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView
from messaging import statistics
from messaging.scopes import STATISTICS
from messaging.statistics.history import RANGES, history
from posthaste.lib import redis
from posthaste.lib.filters import Query
from posthaste.lib.problems import Unavailable


class Overview(TenantView):
    """`/api/messages/statistics/overview`."""

    scopes = {"GET": STATISTICS}

    @extend_schema(
        summary="Today and yesterday",
        description=(
            "By state and channel, success rate (per cent of what was tried to the end), latency percentiles in ms (within 1 per cent). "
            "Days in UTC."
        ),
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        return Response(statistics.overview(tenant_id=self.tenant_id, now=timezone.now()))


class Realtime(TenantView):
    """`/api/messages/statistics/realtime`."""

    scopes = {"GET": STATISTICS}

    @extend_schema(
        summary="This moment",
        description="Rates a second, the four queues with depth and capacity, the pools.",
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        try:
            return Response(statistics.realtime(tenant_id=self.tenant_id, now=timezone.now()))
        except redis.Unavailable:
            raise Unavailable(_("The live figures are unavailable at the moment. Messages are accepted and sent all the same.")) from None


class HistoryQuery(Query):
    """What is asked of the past."""

    range = serializers.ChoiceField(choices=list(RANGES), default="1h", help_text="15m, 1h: by minute; 24h: by ten minutes; 7d: by hour.")


class History(TenantView):
    """`/api/messages/statistics/history`."""

    scopes = {"GET": STATISTICS}
    queries = {"GET": HistoryQuery}

    @extend_schema(
        summary="The last minutes to days",
        description=(
            "Points from the oldest to the newest: `at` (Unix seconds), `seconds` that were counted, numbers of messages by event and, "
            "of those sent, by channel, latency percentiles in ms (within 6 per cent), success rate; queue and pool of the installation. "
            "Events are counted at the time at which they happened. What isn't known is null. `as_of` is up to when the points are known."
        ),
        parameters=[HistoryQuery],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        return Response(history(name=self.asked()["range"], tenant_id=self.tenant_id, now=timezone.now()))
