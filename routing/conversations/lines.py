"""Lines: each takes the next number of its conversation, so both sides see the same order without gaps."""

from datetime import datetime
from typing import Any
from uuid import UUID

from posthaste.lib.ids import new_id
from routing.conversations import notices
from routing.models import Agent, AuthorKind, Conversation, Line


class SeqTaken(Exception):
    """Another transaction took the number: the conversation was not locked."""


def lock(conversation_id: UUID) -> Conversation:
    """Return a conversation, with its identity and entrance, locked until the transaction ends.

    What only refers to it, such as a ticket, is not held up: who writes that may hold what is locked after conversations.

    Raises:
        Conversation.DoesNotExist: it was deleted.
    """
    rows = Conversation.objects.select_related("identity", "entrance").select_for_update(of=("self",), no_key=True)
    return rows.get(pk=conversation_id)


def append(
    conversation: Conversation,
    *,
    author: AuthorKind,
    text: str = "",
    agent: Agent | None = None,
    client_id: str = "",
    recognition: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    message_id: UUID | None = None,
    line_id: UUID | None = None,
    now: datetime,
) -> tuple[Line, bool]:
    """Write a line of a locked conversation, in the caller's transaction; False: it was there already, under the same client id."""
    if client_id:
        known = Line.objects.filter(conversation=conversation, author=author, client_id=client_id).first()
        if known is not None:
            return known, False
    changes = columns_after(author, conversation, now=now)
    if not Conversation.objects.filter(pk=conversation.pk, last_seq=conversation.last_seq).update(**changes):
        raise SeqTaken(str(conversation.pk))
    for name, value in changes.items():
        setattr(conversation, name, value)
    line = Line.objects.create(
        id=line_id or new_id(),
        tenant_id=conversation.tenant_id,
        conversation=conversation,
        seq=conversation.last_seq,
        author=author,
        agent=agent,
        text=text,
        client_id=client_id,
        message_id=message_id,
        recognition=recognition or {},
        data=data or {},
        created_at=now,
    )
    notices.changed_after_commit(conversation)
    return line, True


def columns_after(author: AuthorKind, conversation: Conversation, *, now: datetime) -> dict[str, Any]:
    """Return what the next line of an author changes in the columns of its conversation."""
    seq = conversation.last_seq + 1
    changes: dict[str, Any] = {"last_seq": seq}
    if author == AuthorKind.CUSTOMER:
        changes |= {"customer_wrote_at": now, "customer_read_seq": seq, "unanswered_since": conversation.unanswered_since or now}
        changes["snoozed_until"] = None
    elif author in (AuthorKind.AGENT, AuthorKind.BOT):
        changes |= {"agent_wrote_at": now, "agent_read_seq": seq, "unanswered_since": None}
    if author == AuthorKind.AGENT and conversation.first_response_at is None:
        changes["first_response_at"] = now
    return changes


def mark_read(conversation: Conversation, *, by_customer: bool, seq: int) -> bool:
    """Move a side's read mark forward, up to the last line there is; False: it was there or further."""
    field = "customer_read_seq" if by_customer else "agent_read_seq"
    moved = Conversation.objects.filter(pk=conversation.pk, last_seq__gte=seq, **{f"{field}__lt": seq}).update(**{field: seq})
    if moved:
        notices.changed_after_commit(conversation)
    return bool(moved)
