"""What a visitor is told: the frames of the protocol, the same over WebSocket and HTTP. See docs/portal-chat.md."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.core import signing
from django.db.models import Prefetch, Q
from django.urls import reverse

from routing.conversations import selectors, waiting
from routing.conversations.attachments import served_type
from routing.models import Attachment, AuthorKind, Conversation, ConversationStatus, Line, PortalSession

PAGE = 100
#: Lines that a visitor gets who has none yet.
BEGINNING = 50
#: For how long the address of a file works.
FILE_SECONDS = 3600
SALT = "routing.portal.file"


class Position(NamedTuple):
    """The last line that a visitor has: numbers are counted in each conversation."""

    conversation: UUID
    seq: int


def _rows(session: PortalSession) -> Any:
    files = Prefetch("attachments", Attachment.objects.defer("content").order_by("pk"))
    mine = Line.objects.filter(conversation__entrance_id=session.entrance_id, conversation__identity_id=session.identity_id)
    return mine.select_related("agent").prefetch_related(files)


def lines_after(session: PortalSession, position: Position | None, *, limit: int = PAGE) -> list[Line]:
    """Return the next lines of a visitor in order, over all conversations at the entrance; without a position the last ones.

    A conversation's id begins with the time at which it was made, so their order is that of the ids.
    """
    rows = _rows(session)
    if position is None:
        return list(reversed(rows.order_by("-conversation_id", "-seq")[:BEGINNING]))
    behind = Q(conversation_id=position.conversation, seq__gt=position.seq) | Q(conversation_id__gt=position.conversation)
    return list(rows.filter(behind).order_by("conversation_id", "seq")[:limit])


def line_frame(line: Line) -> dict[str, Any]:
    """Return a line as a visitor sees it: nothing of what was recognized or found, and of an agent only the name shown to customers."""
    frame: dict[str, Any] = {
        "type": "line",
        "conversation": str(line.conversation_id),
        "seq": line.seq,
        "id": str(line.pk),
        "author": line.author,
        "text": line.text,
        "files": [file_of(file) for file in line.attachments.all()],
        "at": line.created_at.isoformat(),
    }
    if line.author == AuthorKind.CUSTOMER:
        frame["client_id"] = line.client_id
    if choices := line.data.get("choices") if line.author == AuthorKind.BOT else None:
        frame["choices"] = choices  # short texts that the visitor may answer with
    if line.agent is not None:
        frame["name"] = line.agent.name
    return frame


def file_of(file: Attachment) -> dict[str, Any]:
    """Return a file as a visitor sees it, with an address that works for an hour."""
    address = reverse("chat-file", args=[signing.TimestampSigner(salt=SALT).sign(file.pk.hex)])
    return {"id": str(file.pk), "name": file.name, "type": served_type(file.content_type), "size": file.size, "url": address}


def file_at(signed: str) -> Attachment | None:
    """Return the file of an address, with its bytes; None: the address is wrong or has expired."""
    try:
        identifier = UUID(signing.TimestampSigner(salt=SALT).unsign(signed, max_age=FILE_SECONDS))
    except (signing.BadSignature, ValueError):
        return None
    return Attachment.objects.filter(pk=identifier, line__isnull=False).first()


def state_frame(conversation: Conversation | None, *, queue: tuple[int, int | None] | None) -> dict[str, Any]:
    """Return what a visitor is told of the conversation beside its lines; `queue` is the place and the seconds it will take."""
    frame: dict[str, Any] = {
        "type": "snapshot",
        "conversation": str(conversation.pk) if conversation else None,
        "status": _status_of(conversation) if conversation else None,
        "last_seq": conversation.last_seq if conversation else 0,
        "read": {"customer": conversation.customer_read_seq, "agent": conversation.agent_read_seq} if conversation else None,
        "agent": conversation.agent.name if conversation and conversation.agent and conversation.status == "assigned" else None,
        "queue": None,
    }
    if queue is not None:
        frame["queue"] = {"position": queue[0], "wait_seconds": queue[1]}
    return frame


def _status_of(conversation: Conversation) -> str:
    """Return the status as a visitor sees it: who learns that it is spam begins anew under another name."""
    return ConversationStatus.CLOSED if conversation.status == ConversationStatus.SPAM else conversation.status


def typing_frame(name: str, *, at: datetime) -> dict[str, Any]:
    """Return that an agent writes."""
    return {"type": "typing", "name": name, "at": at.isoformat()}


def state_of(session: PortalSession, *, now: datetime) -> dict[str, Any]:
    """Return the snapshot of a visitor's conversation, with its place in the queue."""
    conversation = selectors.latest_of(entrance_id=session.entrance_id, identity_id=session.identity_id)
    place = waiting.place_of(conversation, now=now) if conversation else None
    return state_frame(conversation, queue=place)
