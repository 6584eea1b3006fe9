"""What an agent does with one conversation: each action reads its body and calls one service."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.services.audit import Actor
from posthaste.lib.problems import NotFound
from routing.conversations import lines as marks
from routing.desk import answering, opening, rows, thread
from routing.desk.data.requests import answer, body_of, desk_view
from routing.desk.seats import Seat
from routing.models import Conversation

Made = dict[str, Any]
Action = Callable[[HttpRequest, Seat, Conversation], Made]


class ReplyIn(msgspec.Struct, forbid_unknown_fields=True):
    """A reply. `seen_seq` is the last line that its author has seen."""

    text: str = ""
    files: list[UUID] = []
    client_id: str = ""
    seen_seq: int | None = None


class SeqIn(msgspec.Struct, forbid_unknown_fields=True):
    """Up to which line the conversation was read."""

    seq: int


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No parameters."""


def reply(request: HttpRequest, seat: Seat, conversation: Conversation) -> Made:
    """Reply to the customer."""
    body = body_of(request, ReplyIn)
    line = answering.reply(
        conversation=conversation,
        agent=seat.as_agent(),
        text=body.text,
        file_ids=body.files,
        client_id=body.client_id[:250],
        seen_seq=body.seen_seq,
        by=Actor.of_request(request),
        now=timezone.now(),
    )
    (shown,) = thread.shapes_of([line], tenant_id=seat.tenant_id)
    return {"line": shown}


def claim(request: HttpRequest, seat: Seat, conversation: Conversation) -> Made:
    """Take a conversation that waits."""
    body_of(request, Nothing)
    answering.claim(conversation=conversation, agent=seat.as_agent(), by=Actor.of_request(request), now=timezone.now())
    return {}


def read(request: HttpRequest, seat: Seat, conversation: Conversation) -> Made:
    """Note up to where it was read."""
    marks.mark_read(conversation, by_customer=False, seq=body_of(request, SeqIn).seq)
    return {}


ACTIONS: dict[str, Action] = {"reply": reply, "claim": claim, "read": read}


@desk_view("POST")
def act(request: HttpRequest, seat: Seat, pk: UUID, action: str) -> HttpResponse:
    """Do one thing with a conversation, and return its row as it is then."""
    perform = ACTIONS.get(action)
    if perform is None:
        raise NotFound(_("There is no such action."))
    conversation = opening.readable_conversation(pk, seat)
    made = perform(request, seat, conversation)
    shown = rows.rows_of([pk], seat, now=timezone.now())
    return answer({"row": shown[0] if shown else None, **made})
