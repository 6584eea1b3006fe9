"""Versions of the model over the API: trained, looked at, activated."""

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.services.audit import Actor
from posthaste.lib.pagination import CursorPages
from routing.api.intents.shapes import IntentModelDetailOut, IntentModelOut, IntentModelTrainIn
from routing.intents import reading, training, versions
from routing.models import IntentModel
from routing.scopes import INTENTS_READ, INTENTS_WRITE

TOLD = ("number", "state", "is_active")
ANSWER = readable_or(IntentModelOut, *TOLD)


class ModelView(TenantView):
    """Base: the tenant's versions."""

    queryset = IntentModel.objects.none()
    serializer_class = IntentModelOut
    lookup_field = "number"
    lookup_url_kwarg = "number"

    def get_queryset(self) -> "QuerySet[IntentModel]":
        return reading.intent_models(self.tenant_id)

    def told(self, model: IntentModel, status: int = 200) -> Response:
        """Answer a change with the version, as far as the key may read it."""
        return Response(self.readable(IntentModelOut(model).data, scope=INTENTS_READ, always=TOLD), status=status)


class ModelCollection(ListModelMixin, ModelView):
    """`/api/intent-models/`."""

    scopes = {"GET": INTENTS_READ, "POST": INTENTS_WRITE}
    pagination_class = CursorPages

    @extend_schema(summary="List versions of the model", description="Newest first.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Train a version",
        description="From the accepted utterances, in the background: ask for the version to see how far it is. One at a time.",
        request=IntentModelTrainIn,
        responses={202: ANSWER},
    )
    def post(self, request: Request) -> Response:
        values = self.validated(IntentModelTrainIn)
        model = training.start_training(tenant_id=self.tenant_id, **values, by=Actor.of_request(request), now=timezone.now())
        return self.told(model, 202)


class ModelItem(RetrieveModelMixin, ModelView):
    """`/api/intent-models/{number}/`."""

    scopes = {"GET": INTENTS_READ}
    serializer_class = IntentModelDetailOut

    @extend_schema(summary="One version", description="With its progress while it is trained, and its evaluation afterwards.")
    def get(self, request: Request, number: int) -> Response:
        return self.retrieve(request)


class ModelCancel(ModelView):
    """`/api/intent-models/{number}/cancel/`."""

    scopes = {"POST": INTENTS_WRITE}

    @extend_schema(summary="Cancel a training", description="409 if it has ended.", request=None, responses={200: ANSWER})
    def post(self, request: Request, number: int) -> Response:
        return self.told(training.cancel_training(model=self.get_object(), by=Actor.of_request(request), now=timezone.now()))


class ModelActivate(ModelView):
    """`/api/intent-models/{number}/activate/`."""

    scopes = {"POST": INTENTS_WRITE}

    @extend_schema(
        summary="Activate a version",
        description="Every process uses it within a second. To roll back, activate an older one. 409 if it is not ready, or is active.",
        request=None,
        responses={200: ANSWER},
    )
    def post(self, request: Request, number: int) -> Response:
        return self.told(versions.activate_model(model=self.get_object(), by=Actor.of_request(request), now=timezone.now()))
