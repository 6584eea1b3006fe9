"""Lines and notes of a conversation, as agents read them: with the state of the message that carried each reply."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import Prefetch
from django.urls import reverse
from django.utils.translation import gettext

from messaging.selectors import deliveries
from routing.conversations.attachments import served_type
from routing.intents.titles import intent_titles
from routing.models import Attachment, AuthorKind, Conversation, FaqEntry, Line, Note

#: Lines in one answer.
PAGE = 60
#: Types of which a small preview is shown: raster images, which run nothing.
PREVIEWED = {"image/png", "image/jpeg", "image/gif", "image/webp"}
Shape = dict[str, Any]


def newest(conversation_id: UUID) -> list[Line]:
    """Return the last lines of a conversation, in their order."""
    return list(_with_files(conversation_id).order_by("-seq")[:PAGE])[::-1]


def after(conversation_id: UUID, *, seq: int) -> list[Line]:
    """Return the first lines behind a number."""
    return list(_with_files(conversation_id).filter(seq__gt=seq).order_by("seq")[:PAGE])


def before(conversation_id: UUID, *, seq: int) -> list[Line]:
    """Return the last lines before a number, in their order."""
    return list(_with_files(conversation_id).filter(seq__lt=seq).order_by("-seq")[:PAGE])[::-1]


def _with_files(conversation_id: UUID) -> Any:
    files = Prefetch("attachments", Attachment.objects.defer("content").order_by("pk"))
    return Line.objects.filter(conversation_id=conversation_id).select_related("agent").prefetch_related(files)


def shapes_of(lines: Sequence[Line], *, tenant_id: int) -> list[Shape]:
    """Return lines as JSON has them; one query for the messages of all of them, and one for the entries that the bot answered with."""
    messages = deliveries(line.message_id for line in lines if line.message_id)
    titles = intent_titles([tenant_id])[tenant_id] if any(line.recognition for line in lines) else {}
    questions = _questions(lines, tenant_id)
    return [_shape(line, messages, titles) | {"entries": _entries_of(line, questions)} for line in lines]


def _used(line: Line) -> list[Shape]:
    """Return what the bot's line says of the entries that it answered with, or offered."""
    if line.author != AuthorKind.BOT:
        return []
    return [line.data] if "faq" in line.data else list(line.data.get("offered", ()))


def _questions(lines: Sequence[Line], tenant_id: int) -> dict[str, str]:
    wanted = {each["faq"] for line in lines for each in _used(line)}
    rows = FaqEntry.objects.filter(tenant_id=tenant_id, pk__in=wanted).values_list("pk", "question") if wanted else ()
    return {str(pk): question for pk, question in rows}


def _entries_of(line: Line, questions: dict[str, str]) -> list[Shape]:
    """Return the entries of a bot's line with how sure it was; of one that was deleted since the score alone is left."""
    return [
        {
            "question": questions.get(each["faq"], ""),
            "score": each["score"],
            "url": reverse("admin:routing_faqentry_change", args=[each["faq"]]) if each["faq"] in questions else "",
        }
        for each in _used(line)
    ]


def _shape(line: Line, messages: dict[UUID, Any], titles: dict[str, str]) -> Shape:
    message = messages.get(line.message_id) if line.message_id else None
    said = line.recognition
    intent = str(said.get("intent") or "")
    return {
        "id": str(line.pk),
        "seq": line.seq,
        "author": line.author,
        "agent": {"id": str(line.agent_id), "name": line.agent.name} if line.agent else None,
        "text": line.text,
        "files": [file_shape(file) for file in line.attachments.all()],
        "at": line.created_at.isoformat(),
        "message": {
            "id": str(line.message_id),
            "status": message.status if message else "",
            "at": message.at.isoformat() if message else None,
            "error": (gettext(message.detail) if message.detail else message.error) if message else "",
            "trace_url": reverse("admin:messaging_message_change", args=[line.message_id]),
        }
        if line.message_id
        else None,
        "recognition": {
            "intent": intent,
            "title": titles.get(intent, intent),
            "confidence": said.get("confidence"),
            "alternatives": [[name, titles.get(name, name), sure] for name, sure in said.get("alternatives", [])],
        }
        if said
        else None,
        "client_id": line.client_id,
        "data": line.data,
    }


def file_shape(file: Attachment) -> Shape:
    """Return a file, which its address serves as a download only."""
    return {
        "id": str(file.pk),
        "name": file.name,
        "type": served_type(file.content_type),
        "size": file.size,
        "url": reverse("desk-data-file", args=[file.pk]),
        "is_image": file.content_type in PREVIEWED,
    }


def notes_of(conversation: Conversation) -> list[Shape]:
    """Return the notes of a conversation, in their order."""
    return [note_shape(note) for note in Note.objects.filter(conversation=conversation).select_related("agent").order_by("pk")]


def note_shape(note: Note) -> Shape:
    """Return a note, which stands behind a line."""
    return {
        "id": str(note.pk),
        "agent": {"id": str(note.agent_id), "name": note.agent.name} if note.agent else None,
        "written_by": note.agent.name if note.agent else note.written_by,
        "text": note.text,
        "after_seq": note.after_seq,
        "client_id": note.client_id,
        "at": note.created_at.isoformat(),
    }
