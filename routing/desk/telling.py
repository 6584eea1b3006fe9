"""Notices: what one agent is told until they have read it. Each is told once, however often what causes it happens."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from posthaste.lib.ids import new_id
from routing.conversations import notices
from routing.models import Agent, Notice, NoticeKind

MAX_LISTED = 100
Shape = dict[str, Any]


def tell(rows: Iterable[Notice]) -> None:
    """Store notices in the caller's transaction, in one statement; those that were told already stay as they are."""
    made = list(rows)
    if made:
        Notice.objects.bulk_create(made, ignore_conflicts=True)
        notices.told_after_commit({notice.agent_id for notice in made})


def about_conversation(
    kind: NoticeKind, *, agent_id: UUID, conversation_id: UUID, about: str, now: datetime, data: dict[str, Any] | None = None
) -> Notice:
    """Return a notice about a conversation, not stored yet; `about` tells apart what is told each on its own."""
    return Notice(id=new_id(), agent_id=agent_id, kind=kind, conversation_id=conversation_id, about=about, data=data or {}, at=now)


def unread(agent_ids: Collection[UUID]) -> "QuerySet[Notice]":
    """Return what agents have not read yet."""
    return Notice.objects.filter(agent__in=agent_ids, read_at=None).select_related("conversation__customer", "ticket")


def listed(agent: Agent, *, after: UUID | None) -> list[Shape]:
    """Return an agent's notices, newest first; those behind an id."""
    rows = Notice.objects.filter(agent=agent).select_related("conversation__customer", "ticket").order_by("-pk")
    return [shape_of(notice) for notice in (rows.filter(pk__gt=after) if after else rows)[:MAX_LISTED]]


def mark_read(agent: Agent, *, ids: Collection[UUID] = (), conversation_id: UUID | None = None, now: datetime) -> int:
    """Mark notices as read, by their ids or all about a conversation, and return how many were not."""
    rows = Notice.objects.filter(agent=agent, read_at=None)
    rows = rows.filter(conversation=conversation_id) if conversation_id else rows.filter(pk__in=list(ids))
    return rows.update(read_at=now)


def shape_of(notice: Notice) -> Shape:
    """Return a notice as the desk shows it."""
    conversation, ticket = notice.conversation, notice.ticket
    return {
        "id": str(notice.pk),
        "kind": notice.kind,
        "conversation": str(notice.conversation_id) if notice.conversation_id else None,
        "customer": conversation.customer.name if conversation else "",
        "ticket": ticket.number if ticket else None,
        "data": notice.data,
        "at": notice.at.isoformat(),
        "read": notice.read_at is not None,
    }
