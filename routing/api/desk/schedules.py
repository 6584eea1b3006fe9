"""Reports that are sent by e-mail, over the API."""

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import Body, BoundedList, TenantView, readable_or
from accounts.services.audit import Actor
from posthaste.lib.masking import mask_email
from posthaste.lib.pagination import CursorPages
from routing.desk.reports import schedules
from routing.desk.reports.report import By
from routing.models import ReportSchedule
from routing.scopes import AGENTS_READ, AGENTS_WRITE

#: What the answer to a change shows to keys that may not read schedules.
TOLD = ("id", "report")


class ScheduleOut(serializers.ModelSerializer[ReportSchedule]):
    """A report that is sent every day or week."""

    recipients = serializers.SerializerMethodField()

    class Meta:
        model = ReportSchedule
        fields = [
            "id", "report", "recipients", "weekday", "hour", "time_zone", "language", "is_active", "next_at", "last_at",
            "failures", "last_error", "failing_since", "created_at",
        ]  # fmt: skip

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_recipients(self, row: ReportSchedule) -> list[str]:
        return list(row.recipients)


class ScheduleRow(ScheduleOut):
    """A scheduled report in a list; addresses are masked."""

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_recipients(self, row: ReportSchedule) -> list[str]:
        return [mask_email(address) for address in row.recipients]


class ScheduleIn(Body):
    """What is sent, when, and to which addresses."""

    report = serializers.ChoiceField(choices=By.values, default=By.DAY.value, help_text="day, agent, group, intent or entrance.")
    recipients = BoundedList(
        child=serializers.CharField(max_length=254), min_length=1, max_length=schedules.MAX_RECIPIENTS, help_text="E-mail addresses."
    )
    weekday = serializers.IntegerField(
        min_value=1, max_value=7, required=False, allow_null=True, help_text="1 (Monday) to 7. Null: every day."
    )
    hour = serializers.IntegerField(min_value=0, max_value=23, default=8, help_text="Of the time zone.")
    time_zone = serializers.CharField(max_length=64, default="UTC", help_text="Such as Asia/Shanghai.")
    language = serializers.ChoiceField(choices=[code for code, _name in settings.LANGUAGES], default="en")
    is_active = serializers.BooleanField(default=True)


class ScheduleView(TenantView):
    """Base: the tenant's scheduled reports."""

    queryset = ReportSchedule.objects.none()
    serializer_class = ScheduleOut

    def get_queryset(self) -> "QuerySet[ReportSchedule]":
        return ReportSchedule.objects.filter(tenant_id=self.tenant_id)

    def told(self, row: ReportSchedule) -> dict[str, Any]:
        """Return what the answer to a change shows."""
        return self.readable(ScheduleOut(row).data, scope=AGENTS_READ, always=TOLD)


class ScheduleCollection(ListModelMixin, ScheduleView):
    """`/api/desk/report-schedules/`."""

    scopes = {"GET": AGENTS_READ, "POST": AGENTS_WRITE}
    pagination_class = CursorPages
    serializer_class = ScheduleRow

    @extend_schema(summary="List scheduled reports", description="Newest first. Addresses are masked.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Schedule a report",
        description="It is sent by e-mail, so it needs a provider for e-mail.",
        request=ScheduleIn,
        responses={201: readable_or(ScheduleOut, *TOLD)},
    )
    def post(self, request: Request) -> Response:
        row = ReportSchedule(tenant_id=self.tenant_id, **self.validated(ScheduleIn))
        schedules.create_schedule(schedule=row, by=Actor.of_request(request), now=timezone.now())
        return Response(self.told(row), status=201)


class ScheduleItem(RetrieveModelMixin, ScheduleView):
    """`/api/desk/report-schedules/{id}/`."""

    scopes = {"GET": AGENTS_READ, "PATCH": AGENTS_WRITE, "DELETE": AGENTS_WRITE}

    @extend_schema(summary="One scheduled report")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)

    @extend_schema(
        summary="Change a scheduled report",
        description="What was due before the change is not sent.",
        request=ScheduleIn,
        responses={200: readable_or(ScheduleOut, *TOLD)},
    )
    def patch(self, request: Request, id: str) -> Response:
        row: ReportSchedule = self.get_object()
        values = self.validated(ScheduleIn, partial=True)
        for name, value in values.items():
            setattr(row, name, value)
        if values:
            schedules.change_schedule(schedule=row, fields=values, by=Actor.of_request(request), now=timezone.now())
        return Response(self.told(row))

    @extend_schema(summary="Delete a scheduled report", request=None, responses={204: None})
    def delete(self, request: Request, id: str) -> Response:
        schedules.delete_schedule(schedule=self.get_object(), by=Actor.of_request(request))
        return Response(status=204)
