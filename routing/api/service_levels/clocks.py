"""The clocks of service levels."""

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView
from posthaste.lib.dates import within_range
from posthaste.lib.filters import StrictFilterSet, TruthFilter
from posthaste.lib.pagination import CursorPages
from routing.models import Clock, ClockMetric, ClockState
from routing.scopes import SERVICE_LEVELS_READ
from routing.service_levels import selectors


class ClockOut(serializers.ModelSerializer[Clock]):
    """A clock. `due_at` is null while it stands still, and where its calendar never opens."""

    facts = serializers.JSONField(help_text="What it was started for: priority, customer level, type, due day.")
    pauses = serializers.JSONField(help_text="Spans in which it stood still: from and until; null: it still does.")

    class Meta:
        model = Clock
        fields = [
            "id", "conversation", "ticket", "metric", "state", "facts", "calendar", "config_version", "target_minutes", "started_at",
            "pauses", "warn_at", "due_at", "warned_at", "breached_at", "ended_at",
        ]  # fmt: skip


class ClockFilter(StrictFilterSet):
    """`?state=running&breached=true`."""

    state = django_filters.MultipleChoiceFilter(choices=ClockState.choices, distinct=False)
    metric = django_filters.MultipleChoiceFilter(choices=ClockMetric.choices, distinct=False)
    conversation = django_filters.UUIDFilter(field_name="conversation_id")
    ticket = django_filters.UUIDFilter(field_name="ticket_id")
    breached = TruthFilter(field_name="breached_at", lookup_expr="isnull", exclude=True, help_text="Whether its breach was told.")
    due_before = django_filters.IsoDateTimeFilter(field_name="due_at", lookup_expr="lt", validators=[within_range])

    class Meta:
        model = Clock
        fields: list[str] = []


class ClockView(TenantView):
    """Base: the tenant's clocks."""

    scopes = {"GET": SERVICE_LEVELS_READ}
    queryset = Clock.objects.none()
    serializer_class = ClockOut

    def get_queryset(self) -> "QuerySet[Clock]":
        return selectors.clocks(self.tenant_id)


class ClockCollection(ListModelMixin, ClockView):
    """`/api/clocks/`."""

    pagination_class = CursorPages
    filterset_class = ClockFilter

    @extend_schema(summary="List clocks of service levels", description="Newest first.")
    def get(self, request: Request) -> Response:
        return self.list(request)


class ClockItem(RetrieveModelMixin, ClockView):
    """`/api/clocks/{id}/`."""

    @extend_schema(summary="One clock of a service level")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)
