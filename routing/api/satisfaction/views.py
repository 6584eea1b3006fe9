"""Ratings: listed, as a file, and added up."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import django_filters
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView
from posthaste.lib import zones
from posthaste.lib.dates import within_range
from posthaste.lib.filters import Query, StrictFilterSet, TruthFilter, WholeNumber
from posthaste.lib.pagination import CursorPages
from posthaste.ui.export import as_csv
from routing.models import Satisfaction
from routing.satisfaction.selectors import By, figures, ratings
from routing.scopes import SATISFACTION_READ

#: Rows of a file.
MAX_ROWS = 100_000
DAYS = 30
MAX_DAYS = 400


class RatingOut(serializers.ModelSerializer[Satisfaction]):
    """A rating that was asked for; without a score: not answered."""

    agent_name = serializers.CharField(source="agent.name", default=None, allow_null=True)
    group = serializers.CharField(source="group.name", default=None, allow_null=True, help_text="The group's short name.")

    class Meta:
        model = Satisfaction
        fields = [
            "id", "conversation", "agent", "agent_name", "group", "score", "comment", "resolved_at", "asked_at", "answered_at",
        ]  # fmt: skip


class RatingFilter(StrictFilterSet):
    """`?score=1&score=2&group=billing&answered=true`."""

    score = django_filters.MultipleChoiceFilter(choices=[(score, str(score)) for score in range(1, 6)], distinct=False)
    answered = TruthFilter(field_name="score", lookup_expr="isnull", exclude=True)
    agent = django_filters.UUIDFilter(field_name="agent_id")
    group = django_filters.CharFilter(field_name="group__name", help_text="The group's short name.")
    conversation = django_filters.UUIDFilter(field_name="conversation_id")
    asked_after = django_filters.IsoDateTimeFilter(
        field_name="asked_at", lookup_expr="gte", validators=[within_range], help_text="At this time or later."
    )
    asked_before = django_filters.IsoDateTimeFilter(
        field_name="asked_at", lookup_expr="lt", validators=[within_range], help_text="Before this time."
    )

    class Meta:
        model = Satisfaction
        fields: list[str] = []


class RatingView(TenantView):
    """Base: the tenant's ratings."""

    scopes = {"GET": SATISFACTION_READ}
    queryset = Satisfaction.objects.none()
    serializer_class: Any = RatingOut
    filterset_class: Any = RatingFilter

    def get_queryset(self) -> "QuerySet[Satisfaction]":
        return ratings(self.tenant_id)


class RatingCollection(ListModelMixin, RatingView):
    """`/api/satisfaction/`."""

    pagination_class = CursorPages

    @extend_schema(summary="List ratings", description="Those asked for last first. A rating without a score was not answered.")
    def get(self, request: Request) -> Response:
        return self.list(request)


class RatingFile(RatingView):
    """`/api/satisfaction/export/`."""

    pagination_class = None

    @extend_schema(
        summary="Ratings as CSV",
        filters=True,
        description=f"With the filters of the list; at most {MAX_ROWS:,} rows.",
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> HttpResponseBase:
        heads = RatingOut.Meta.fields
        found = self.filter_queryset(self.get_queryset())[:MAX_ROWS]
        rows = (
            (
                row.pk, row.conversation_id, row.agent_id, row.agent.name if row.agent else None, row.group.name if row.group else None,
                row.score, row.comment, row.resolved_at, row.asked_at, row.answered_at,
            )
            for row in found.iterator(chunk_size=1_000)
        )  # fmt: skip
        return as_csv(name="satisfaction", heads=heads, rows=rows)


class FigureOut(serializers.Serializer[Any]):
    """What the customers of one agent, group or day said."""

    key = serializers.CharField(allow_null=True, help_text="The agent's or group's id, or the day; null: none, or all.")
    asked = serializers.IntegerField()
    answered = serializers.IntegerField()
    satisfied = serializers.IntegerField(help_text="Answered with 4 or 5.")
    average = serializers.FloatField(allow_null=True)
    satisfied_percent = serializers.FloatField(allow_null=True)
    answered_percent = serializers.FloatField(allow_null=True)


class RatingFiguresOut(serializers.Serializer[Any]):
    """Figures, one for each key."""

    results = FigureOut(many=True)


class FiguresIn(Query):
    """What is added up."""

    by = serializers.ChoiceField(choices=[(str(by), str(by)) for by in By], default=str(By.ALL))
    days = WholeNumber(min_value=1, max_value=MAX_DAYS, default=DAYS, help_text="The last so many days.")
    time_zone = serializers.CharField(default="UTC", max_length=64, help_text="Of the days, such as Asia/Shanghai.")

    def validate_time_zone(self, value: str) -> ZoneInfo:
        found = zones.zone(value)
        if found is None:
            raise serializers.ValidationError("There is no such time zone.", "unknown")
        return found


class RatingFigures(TenantView):
    """`/api/satisfaction/figures/`."""

    scopes = {"GET": SATISFACTION_READ}
    queries = {"GET": FiguresIn}

    @extend_schema(
        summary="Figures of ratings",
        description="What was asked for in the last days, for all or by agent, group or day. Satisfied is who answered with 4 or 5.",
        parameters=[FiguresIn],
        responses=RatingFiguresOut,
    )
    def get(self, request: Request) -> Response:
        asked, now = self.asked(), timezone.now()
        start = now - timedelta(days=asked["days"])
        found = figures(self.tenant_id, by=By(asked["by"]), start=start, end=now + timedelta(seconds=1), zone=asked["time_zone"])
        return Response(RatingFiguresOut({"results": found}).data)
