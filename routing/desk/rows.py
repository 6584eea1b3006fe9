"""Rows of the inbox: what an agent sees of a conversation before it is opened. As many queries for one as for a hundred."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Q
from django.db.models.functions import Left

from routing.customers import attributes
from routing.desk.inbox import OPEN_CLOCKS
from routing.desk.seats import Seat
from routing.intents.titles import intent_titles
from routing.models import Clock, ClockState, Conversation, Draft, Line, Notice, NoticeKind

MAX_ROWS = 100
SNIPPET = 160
Shape = dict[str, Any]


def readable(seat: Seat) -> Q:
    """Return the condition for conversations that a seat may open: those of its inbox, what is about them, and where it was mentioned."""
    if seat.sees_all:
        return Q()
    inbox = Conversation.objects.filter(seat.visible, tenant_id=seat.tenant_id)
    told = Notice.objects.filter(agent=seat.agent, kind=NoticeKind.MENTION, conversation__isnull=False)
    return seat.visible & Q(parent=None) | Q(parent__in=inbox) | Q(pk__in=told.values("conversation"))


def rows_of(ids: Collection[UUID], seat: Seat, *, now: datetime) -> list[Shape]:
    """Return rows in the order of the ids; those that the seat does not see, or that are gone, are left out."""
    found = Conversation.objects.filter(readable(seat), tenant_id=seat.tenant_id, pk__in=list(ids))
    conversations = {row.pk: row for row in found.select_related("customer", "entrance", "group", "agent", "identity")}
    return shapes_of([conversations[pk] for pk in dict.fromkeys(ids) if pk in conversations], seat, now=now)


def shapes_of(conversations: Collection[Conversation], seat: Seat, *, now: datetime) -> list[Shape]:
    """Return the rows of conversations, which have their customer, entrance, group and agent at hand."""
    own = [row.pk for row in conversations]
    if not own:
        return []
    last, tags, clocks = _last_lines(own), _tags(own), urgent_clocks(own)
    drafts = _drafts(own, seat)
    levels = attributes.current({row.customer_id for row in conversations}, now=now)
    titles = intent_titles([seat.tenant_id])[seat.tenant_id]
    return [
        _shape(
            row,
            last=last.get(row.pk),
            tags=tags.get(row.pk, []),
            clock=clocks.get(row.pk),
            draft=drafts.get(row.pk, ""),
            level=str(levels.get(row.customer_id, {}).get("level") or ""),
            titles=titles,
        )
        for row in conversations
    ]


def _shape(
    row: Conversation, *, last: Line | None, tags: list[str], clock: Clock | None, draft: str, level: str, titles: Mapping[str, str]
) -> Shape:
    return {
        "id": str(row.pk),
        "customer": {"id": str(row.customer_id), "name": row.customer.name or row.identity.name, "level": level},
        "subject": row.subject,
        "snippet": " ".join(last.text.split())[:SNIPPET] if last else "",
        "snippet_author": last.author if last else "",
        "last_at": iso(last.created_at if last else row.created_at),
        "unread": max(0, row.last_seq - row.agent_read_seq),
        "status": row.status,
        "priority": row.priority,
        "intent": {"name": row.intent, "title": titles.get(row.intent, row.intent)} if row.intent else None,
        "confidence": row.confidence,
        "language": row.language,
        "entrance": {"name": row.entrance.name, "kind": row.entrance.kind},
        "group": {"id": str(row.group_id), "title": row.group.title} if row.group else None,
        "agent": {"id": str(row.agent_id), "name": row.agent.name} if row.agent else None,
        "tags": tags,
        "clock": clock_shape(clock) if clock else None,
        "unanswered_since": iso(row.unanswered_since),
        "snoozed_until": iso(row.snoozed_until),
        "draft": draft,
        "parent": str(row.parent_id) if row.parent_id else None,
        "merged_into": str(row.merged_into_id) if row.merged_into_id else None,
        "version": row.last_seq,
    }


def _last_lines(ids: Collection[UUID]) -> dict[UUID, Line]:
    lines = Line.objects.filter(conversation__in=ids, seq=F("conversation__last_seq"))
    return {line.conversation_id: line for line in lines.only("conversation_id", "text", "author", "created_at").order_by()}


def _drafts(ids: Collection[UUID], seat: Seat) -> dict[UUID, str]:
    """Return what the agent has begun to write in each conversation: the answer, else the note."""
    own = Draft.objects.filter(agent=seat.agent, conversation__in=ids).order_by("-is_note")
    return {pk: " ".join(text.split())[:SNIPPET] for pk, text in own.values_list("conversation", Left("text", 4 * SNIPPET))}


def _tags(ids: Collection[UUID]) -> dict[UUID, list[str]]:
    found: dict[UUID, list[str]] = {}
    through = Conversation.tags.through.objects.filter(conversation__in=ids).order_by("tag__name")
    for conversation_id, name in through.values_list("conversation_id", "tag__name"):
        found.setdefault(conversation_id, []).append(name)
    return found


def urgent_clocks(ids: Iterable[UUID]) -> dict[UUID, Clock]:
    """Return the open clock of each conversation that is due first; those that stand still come last."""
    found: dict[UUID, Clock] = {}
    for clock in Clock.objects.filter(conversation__in=list(ids), state__in=OPEN_CLOCKS).order_by(F("due_at").asc(nulls_last=True), "pk"):
        if clock.conversation_id is not None:
            known = found.setdefault(clock.conversation_id, clock)
            if known.state == ClockState.PAUSED and clock.state == ClockState.RUNNING:
                found[clock.conversation_id] = clock
    return found


def clock_shape(clock: Clock) -> Shape:
    """Return a clock as the desk shows it."""
    return {
        "metric": clock.metric,
        "state": clock.state,
        "due_at": iso(clock.due_at),
        "warn_at": iso(clock.warn_at),
        "warned": clock.warned_at is not None,
        "breached": clock.breached_at is not None,
    }


def iso(moment: datetime | None) -> str | None:
    """Return a moment as it stands in JSON."""
    return moment.isoformat() if moment else None
