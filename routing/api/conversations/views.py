"""Conversations: list, read, reply, resolve; their files; what came in and failed."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.services.audit import Actor
from posthaste.lib import uploads
from posthaste.lib.pagination import CursorPages
from routing.api.conversations import serializers as shapes
from routing.api.conversations.filters import ArrivalFilter, ConversationFilter
from routing.assignment import lists
from routing.conversations import arrivals, attachments, correcting, lines, notices, resolving, selectors
from routing.conversations.attachments import BYTES
from routing.conversations.downloads import file_response
from routing.desk import answering
from routing.models import Agent, Arrival, Attachment, Conversation
from routing.scopes import CONVERSATIONS_READ, CONVERSATIONS_WRITE

#: What answers to changes show to keys that may not read conversations.
TOLD = ("id", "status", "last_seq")
LINE_TOLD = ("id", "seq", "message_id", "trace_id")


class ConversationView(TenantView):
    """Base: the tenant's conversations."""

    queryset = Conversation.objects.none()
    serializer_class: type[shapes.ConversationOut] = shapes.ConversationDetailOut

    def get_queryset(self) -> "QuerySet[Conversation]":
        return selectors.conversations(self.tenant_id)

    def agent_of(self, values: dict[str, Any]) -> Agent | None:
        """Return the agent that a body names by id or user name; None: it names none.

        Raises:
            Invalid: the tenant has no such agent who is active.
        """
        name = values.get("agent")
        return lists.active_agent_named(self.tenant_id, name) if name is not None else None

    def answer(self, conversation: Conversation) -> Response:
        """Show a changed conversation."""
        shown = shapes.ConversationDetailOut(self.get_queryset().get(pk=conversation.pk)).data
        return Response(self.readable(shown, scope=CONVERSATIONS_READ, always=TOLD))


class ConversationCollection(ListModelMixin, ConversationView):
    """`/api/conversations/`."""

    scopes = {"GET": CONVERSATIONS_READ}
    serializer_class = shapes.ConversationOut
    pagination_class = CursorPages
    filterset_class = ConversationFilter

    @extend_schema(summary="List conversations", description="Newest first; identities are masked.")
    def get(self, request: Request) -> Response:
        return self.list(request)


class ConversationItem(RetrieveModelMixin, ConversationView):
    """`/api/conversations/{id}/`."""

    scopes = {"GET": CONVERSATIONS_READ}

    @extend_schema(summary="One conversation")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)


class ConversationLines(ConversationView):
    """`/api/conversations/{id}/lines/`."""

    scopes = {"GET": CONVERSATIONS_READ}
    queries = {"GET": shapes.LinesQuery}

    @extend_schema(
        summary="Lines of a conversation",
        description="In their order, without gaps. After a pause ask with `after_seq` for what is new.",
        parameters=[shapes.LinesQuery],
        responses=shapes.ConversationLinesOut,
    )
    def get(self, request: Request, id: str) -> Response:
        conversation, asked = self.get_object(), self.asked()
        found = selectors.lines_after(conversation.pk, seq=asked["after_seq"], limit=asked["limit"])
        return Response({"results": shapes.ConversationLineOut(found, many=True).data, "last_seq": conversation.last_seq})


class ConversationReply(ConversationView):
    """`/api/conversations/{id}/reply/`."""

    scopes = {"POST": CONVERSATIONS_WRITE}

    @extend_schema(
        summary="Reply",
        description="Goes to the identity that wrote, through the entrance, with a trace of its own (`trace_id`).",
        request=shapes.ReplyIn,
        responses={201: readable_or(shapes.ConversationLineOut, *LINE_TOLD)},
    )
    def post(self, request: Request, id: str) -> Response:
        conversation, values = self.get_object(), self.validated(shapes.ReplyIn)
        line = answering.reply(
            conversation=conversation,
            agent=self.agent_of(values),
            owner=owner_of(request),
            text=values["text"],
            file_ids=values["files"],
            client_id=values["client_id"],
            seen_seq=values.get("seen_seq"),
            by=Actor.of_request(request),
            now=timezone.now(),
        )
        return Response(self.readable(shapes.ConversationLineOut(line).data, scope=CONVERSATIONS_READ, always=LINE_TOLD), status=201)


class ConversationTyping(ConversationView):
    """`/api/conversations/{id}/typing/`."""

    scopes = {"POST": CONVERSATIONS_WRITE}

    @extend_schema(
        summary="Show that an agent writes",
        description="For some seconds, to a visitor whose chat is open. Nothing is stored.",
        request=shapes.TypingIn,
        responses={204: None},
    )
    def post(self, request: Request, id: str) -> Response:
        conversation, agent = self.get_object(), self.agent_of(self.validated(shapes.TypingIn))
        notices.typing(conversation.pk, conversation.identity_id, author="agent", name=agent.name if agent else "")
        return Response(status=204)


