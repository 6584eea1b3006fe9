"""Actions with words: reply, note, draft, ask others, read marks."""

from uuid import UUID

import msgspec
from django.utils import timezone

from routing.conversations import lines as marks
from routing.desk import answering, drafts, noting, rows, sides, telling, thread
from routing.desk.data.requests import Action, Call, Made
from routing.desk.seats import Seat
from routing.models import Conversation

MAX_CLIENT_ID = 64


class ReplyIn(msgspec.Struct, forbid_unknown_fields=True):
    """A reply. `seen_seq` is the last line that its author has seen."""

    text: str = ""
    files: list[UUID] = []
    client_id: str = ""
    seen_seq: int | None = None


class NoteIn(msgspec.Struct, forbid_unknown_fields=True):
    """A note, and the agents that it mentions."""

    text: str
    client_id: str = ""
    mentions: list[UUID] = []


class DraftIn(msgspec.Struct, forbid_unknown_fields=True):
    """What is written so far, and the client id under which it will be sent."""

    text: str
    is_note: bool = False
    client_id: str = ""


class SideIn(msgspec.Struct, forbid_unknown_fields=True):
    """An e-mail to others."""

    to: str
    subject: str
    text: str
    client_id: str = ""


class SeqIn(msgspec.Struct, forbid_unknown_fields=True):
    """Up to which line the conversation was read."""

    seq: int


def named(client_id: str) -> str:
    """Return a client id as it is stored."""
    return client_id.replace("\x00", "")[:MAX_CLIENT_ID]


def reply(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Reply to the customer."""
    body = call.read(ReplyIn)
    line = answering.reply(
        conversation=conversation,
        agent=seat.as_agent(),
        text=body.text,
        file_ids=body.files,
        client_id=named(body.client_id),
        seen_seq=body.seen_seq,
        by=call.by,
        now=timezone.now(),
    )
    (shown,) = thread.shapes_of([line], tenant_id=seat.tenant_id)
    return {"line": shown}


def note(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Write a note."""
    body = call.read(NoteIn)
    made = noting.add_note(
        conversation=conversation,
        agent=seat.agent,
        text=body.text,
        mentions=body.mentions,
        client_id=named(body.client_id),
        by=call.by,
        now=timezone.now(),
    )
    return {"note": thread.note_shape(made)}


def draft(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Keep what is written so far."""
    body = call.read(DraftIn)
    is_kept = drafts.keep_draft(
        agent=seat.as_agent(),
        conversation=conversation,
        text=body.text,
        is_note=body.is_note,
        client_id=named(body.client_id),
        now=timezone.now(),
    )
    return {"kept": is_kept}


def side(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Ask others by e-mail."""
    body, now = call.read(SideIn), timezone.now()
    made, line = sides.begin_side(
        conversation=conversation,
        agent=seat.as_agent(),
        to=body.to,
        subject=body.subject,
        text=body.text,
        client_id=named(body.client_id),
        by=call.by,
        now=now,
    )
    (shown,) = thread.shapes_of([line], tenant_id=seat.tenant_id)
    return {"side": rows.rows_of([made.pk], seat, now=now)[0], "line": shown}


def read(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Note up to where agents have read it, and what this one was told of it. Who only supervises leaves no mark."""
    seq = call.read(SeqIn).seq
    if seat.agent is not None:
        marks.mark_read(conversation, by_customer=False, seq=seq)
        telling.mark_read(seat.agent, conversation_id=conversation.pk, now=timezone.now())
    return {}


ACTIONS: dict[str, Action] = {"reply": reply, "note": note, "draft": draft, "side": side, "read": read}
