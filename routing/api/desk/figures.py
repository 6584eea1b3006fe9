"""The figures of the reports."""

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView
from posthaste.lib.filters import Query
from posthaste.lib.problems import Invalid
from routing.assignment import lists
from routing.desk.reports.ranges import days_of
from routing.desk.reports.report import By, Row, report
from routing.scopes import AGENTS_READ


class FiguresQuery(Query):
    """Which days, and what they are grouped by."""

    by = serializers.ChoiceField(choices=By.values, default=By.DAY.value, help_text="day, agent, group, intent or entrance.")
    to = serializers.DateField(required=False, help_text="The last day, included. Default: today.")
    zone = serializers.CharField(required=False, max_length=64, help_text="Time zone of the days. Default: that of the default calendar.")
    group = serializers.CharField(required=False, max_length=80, help_text="Only this skill group, by its short name.")

    def get_fields(self) -> dict[str, Any]:
        # `from` is a word of the language.
        first = serializers.DateField(required=False, help_text="The first day. Default: six days before the last. At most 92 days.")
        return {**super().get_fields(), "from": first}


class FiguresRow(serializers.Serializer[Any]):
    """The figures of a day, an agent, a group, an intent or an entrance."""

    key = serializers.CharField(help_text="A day, an id, or an intent's short name. Empty: without one.")
    label = serializers.CharField()  # type: ignore[assignment]  # a field of this name, not the serializer's own label
    received = serializers.IntegerField()
    resolved = serializers.IntegerField()
    first_response_median_seconds = serializers.FloatField(allow_null=True)
    first_response_p90_seconds = serializers.FloatField(allow_null=True)
    resolution_median_seconds = serializers.FloatField(allow_null=True)
    sla_met_percent = serializers.FloatField(allow_null=True)
    csat_percent = serializers.FloatField(allow_null=True, help_text="Share of the ratings that are 4 or 5.")
    ratings = serializers.IntegerField()
    deflection_percent = serializers.FloatField(
        allow_null=True, help_text="Share of the conversations with answers of the bot that ended without an agent."
    )


class FiguresOut(serializers.Serializer[Any]):
    """A report."""

    by = serializers.ChoiceField(choices=By.values)
    to = serializers.DateField()
    zone = serializers.CharField()
    results = FiguresRow(many=True)
    total = FiguresRow()

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "from": serializers.DateField()}


class Figures(TenantView):
    """`/api/desk/figures/`."""

    scopes = {"GET": AGENTS_READ}
    queries = {"GET": FiguresQuery}

    @extend_schema(
        summary="Figures of the service desk",
        description="Received and resolved conversations, times, service levels, satisfaction and what the bot solved, as in the reports. "
        "What is not known is null.",
        parameters=[FiguresQuery],
        responses=FiguresOut,
    )
    def get(self, request: Request) -> Response:
        asked = self.asked()
        group = None
        if asked.get("group"):
            group = lists.groups(self.tenant_id).filter(name=asked["group"]).first()
            if group is None:
                raise Invalid.field("group", _("There is no such group."), "does_not_exist")
        given = {name: str(asked[name]) for name in ("from", "to", "zone") if asked.get(name)}
        days = days_of(given, tenant_id=self.tenant_id, now=timezone.now())
        found = report(self.tenant_id, by=By(asked["by"]), days=days, group_id=group.pk if group else None)
        return Response(
            {
                "by": found.by.value,
                "from": days.first,
                "to": days.last,
                "zone": days.zone.key,
                "results": [_row(row) for row in found.rows],
                "total": _row(found.total),
            }
        )


def _row(row: Row) -> dict[str, Any]:
    return {"key": row.key, "label": row.label, **row.figures()}
