"""Messages: hand over, list, look at, cancel, retry, trace."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.api.idempotency import IDEMPOTENCY_KEY, REPLAYED
from accounts.scopes import SandboxSafe
from accounts.services.audit import Actor
from messaging import selectors, traces
from messaging.api import schemas
from messaging.api.filters import MessageFilter
from messaging.api.serializers import MessageDetailOut, MessageOut, RetryIn
from messaging.api.views import intake
from messaging.models import Message
from messaging.queueing import operate
from messaging.scopes import MANAGE, READ, SEND
from posthaste.lib.pagination import CursorPages

#: What the answer to a change shows to keys that may not read messages.
TOLD = ("id", "status")
ANSWER = {200: readable_or(MessageDetailOut, *TOLD)}


class MessageView(TenantView):
    """Base: the tenant's messages."""

    queryset = Message.objects.none()

    def get_queryset(self) -> "QuerySet[Message]":
        return selectors.messages(self.tenant_id)

    def is_live(self, row: Message) -> bool:
        return not row.is_sandbox


class MessageCollection(ListModelMixin, MessageView):
    """`/api/messages/`."""

    scopes = {"GET": READ, "POST": SEND}
    sandbox_safe = {"POST": SandboxSafe.SANDBOX_ONLY}
    serializer_class = MessageOut
    pagination_class = CursorPages
    filterset_class = MessageFilter

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST":  # the hot path goes round DRF: see intake
            return intake.as_response(intake.answer_message(request))
        response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return response

    @extend_schema(summary="List messages", description="Newest first; recipients are masked.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Hand over a message",
        description="202 once the message is committed. Give either `template` and `variables`, or `subject` and `body`.",
        parameters=[IDEMPOTENCY_KEY, REPLAYED, *schemas.LIMIT_HEADERS],
        request={"application/json": schemas.message_request()},
        responses={202: schemas.AcceptedOut, **schemas.TOO_MANY},
    )
    def post(self, request: Request) -> Response:
        raise NotImplementedError  # answered in dispatch


class BatchIntake(TenantView):
    """`/api/messages/batch`."""

    scopes = {"POST": SEND}
    sandbox_safe = {"POST": SandboxSafe.SANDBOX_ONLY}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST":
            return intake.as_response(intake.answer_batch(request))
        response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return response

    @extend_schema(
        summary="Hand over a batch",
        description="Up to 10,000 recipients. One bad row rejects all, and nothing is stored; `on_error: skip` leaves bad rows out.",
        parameters=[IDEMPOTENCY_KEY, REPLAYED, *schemas.LIMIT_HEADERS],
        request={"application/json": schemas.batch_request()},
        responses={202: schemas.BatchAcceptedOut, **schemas.TOO_MANY},
    )
    def post(self, request: Request) -> Response:
        raise NotImplementedError  # answered in dispatch


class MessageItem(RetrieveModelMixin, MessageView):
    """`/api/messages/{id}/`."""

    scopes = {"GET": READ}
    serializer_class = MessageDetailOut

    @extend_schema(summary="One message, whole")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)


class MessageCancel(MessageView):
    """`/api/messages/{id}/cancel/`."""

    scopes = {"POST": MANAGE}
    sandbox_safe = {"POST": SandboxSafe.SANDBOX_ONLY}

    @extend_schema(summary="Cancel a message", description="409 once a worker has begun to send it.", request=None, responses=ANSWER)
    def post(self, request: Request, id: str) -> Response:
        message = self.get_object()
        operate.cancel_message(message=message, by=Actor.of_request(request), now=timezone.now())
        message.refresh_from_db()
        return Response(self.readable(MessageDetailOut(message).data, scope=READ, always=TOLD))


class MessageRetry(MessageView):
    """`/api/messages/{id}/retry/`."""

    scopes = {"POST": MANAGE}
    sandbox_safe = {"POST": SandboxSafe.SANDBOX_ONLY}

    @extend_schema(
        summary="Send a message again",
        description="For failed, unknown, expired and cancelled ones. An unknown one may reach its recipient twice. 409 `content_lost` if "
        "it was set aside because some of its content could not be read, unless `accept_loss` is true: it is then sent without that.",
        request=RetryIn,
        responses=ANSWER,
    )
    def post(self, request: Request, id: str) -> Response:
        message = self.get_object()
        accept_loss = self.validated(RetryIn)["accept_loss"]
        operate.retry_message(message=message, by=Actor.of_request(request), now=timezone.now(), accept_loss=accept_loss)
        message.refresh_from_db()
        return Response(self.readable(MessageDetailOut(message).data, scope=READ, always=TOLD))


class MessageTrace(MessageView):
    """`/api/messages/{id}/trace/`."""

    scopes = {"GET": READ}

    @extend_schema(summary="The way of a message", responses=schemas.TraceOut)
    def get(self, request: Request, id: str) -> Response:
        return Response(traces.trace(self.get_object()))
