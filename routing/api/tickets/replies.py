"""Answers to the customer of a ticket, in its conversation or without one."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import Body, BoundedList
from accounts.services.audit import Actor
from routing.api.conversations.serializers import MOST_SEQ
from routing.api.conversations.views import owner_of
from routing.api.tickets.base import ONCE, TicketView
from routing.assignment import lists
from routing.conversations.attachments import MAX_FILES
from routing.conversations.family import root_of
from routing.conversations.masking import mask_identity
from routing.conversations.replies import MAX_TEXT
from routing.desk import ticket_replies, writing
from routing.desk.sides import MAX_SUBJECT
from routing.desk.ticket_replies import TicketReply
from routing.models import Identity, Line
from routing.scopes import CONVERSATIONS_WRITE, TICKETS_READ

#: Of a client id: the note of an SMS keeps it, too.
MAX_CLIENT_ID = 64


class TicketReplyIn(Body):
    """An answer to the customer of a ticket."""

    text = serializers.CharField(default="", allow_blank=True, max_length=MAX_TEXT, trim_whitespace=False)
    agent = serializers.CharField(
        max_length=150,
        required=False,
        help_text="Who writes, by id or user name. Empty: a system, shown as a bot; only where the ticket has a conversation.",
    )
    files = BoundedList(
        child=serializers.UUIDField(), default=list, max_length=MAX_FILES, help_text="Ids of files uploaded with the same key."
    )
    client_id = serializers.CharField(
        default="", allow_blank=True, max_length=MAX_CLIENT_ID, help_text="Sent again under the same id, it is one message."
    )
    seen_seq = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=MOST_SEQ,
        help_text="The last line of the conversation that the author has seen. If another agent or bot replied after it: 409.",
    )
    to = serializers.UUIDField(
        required=False, allow_null=True, help_text="Without a conversation: the identity to write to, if the customer has several."
    )
    subject = serializers.CharField(
        required=False, allow_blank=True, max_length=MAX_SUBJECT, help_text="Of the e-mail that begins the conversation."
    )


class TicketReplyOut(serializers.Serializer[Any]):
    """The message that carries an answer."""

    message_id = serializers.UUIDField()
    trace_id = serializers.CharField(help_text="See `/api/messages/{id}/trace/`.")
    conversation = serializers.UUIDField(allow_null=True, help_text="Null: an SMS, whose answer comes in nowhere.")
    line = serializers.UUIDField(allow_null=True, help_text="Of the conversation.")


class AddressOut(serializers.Serializer[Any]):
    """An identity that can be written to."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    value = serializers.CharField(help_text="Masked.")


class WaysOut(serializers.Serializer[Any]):
    """Where an answer goes."""

    conversation = serializers.UUIDField(
        allow_null=True, help_text="Answers go there. If the ticket's own was merged into another one, it is that one."
    )
    replies_to = AddressOut(allow_null=True, help_text="The identity that wrote in `conversation`, which gets the answer.")
    addresses = AddressOut(many=True, help_text="Without a conversation: what `to` can be.")
    reason = serializers.CharField(help_text="Why the customer can't be written to, and what to do first.")


def _address(identity: Identity) -> dict[str, str]:
    return {"id": str(identity.pk), "kind": identity.kind, "value": mask_identity(identity.kind, identity.value)}


class TicketReplies(TicketView):
    """`/api/tickets/{id}/replies/`."""

    scopes = {"GET": TICKETS_READ, "POST": CONVERSATIONS_WRITE}

    @extend_schema(summary="Where the customer of a ticket can be answered", responses=WaysOut)
    def get(self, request: Request, id: str) -> Response:
        ticket = self.get_object()
        if ticket.conversation is not None:
            talk = root_of(ticket.conversation)
            return Response({"conversation": str(talk.pk), "replies_to": _address(talk.identity), "addresses": [], "reason": ""})
        ways = writing.ways_to_write(ticket)
        shown = [_address(row) for row in ways.identities]
        return Response({"conversation": None, "replies_to": None, "addresses": shown, "reason": ways.why_not})

    @extend_schema(
        summary="Answer the customer of a ticket",
        description="In its conversation, to the identity that wrote; if that was merged into another one, to the identity that wrote "
        "there: `GET` names it. Without one, an e-mail begins it, and the agent has it from then "
        "on; an SMS is one message. Sent once for an `Idempotency-Key`. 409 `ticket_over`: open a follow-up. 409 `no_address` or "
        "`no_mailbox` says what is missing.",
        parameters=ONCE,
        request=TicketReplyIn,
        responses={201: TicketReplyOut},
    )
    def post(self, request: Request, id: str) -> Response:
        return self.once(request, make=lambda: self._sent(request), show=self._shown)

    def _sent(self, request: Request) -> UUID:
        ticket, values = self.get_object(), self.validated(TicketReplyIn)
        agent = lists.active_agent_named(self.tenant_id, values["agent"]) if "agent" in values else None
        new = TicketReply(
            text=values["text"],
            agent=agent,
            files=writing.Files(values["files"], owner_of(request)),
            client_id=values["client_id"],
            **{name: values[name] for name in ("seen_seq", "to", "subject") if name in values},
        )
        return ticket_replies.reply(ticket=ticket, new=new, by=Actor.of_request(request), now=timezone.now())

    def _shown(self, message_id: UUID) -> Response:
        line = Line.objects.filter(message_id=message_id, conversation__tenant_id=self.tenant_id).first()
        place = {"conversation": str(line.conversation_id), "line": str(line.pk)} if line else {"conversation": None, "line": None}
        return Response({"message_id": str(message_id), "trace_id": message_id.hex, **place}, status=201)
