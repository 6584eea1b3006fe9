"""Utterances over the API: added one by one or as a file, labelled, deleted."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.services.audit import Actor
from posthaste.lib.filters import Query, StrictFilterSet, TruthFilter
from posthaste.lib.pagination import CursorPages
from posthaste.lib.problems import Invalid
from routing.api.intents.csv_bodies import CsvParser, FileParser
from routing.api.intents.shapes import (
    UtteranceChangeIn,
    UtteranceIdsIn,
    UtteranceImportOut,
    UtteranceLabelIn,
    UtteranceOut,
    UtterancesAddedOut,
    UtterancesChangedOut,
    UtterancesIn,
)
from routing.intents import csv_import, reading, utterances
from routing.intents.editing import OUT_OF_SCOPE
from routing.models import Intent, Utterance, UtteranceSource, UtteranceState
from routing.scopes import INTENTS_READ, INTENTS_WRITE

TOLD = ("id", "state")


class UtteranceFilter(StrictFilterSet):
    """`?intent=order_status&state=accepted&language=en`."""

    intent = django_filters.CharFilter(method="by_intent", help_text="The short name; `oos`: out of scope.")
    state = django_filters.ChoiceFilter(choices=UtteranceState.choices)
    source = django_filters.ChoiceFilter(choices=UtteranceSource.choices)
    language = django_filters.CharFilter()
    held_out = TruthFilter()
    search = django_filters.CharFilter(field_name="text", lookup_expr="icontains", help_text="Part of the text.")

    class Meta:
        model = Utterance
        fields: list[str] = []

    def by_intent(self, rows: "QuerySet[Utterance]", _name: str, value: str) -> "QuerySet[Utterance]":
        return rows.filter(intent=None) if value == OUT_OF_SCOPE else rows.filter(intent__name=value)


class ImportQuery(Query):
    """`?dry_run=true`."""

    dry_run = serializers.BooleanField(default=False, help_text="Only report; nothing is stored.")
    create_intents = serializers.BooleanField(default=False, help_text="Create intents that the tenant does not have.")
    skip = serializers.BooleanField(default=False, help_text="Store what can be stored, in place of refusing a file with findings.")


class UtteranceView(TenantView):
    """Base: the tenant's utterances."""

    queryset = Utterance.objects.none()
    serializer_class = UtteranceOut

    def get_queryset(self) -> "QuerySet[Utterance]":
        return reading.utterances(self.tenant_id)

    def intent_of(self, name: str) -> Intent | None:
        """Return the tenant's intent of a name; None: out of scope.

        Raises:
            Invalid: there is none.
        """
        if name in ("", OUT_OF_SCOPE):
            return None
        intent = Intent.objects.filter(tenant_id=self.tenant_id, name=name).first()
        if intent is None:
            raise Invalid.field("intent", _("There is no intent with this name. Create it first."), "unknown")
        return intent


class UtteranceCollection(ListModelMixin, UtteranceView):
    """`/api/utterances/`."""

    scopes = {"GET": INTENTS_READ, "POST": INTENTS_WRITE}
    pagination_class = CursorPages
    filterset_class = UtteranceFilter

    @extend_schema(summary="List utterances", description="Newest first.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Add utterances",
        description="Up to 1,000. One that is wrong, or whose text has another intent already, rejects all. Safe to repeat.",
        request=UtterancesIn,
        responses={201: UtterancesAddedOut},
    )
    def post(self, request: Request) -> Response:
        entries = [utterances.NewUtterance(**entry) for entry in self.validated(UtterancesIn)["utterances"]]
        added = utterances.add_utterances(tenant_id=self.tenant_id, entries=entries, by=Actor.of_request(request), now=timezone.now())
        return Response({"added": added.added, "present": added.present}, status=201)


