"""Business calendars, their days, and imports of holidays."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import get_language
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.services.audit import Actor
from posthaste.lib.filters import IntegerFilter, StrictFilterSet
from posthaste.lib.pagination import CursorPages
from routing.api.intents.csv_bodies import CsvParser, FileParser
from routing.api.service_levels import shapes
from routing.calendars import editing, file_importing, importing, missing
from routing.calendars.file_importing import DayFile
from routing.models import BusinessCalendar, CalendarDay, DayKind
from routing.scopes import SERVICE_LEVELS_READ, SERVICE_LEVELS_WRITE

#: What the answer to a change shows to keys that may not read calendars.
TOLD = ("id", "name")
DAY_TOLD = ("id", "day")


class CalendarView(TenantView):
    """Base: the tenant's calendars."""

    queryset = BusinessCalendar.objects.none()
    serializer_class = shapes.CalendarOut
    read_scope, always_told = SERVICE_LEVELS_READ, TOLD

    def get_queryset(self) -> "QuerySet[BusinessCalendar]":
        return BusinessCalendar.objects.filter(tenant_id=self.tenant_id)

    def get_serializer_context(self) -> dict[str, Any]:
        found: dict[UUID, list[missing.Missing]] = {}
        for each in missing.missing(self.get_queryset(), now=timezone.now()):
            found.setdefault(each.calendar.pk, []).append(each)
        return {**super().get_serializer_context(), "lacks": found}


class CalendarCollection(ListModelMixin, CalendarView):
    """`/api/business-calendars/`."""

    scopes = {"GET": SERVICE_LEVELS_READ, "POST": SERVICE_LEVELS_WRITE}
    pagination_class = CursorPages

    @extend_schema(summary="List business calendars", description="Newest first.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(summary="Add a business calendar", request=shapes.CalendarIn, responses={201: readable_or(shapes.CalendarOut, *TOLD)})
    def post(self, request: Request) -> Response:
        calendar = BusinessCalendar(tenant_id=self.tenant_id, **self.validated(shapes.CalendarIn))
        editing.create_calendar(calendar=calendar, by=Actor.of_request(request), now=timezone.now())
        return self.written(self.get_queryset().get(pk=calendar.pk), status=201)


class CalendarItem(RetrieveModelMixin, CalendarView):
    """`/api/business-calendars/{id}/`."""

    scopes = {"GET": SERVICE_LEVELS_READ, "PATCH": SERVICE_LEVELS_WRITE, "DELETE": SERVICE_LEVELS_WRITE}

    @extend_schema(summary="One business calendar")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)

    @extend_schema(
        summary="Change a business calendar",
        description="Open clocks that run on it are calculated again within seconds.",
        request=shapes.CalendarIn,
        responses={200: readable_or(shapes.CalendarOut, *TOLD)},
    )
    def patch(self, request: Request, id: str) -> Response:
        calendar: BusinessCalendar = self.get_object()
        values = self.validated(shapes.CalendarIn, partial=True)
        for name, value in values.items():
            setattr(calendar, name, value)
        if values:
            editing.change_calendar(calendar=calendar, fields=values, by=Actor.of_request(request))
        return self.written(self.get_queryset().get(pk=calendar.pk))

    @extend_schema(
        summary="Delete a business calendar",
        description="409 if a target of the service levels names it.",
        request=None,
        responses={204: None},
    )
    def delete(self, request: Request, id: str) -> Response:
        editing.delete_calendar(calendar=self.get_object(), by=Actor.of_request(request))
        return Response(status=204)


class DayFilter(StrictFilterSet):
    """`?year=2026`."""

    year = IntegerFilter(field_name="day__year", min_value=1970, max_value=2999)
    kind = django_filters.ChoiceFilter(choices=DayKind.choices)

    class Meta:
        model = CalendarDay
        fields: list[str] = []


class DayView(TenantView):
    """Base: the days of one of the tenant's calendars."""

    queryset = CalendarDay.objects.none()
    serializer_class = shapes.DayOut
    read_scope, always_told = SERVICE_LEVELS_READ, DAY_TOLD
    lookup_url_kwarg = "day"

    def calendar(self) -> BusinessCalendar:
        """Return the calendar that the address names."""
        return get_object_or_404(BusinessCalendar, tenant_id=self.tenant_id, pk=self.kwargs["id"])

    def get_queryset(self) -> "QuerySet[CalendarDay]":
        return CalendarDay.objects.filter(calendar=self.calendar())