class ConversationRead(ConversationView):
    """`/api/conversations/{id}/read/`."""

    scopes = {"POST": CONVERSATIONS_WRITE}

    @extend_schema(
        summary="Mark as read", description="Up to a line; the mark only moves forward.", request=shapes.ReadIn, responses={204: None}
    )
    def post(self, request: Request, id: str) -> Response:
        lines.mark_read(self.get_object(), by_customer=False, seq=self.validated(shapes.ReadIn)["seq"])
        return Response(status=204)


class ConversationResolve(ConversationView):
    """`/api/conversations/{id}/resolve/`."""

    scopes = {"POST": CONVERSATIONS_WRITE}

    @extend_schema(
        summary="Resolve",
        description="Frees the agent. A line of the customer within the configured days opens it again.",
        request=None,
        responses={200: readable_or(shapes.ConversationDetailOut, *TOLD)},
    )
    def post(self, request: Request, id: str) -> Response:
        return self.answer(resolving.resolve(conversation=self.get_object(), by=Actor.of_request(request), now=timezone.now()))


class ConversationIntent(ConversationView):
    """`/api/conversations/{id}/intent/`."""

    scopes = {"POST": CONVERSATIONS_WRITE}

    @extend_schema(
        summary="Correct the intent",
        description="Sets the conversation's intent and suggests the line's text for training.",
        request=shapes.CorrectionIn,
        responses={200: readable_or(shapes.ConversationDetailOut, *TOLD)},
    )
    def post(self, request: Request, id: str) -> Response:
        conversation, values = self.get_object(), self.validated(shapes.CorrectionIn)
        correcting.correct_intent(
            conversation=conversation,
            intent=values["intent"],
            seq=values.get("seq"),
            by=Actor.of_request(request),
            now=timezone.now(),
        )
        return self.answer(conversation)


def owner_of(request: Request) -> str:
    """Return as whose a key's uploads are kept until a reply names them."""
    return f"key:{Actor.of_request(request).name}"[:64]


class AttachmentCollection(TenantView):
    """`/api/attachments/`."""

    scopes = {"POST": CONVERSATIONS_WRITE}
    parser_classes = (MultiPartParser,)
    serializer_class = shapes.AttachmentOut

    @extend_schema(
        summary="Upload a file",
        description="Field `file` of a multipart form, at most 20 MiB. Name its id in a reply within a day.",
        request={"multipart/form-data": shapes.UploadIn},
        responses={201: shapes.AttachmentOut},
    )
    def post(self, request: Request) -> Response:
        sent = uploads.file_of(request)
        file = attachments.upload(
            name=sent.name or "", content=sent.read(), tenant_id=self.tenant_id, owner=owner_of(request), now=timezone.now()
        )
        return Response(shapes.AttachmentOut(file).data, status=201)


class AttachmentItem(TenantView):
    """`/api/attachments/{id}/`."""

    scopes = {"GET": CONVERSATIONS_READ}
    queryset = Attachment.objects.none()
    serializer_class = shapes.AttachmentOut

    def get_queryset(self) -> "QuerySet[Attachment]":
        return selectors.attachments(self.tenant_id).defer(None)

    @extend_schema(summary="Download a file", responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, id: UUID) -> HttpResponse:
        return file_response(self.get_object(), content_type=BYTES)


class ArrivalView(TenantView):
    """Base: what came in."""

    queryset = Arrival.objects.none()
    serializer_class = shapes.ArrivalOut

    def get_queryset(self) -> "QuerySet[Arrival]":
        return selectors.arrivals(self.tenant_id)


class ArrivalCollection(ListModelMixin, ArrivalView):
    """`/api/arrivals/`."""

    scopes = {"GET": CONVERSATIONS_READ}
    pagination_class = CursorPages
    filterset_class = ArrivalFilter

    @extend_schema(summary="List arrivals", description="What came in, newest first, and how far it is; senders are masked.")
    def get(self, request: Request) -> Response:
        return self.list(request)


class ArrivalRetry(ArrivalView):
    """`/api/arrivals/{id}/retry/`."""

    scopes = {"POST": CONVERSATIONS_WRITE}

    @extend_schema(summary="Process a failed arrival again", request=None, responses={204: None})
    def post(self, request: Request, id: str) -> Response:
        arrivals.retry(arrival=self.get_object(), by=Actor.of_request(request))
        return Response(status=204)
