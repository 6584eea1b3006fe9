"""Alarms over the API: `/api/alarms/`. They belong to the installation, so the caller's tenant must operate it."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import Body, BoundedList, TenantView, readable_or
from accounts.services.audit import Actor
from accounts.services.rights import must_operate
from monitor.alarms import operate, selectors
from monitor.alarms.addresses import masked
from monitor.alarms.configuration import alarms
from monitor.alarms.rules import Severity
from monitor.alarms.states import AlarmState
from monitor.models import Alarm, AlarmNotice, Silence
from monitor.scopes import ALARMS_MANAGE, ALARMS_READ
from posthaste.lib.dates import within_range
from posthaste.lib.filters import StrictFilterSet
from posthaste.lib.pagination import CursorPages
from posthaste.lib.problems import NotFound

MAX_RULES = 100


class AlarmOut(serializers.ModelSerializer[Alarm]):
    """An alarm: one passage from the first sign to the end."""

    class Meta:
        model = Alarm
        fields = [
            "id", "rule", "series", "metric", "group", "severity", "state", "condition", "value", "started_at", "fired_at", "resolved_at",
            "acknowledged_at", "acknowledged_by", "is_silenced", "inhibited_by",
        ]  # fmt: skip


class NoticeOut(serializers.ModelSerializer[AlarmNotice]):
    """A notice; `message_id` is the message that carried it, whose trace tells how."""

    class Meta:
        model = AlarmNotice
        fields = [
            "id", "receiver", "kind", "recipient", "severity", "subject", "state", "way", "message_id", "attempts", "error", "created_at",
            "sent_at",
        ]  # fmt: skip


class AlarmDetailOut(AlarmOut):
    """An alarm with its notices."""

    notices = serializers.SerializerMethodField()

    class Meta(AlarmOut.Meta):
        fields = [*AlarmOut.Meta.fields, "notices"]

    @extend_schema_field(NoticeOut(many=True))
    def get_notices(self, alarm: Alarm) -> Any:
        return NoticeOut(selectors.notices_of(alarm), many=True).data


class SilenceOut(serializers.ModelSerializer[Silence]):
    """A silence or maintenance window."""

    class Meta:
        model = Silence
        fields = [
            "id", "rules", "series", "starts_at", "ends_at", "comment", "is_maintenance", "announce_minutes", "created_at", "created_by",
            "ended_at", "ended_by",
        ]  # fmt: skip


class AcknowledgeIn(Body):
    """Why, if there is something to say."""

    comment = serializers.CharField(max_length=operate.MAX_COMMENT, allow_blank=True, default="")


class SilenceIn(Body):
    """A new silence."""

    rules = BoundedList(
        child=serializers.CharField(max_length=40), max_length=MAX_RULES, default=list, help_text="Names of alarms. Empty: all."
    )
    series = serializers.CharField(max_length=200, allow_blank=True, default="", help_text="One series of the alarm. Empty: all.")
    starts_at = serializers.DateTimeField(required=False, allow_null=True, default=None, validators=[within_range], help_text="Empty: now.")
    ends_at = serializers.DateTimeField(validators=[within_range])
    comment = serializers.CharField(max_length=operate.MAX_COMMENT)
    is_maintenance = serializers.BooleanField(default=False, help_text="Receivers are told its beginning and its end.")
    announce_minutes = serializers.IntegerField(
        min_value=0, max_value=operate.MAX_ANNOUNCE_MINUTES, default=0, help_text="Of a maintenance window: told so long before it begins."
    )


class TestIn(Body):
    """The receiver of a test."""

    receiver = serializers.CharField(max_length=40, help_text="Name of a receiver in the configuration.")


class AlarmFilter(StrictFilterSet):
    """`?state=firing&severity=critical&rule=backlog-age`."""

    state = django_filters.MultipleChoiceFilter(choices=AlarmState.choices)
    severity = django_filters.MultipleChoiceFilter(choices=Severity.choices)
    rule = django_filters.CharFilter(help_text="Exactly.")

    class Meta:
        model = Alarm
        fields: list[str] = []


class AlarmView(TenantView):
    """Base of the addresses under `/api/alarms/`."""

    queryset: "QuerySet[Any]" = Alarm.objects.none()
    serializer_class: Any = AlarmOut
    filter_backends: Any = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method in self.allowed_methods:
            must_operate(self.caller)

    @property
    def by(self) -> Actor:
        """The caller, as the audit trail names them."""
        return Actor.of_request(self.request)

    def told(self, alarm: Alarm) -> Response:
        """Answer a write with what became of an alarm."""
        return Response(self.readable(AlarmOut(alarm).data, scope=ALARMS_READ, always=("id", "state")))


def find_alarm(pk: UUID) -> Alarm:
    """Return one alarm.

    Raises:
        NotFound: there is none of this id.
    """
    found = selectors.all_alarms().filter(pk=pk).first()
    if found is None:
        raise NotFound
    return found


class AlarmCollection(ListModelMixin, TenantView):
    """`/api/alarms/`."""

    scopes = {"GET": ALARMS_READ}
    queryset = Alarm.objects.none()
    serializer_class = AlarmOut
    pagination_class = CursorPages
    filterset_class = AlarmFilter

    def get_queryset(self) -> "QuerySet[Alarm]":
        return selectors.all_alarms()

    @extend_schema(summary="List alarms", description="Newest first, also those that are over.")
    def get(self, request: Request) -> Response:
        must_operate(self.caller)
        return self.list(request)


class AlarmItem(AlarmView):
    """`/api/alarms/{id}/`."""

    scopes = {"GET": ALARMS_READ}

    @extend_schema(summary="One alarm with its notices", responses=AlarmDetailOut)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(AlarmDetailOut(find_alarm(id)).data)


class AlarmAcknowledge(AlarmView):
    """`/api/alarms/{id}/acknowledge/`."""

    scopes = {"POST": ALARMS_MANAGE}

    @extend_schema(
        summary="Acknowledge an alarm",
        description="No other receiver is notified, and nothing is repeated. The end is sent.",
        request=AcknowledgeIn,
        responses={200: readable_or(AlarmOut, "id", "state")},
    )
    def post(self, request: Request, id: UUID) -> Response:
        values = self.validated(AcknowledgeIn)
        return self.told(operate.acknowledge(alarm=find_alarm(id), by=self.by, now=timezone.now(), **values))


class AlarmReopen(AlarmView):
    """`/api/alarms/{id}/reopen/`."""

    scopes = {"POST": ALARMS_MANAGE}

    @extend_schema(summary="Take back an acknowledgement", request=None, responses={200: readable_or(AlarmOut, "id", "state")})
    def post(self, request: Request, id: UUID) -> Response:
        return self.told(operate.reopen(alarm=find_alarm(id), by=self.by))


class SilenceCollection(AlarmView):
    """`/api/alarms/silences/`."""

    scopes = {"GET": ALARMS_READ, "POST": ALARMS_MANAGE}
    queryset = Silence.objects.none()
    serializer_class = SilenceOut
    pagination_class = None

    @extend_schema(summary="List the silences in force and to come", responses=SilenceOut(many=True))
    def get(self, request: Request) -> Response:
        return Response(SilenceOut(selectors.silences(now=timezone.now()), many=True).data)

    @extend_schema(
        summary="Silence alarms",
        description="They are evaluated and shown all the same. What is active at the end is told then.",
        request=SilenceIn,
        responses={201: SilenceOut},
    )
    def post(self, request: Request) -> Response:
        values, now = self.validated(SilenceIn), timezone.now()
        values["starts_at"] = values["starts_at"] or now
        return Response(SilenceOut(operate.create_silence(by=self.by, now=now, **values)).data, status=201)


class SilenceEnd(AlarmView):
    """`/api/alarms/silences/{id}/end/`."""

    scopes = {"POST": ALARMS_MANAGE}
    serializer_class = SilenceOut

    @extend_schema(summary="End a silence before its time", request=None, responses={200: readable_or(SilenceOut, "id", "ended_at")})
    def post(self, request: Request, id: UUID) -> Response:
        found = Silence.objects.filter(pk=id).first()
        if found is None:
            raise NotFound
        ended = SilenceOut(operate.end_silence(silence=found, by=self.by, now=timezone.now())).data
        return Response(self.readable(ended, scope=ALARMS_READ, always=("id", "ended_at")))


class ReceiverOut(serializers.Serializer[Any]):
    """Someone who is notified; the address is masked."""

    name = serializers.CharField()
    kind = serializers.CharField()
    address = serializers.CharField()
    is_enabled = serializers.BooleanField()
    after_minutes = serializers.IntegerField()
    least_severity = serializers.ChoiceField(choices=Severity.choices)


class ReceiverCollection(AlarmView):
    """`/api/alarms/receivers/`."""

    scopes = {"GET": ALARMS_READ}
    serializer_class = ReceiverOut
    pagination_class = None

    @extend_schema(summary="List the receivers of notices", responses=ReceiverOut(many=True))
    def get(self, request: Request) -> Response:
        found = [receiver.model_dump() | {"address": masked(receiver)} for receiver in alarms.value.receivers]
        return Response(ReceiverOut(found, many=True).data)


class AlarmTest(AlarmView):
    """`/api/alarms/test/`."""

    scopes = {"POST": ALARMS_MANAGE}
    serializer_class = NoticeOut

    @extend_schema(
        summary="Send a test notice",
        description="As an alarm would be sent: by the platform, and straight if that takes too long.",
        request=TestIn,
        responses={202: NoticeOut},
    )
    def post(self, request: Request) -> Response:
        notice = operate.send_test(by=self.by, now=timezone.now(), **self.validated(TestIn))
        return Response(NoticeOut(notice).data, status=202)