class UtteranceLabel(UtteranceView):
    """`/api/utterances/label/`."""

    scopes = {"POST": INTENTS_WRITE}

    @extend_schema(
        summary="Label utterances",
        description="Accept them as an intent's, or reject them: nothing is learned from these, and they are not suggested again.",
        request=UtteranceLabelIn,
        responses={200: UtterancesChangedOut},
    )
    def post(self, request: Request) -> Response:
        values, by = self.validated(UtteranceLabelIn), Actor.of_request(request)
        if values["state"] == UtteranceState.REJECTED:
            number = utterances.reject_utterances(tenant_id=self.tenant_id, ids=values["ids"], by=by)
        else:
            intent = self.intent_of(values["intent"])
            number = utterances.label_utterances(tenant_id=self.tenant_id, ids=values["ids"], intent=intent, by=by)
        return Response({"changed": number})


class UtteranceDelete(UtteranceView):
    """`/api/utterances/delete/`."""

    scopes = {"POST": INTENTS_WRITE}

    @extend_schema(summary="Delete utterances", request=UtteranceIdsIn, responses={200: UtterancesChangedOut})
    def post(self, request: Request) -> Response:
        ids = self.validated(UtteranceIdsIn)["ids"]
        number = utterances.delete_utterances(tenant_id=self.tenant_id, ids=ids, by=Actor.of_request(request))
        return Response({"changed": number})


class UtteranceItem(RetrieveModelMixin, UtteranceView):
    """`/api/utterances/{id}/`."""

    scopes = {"GET": INTENTS_READ, "PATCH": INTENTS_WRITE, "DELETE": INTENTS_WRITE}

    @extend_schema(summary="One utterance")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)

    @extend_schema(summary="Change an utterance", request=UtteranceChangeIn, responses={200: readable_or(UtteranceOut, *TOLD)})
    def patch(self, request: Request, id: str) -> Response:
        row, values, by = self.get_object(), self.validated(UtteranceChangeIn), Actor.of_request(request)
        own: dict[str, Any] = {"tenant_id": self.tenant_id, "ids": [UUID(str(row.pk))], "by": by}
        if values.get("state") == UtteranceState.REJECTED:
            if "intent" in values:
                raise Invalid.field("intent", _("A rejected text has no intent."), "not_allowed")
            utterances.reject_utterances(**own)
        elif "intent" in values or "state" in values:
            utterances.label_utterances(**own, intent=self.intent_of(values["intent"]) if "intent" in values else row.intent)
        if "held_out" in values:
            utterances.set_held_out(**own, held_out=values["held_out"])
        shown = UtteranceOut(self.get_object()).data
        return Response(self.readable(shown, scope=INTENTS_READ, always=TOLD))

    @extend_schema(summary="Delete an utterance", request=None, responses={204: None})
    def delete(self, request: Request, id: str) -> Response:
        utterances.delete_utterances(tenant_id=self.tenant_id, ids=[self.get_object().pk], by=Actor.of_request(request))
        return Response(status=204)


class UtteranceImport(UtteranceView):
    """`/api/utterances/import/`."""

    scopes = {"POST": INTENTS_WRITE}
    parser_classes = (CsvParser, FileParser)
    queries = {"POST": ImportQuery}

    @extend_schema(
        summary="Import utterances from a CSV file",
        description="Columns `text` and `category`, and if you like `language` and `part` (`train` or `held_out`). A file with findings is "
        "not stored (`is_stored` is false). With `skip` it is, without doubles, contradictions and what is invalid; near-doubles are kept. "
        "The file is the body, or the part `file` of a form.",
        parameters=[ImportQuery],
        request={
            "text/csv": OpenApiTypes.STR,
            "multipart/form-data": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}},
        },
        responses={200: UtteranceImportOut},
    )
    def post(self, request: Request) -> Response:
        asked = self.asked()
        content = request.data if isinstance(request.data, bytes) else b""  # of a request without a body nothing is parsed
        report = csv_import.check_file(tenant_id=self.tenant_id, content=content, create_intents=asked["create_intents"])
        is_stored = not asked["dry_run"] and (asked["skip"] or not report.findings)
        if is_stored:
            csv_import.import_file(tenant_id=self.tenant_id, report=report, by=Actor.of_request(request), now=timezone.now())
        return Response({**report.as_dict(), "is_stored": is_stored})