class CalendarDays(ListModelMixin, DayView):
    """`/api/business-calendars/{id}/days/`."""

    scopes = {"GET": SERVICE_LEVELS_READ, "POST": SERVICE_LEVELS_WRITE}
    pagination_class = CursorPages
    filterset_class = DayFilter

    @extend_schema(summary="Days of a business calendar", description="Holidays and make-up days, those that were added last first.")
    def get(self, request: Request, id: str) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Set a day of a business calendar",
        description="Takes the place of the one that the date had. Imports leave it as it is.",
        request=shapes.DayIn,
        responses={200: readable_or(shapes.DayOut, *DAY_TOLD)},
    )
    def post(self, request: Request, id: str) -> Response:
        row = editing.set_day(calendar=self.calendar(), day=CalendarDay(**self.validated(shapes.DayIn)), by=Actor.of_request(request))
        return self.written(row)


class CalendarDayItem(DayView):
    """`/api/business-calendars/{id}/days/{day}/`."""

    scopes = {"DELETE": SERVICE_LEVELS_WRITE}

    @extend_schema(
        summary="Remove a day of a business calendar",
        description="`day` is its ID. One that was imported comes with the next import again: set a working day in its place.",
        request=None,
        responses={204: None},
    )
    def delete(self, request: Request, id: str, day: int) -> Response:
        row: CalendarDay = self.get_object()
        editing.remove_day(calendar=self.calendar(), day=row.day, by=Actor.of_request(request))
        return Response(status=204)


class CalendarImport(CalendarView):
    """`/api/business-calendars/{id}/import/`."""

    scopes = {"POST": SERVICE_LEVELS_WRITE}

    @extend_schema(
        summary="Import holidays into a business calendar",
        description="Replaces the imported days of that year, and leaves those that staff wrote. The country is imported again each year.",
        request=shapes.HolidayImportIn,
        responses={200: shapes.HolidayImportOut},
    )
    def post(self, request: Request, id: str) -> Response:
        calendar: BusinessCalendar = self.get_object()
        values = self.validated(shapes.HolidayImportIn)
        place, year, language = values["country"], values["year"], get_language() or ""
        if values["dry_run"]:
            changes = importing.preview(calendar=calendar, place=place, year=year, language=language)
        else:
            changes = importing.import_days(calendar=calendar, place=place, year=year, language=language, by=Actor.of_request(request))
        return Response(shapes.HolidayImportOut(changes).data)


class IcsParser(CsvParser):
    """`text/calendar`: the body is the file."""

    media_type = "text/calendar"


class CalendarFileImport(CalendarView):
    """`/api/business-calendars/{id}/import-file/`."""

    scopes = {"POST": SERVICE_LEVELS_WRITE}
    parser_classes = (CsvParser, IcsParser, FileParser)
    queries = {"POST": shapes.DayFileQuery}

    @extend_schema(
        summary="Import days into a business calendar from a file",
        description="CSV with the columns `date`, `name`, `kind` (`holiday` or `working`) and `hours`, or ICS with all-day events, which "
        "may come back each year. The days are as if staff wrote them. A file with an error is refused whole; each error names its "
        "line. The file is the body, or the part `file` of a form.",
        parameters=[shapes.DayFileQuery],
        request={
            "text/csv": OpenApiTypes.STR,
            "text/calendar": OpenApiTypes.STR,
            "multipart/form-data": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}},
        },
        responses={200: shapes.DayFileOut},
    )
    def post(self, request: Request, id: str) -> Response:
        calendar: BusinessCalendar = self.get_object()
        asked, now = self.asked(), timezone.now()
        is_dry = asked.pop("dry_run")
        file = DayFile(request.data if isinstance(request.data, bytes) else b"", **asked)  # without a body nothing is parsed
        if is_dry:
            changes = file_importing.preview(calendar=calendar, file=file, now=now)
        else:
            changes = file_importing.import_file(calendar=calendar, file=file, by=Actor.of_request(request), now=now)
        return Response(shapes.DayFileOut(changes).data)
