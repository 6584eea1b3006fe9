"""Intents over the API."""

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.services.audit import Actor
from posthaste.lib.pagination import CursorPages
from routing.api.intents.shapes import IntentChangeIn, IntentIn, IntentOut, StartingSetOut
from routing.intents import editing, reading, starting_rows
from routing.models import Intent
from routing.scopes import INTENTS_READ, INTENTS_WRITE

TOLD = ("id", "name")
ANSWER = readable_or(IntentOut, *TOLD)


class IntentView(TenantView):
    """Base: the tenant's intents."""

    queryset = Intent.objects.none()
    serializer_class = IntentOut
    lookup_field = "name"
    lookup_url_kwarg = "name"

    def get_queryset(self) -> "QuerySet[Intent]":
        return reading.intents(self.tenant_id)

    def told(self, intent: Intent, status: int = 200) -> Response:
        """Answer a change with the intent, as far as the key may read it."""
        shown = IntentOut(self.get_queryset().get(pk=intent.pk)).data
        return Response(self.readable(shown, scope=INTENTS_READ, always=TOLD), status=status)


class IntentCollection(ListModelMixin, IntentView):
    """`/api/intents/`."""

    scopes = {"GET": INTENTS_READ, "POST": INTENTS_WRITE}
    pagination_class = CursorPages

    @extend_schema(summary="List intents", description="Newest first, with the numbers of their utterances.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(summary="Create an intent", request=IntentIn, responses={201: ANSWER})
    def post(self, request: Request) -> Response:
        values = self.validated(IntentIn)
        intent = editing.create_intent(tenant_id=self.tenant_id, **values, by=Actor.of_request(request), now=timezone.now())
        return self.told(intent, 201)


class IntentItem(RetrieveModelMixin, IntentView):
    """`/api/intents/{name}/`."""

    scopes = {"GET": INTENTS_READ, "PATCH": INTENTS_WRITE, "DELETE": INTENTS_WRITE}

    @extend_schema(summary="One intent")
    def get(self, request: Request, name: str) -> Response:
        return self.retrieve(request)

    @extend_schema(summary="Change what describes an intent", request=IntentChangeIn, responses={200: ANSWER})
    def patch(self, request: Request, name: str) -> Response:
        changes = self.validated(IntentChangeIn)
        return self.told(editing.change_intent(intent=self.get_object(), changes=changes, by=Actor.of_request(request)))

    @extend_schema(
        summary="Delete an intent",
        description="With its utterances. Models that know it go on recognizing it until a new version is active.",
        request=None,
        responses={204: None},
    )
    def delete(self, request: Request, name: str) -> Response:
        editing.delete_intent(intent=self.get_object(), by=Actor.of_request(request))
        return Response(status=204)


class StartingSet(TenantView):
    """`/api/intents/starting-set/`."""

    scopes = {"POST": INTENTS_WRITE}

    @extend_schema(
        summary="Load the starting set",
        description="The intents, utterances and the model for customer service in English and Chinese that come with Posthaste. "
        "What is there stays as it is, so this may be repeated.",
        request=None,
        responses={200: StartingSetOut},
    )
    def post(self, request: Request) -> Response:
        loaded = starting_rows.load_starting_set(tenant_id=self.tenant_id, by=Actor.of_request(request), now=timezone.now())
        return Response(loaded._asdict())
