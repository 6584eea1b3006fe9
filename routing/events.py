"""Events of the service desk for webhooks and streams, recorded in the transaction of the change that they tell of.

Each function takes all of a transaction and makes one call of `record`. The caller has written, and so locked, the row that an event is
about; events of one conversation are in the order of its changes. Where the tenant's events are not recorded, a function costs one query
of a small table, whatever the number of rows.

Events hold ids, states and figures. What people wrote is not in them: events are kept for a week, repeated and logged on both sides, and
an erasure could not reach those copies. A receiver that needs a text reads it with a key that may.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from messaging.webhooks import events
from messaging.webhooks.events import NewEvent
from routing import event_types
from routing.models import Clock, ClockSignal, Conversation, ConversationStatus, Line, Satisfaction, SignalKind, Ticket

#: What is told of a conversation that has moved. The others are told by what brings them about.
MOVED = {
    ConversationStatus.QUEUED: event_types.CONVERSATION_QUEUED,
    ConversationStatus.ASSIGNED: event_types.CONVERSATION_ASSIGNED,
    ConversationStatus.CLOSED: event_types.CONVERSATION_CLOSED,
    ConversationStatus.SPAM: event_types.CONVERSATION_CLOSED,
}
SIGNALS = {SignalKind.WARNING: event_types.CLOCK_WARNING, SignalKind.BREACH: event_types.CLOCK_BREACHED}


# --- conversations -------------------------------------------------------------------------------------------------


def lines_received(written: Sequence[tuple[Conversation, Line, bool]], *, now: datetime) -> None:
    """Tell of customers' lines, and of the conversations that they begin or open again: those of which the third value is true."""
    recorded = events.recorded_among({conversation.tenant_id for conversation, _line, _begins in written})
    found: list[NewEvent] = []
    for conversation, line, begins in written:
        if conversation.tenant_id in recorded:
            if begins:
                began = event_types.CONVERSATION_OPENED if line.seq == 1 else event_types.CONVERSATION_REOPENED
                found.append(_event(began, conversation, _beginning(conversation), now=now))
            found.append(_event(event_types.LINE_RECEIVED, conversation, _line(conversation, line), now=now))
    _record(found)


def line_sent(conversation: Conversation, line: Line, *, now: datetime) -> None:
    """Tell of a reply of an agent or a bot."""
    if events.recorded_among({conversation.tenant_id}):
        _record([_event(event_types.LINE_SENT, conversation, _line(conversation, line), now=now)])


def conversations_moved(conversation_ids: Collection[UUID], *, now: datetime) -> None:
    """Tell where conversations went that have another status, group or agent."""
    rows = Conversation.objects.filter(pk__in=conversation_ids, status__in=MOVED, tenant_id__in=events.recorded_tenants())
    moved = list(rows.select_related("group", "agent").order_by("pk"))
    _record(_event(MOVED[ConversationStatus(row.status)], row, _state(row), now=now) for row in moved)


def conversation(type_: str, row: Conversation, *, now: datetime, **more: Any) -> None:
    """Tell something of one conversation; `more` is added to what every event of a conversation says."""
    if events.recorded_among({row.tenant_id}):
        _record([_event(type_, row, _state(row) | more, now=now)])


# --- tickets, clocks, ratings, customers ---------------------------------------------------------------------------


def ticket(type_: str, *rows: Ticket, now: datetime, **more: Any) -> None:
    """Tell something of tickets; `more` says what changed, such as `changed=["priority"]` or `merged_into=…`."""
    recorded = events.recorded_among({row.tenant_id for row in rows})
    _record(
        NewEvent(tenant_id=row.tenant_id, type=type_, subject_id=row.pk, occurred_at=now, data=_ticket(row) | more)
        for row in rows
        if row.tenant_id in recorded
    )


def clock(*signals: ClockSignal, now: datetime) -> None:
    """Tell of warnings and breaches of clocks, which are at hand (`select_related("clock")`)."""
    recorded = events.recorded_among({signal.clock.tenant_id for signal in signals})
    _record(
        NewEvent(
            tenant_id=signal.clock.tenant_id,
            type=SIGNALS[SignalKind(signal.kind)],
            subject_id=signal.clock.conversation_id or signal.clock.ticket_id,
            occurred_at=now,
            data=_clock(signal.clock) | {"due_at": signal.due_at.isoformat()},
        )
        for signal in signals
        if signal.clock.tenant_id in recorded
    )


def rated(row: Satisfaction, *, now: datetime) -> None:
    """Tell of a customer's rating; one that is changed is told again."""
    if events.recorded_among({row.tenant_id}):
        data: dict[str, Any] = {"id": str(row.pk), "conversation": str(row.conversation_id), "score": row.score}
        data |= {"has_comment": bool(row.comment), "agent": _agent(row.agent), "group": row.group.name if row.group else None}
        _record(
            [
                NewEvent(
                    tenant_id=row.tenant_id,
                    type=event_types.SATISFACTION_RATED,
                    subject_id=row.conversation_id,
                    occurred_at=now,
                    data=data,
                )
            ]
        )


def customer(type_: str, customer_id: UUID, *, tenant_id: int, now: datetime, **more: Any) -> None:
    """Tell something of a customer: ids only, as what they are called is not for events."""
    _record([NewEvent(tenant_id=tenant_id, type=type_, subject_id=customer_id, occurred_at=now, data={"id": str(customer_id)} | more)])


# --- parts ---------------------------------------------------------------------------------------------------------


def _record(found: Iterable[NewEvent]) -> None:
    if rows := list(found):
        events.record(rows)


def _event(type_: str, row: Conversation, data: dict[str, Any], *, now: datetime) -> NewEvent:
    return NewEvent(tenant_id=row.tenant_id, type=type_, subject_id=row.pk, occurred_at=now, data=data)


def _beginning(row: Conversation) -> dict[str, Any]:
    """Return what is known of a conversation before it is queued, without a query."""
    return {
        "id": str(row.pk),
        "customer": str(row.customer_id),
        "entrance": str(row.entrance_id),
        "intent": row.intent,
        "language": row.language,
    }


def _state(row: Conversation) -> dict[str, Any]:
    return _beginning(row) | {
        "status": row.status,
        "priority": row.priority,
        "group": row.group.name if row.group else None,
        "agent": _agent(row.agent),
    }


def _line(row: Conversation, line: Line) -> dict[str, Any]:
    return {
        "id": str(line.pk),
        "conversation": str(row.pk),
        "customer": str(row.customer_id),
        "seq": line.seq,
        "author": line.author,
        "agent": _agent(line.agent),
        "intent": line.recognition.get("intent", ""),
        "language": line.recognition.get("language") or row.language,
        "message": str(line.message_id) if line.message_id else None,
    }


def _agent(agent: Any) -> dict[str, str] | None:
    """Return an agent by the name that customers see; user names are not told."""
    return {"id": str(agent.pk), "name": agent.name} if agent else None


def _ticket(row: Ticket) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "number": row.number,
        "type": row.type.name,
        "status": row.status,
        "priority": row.priority,
        "customer": str(row.customer_id) if row.customer_id else None,
        "conversation": str(row.conversation_id) if row.conversation_id else None,
        "group": row.group.name if row.group else None,
        "agent": _agent(row.agent),
        "due_on": row.due_on.isoformat() if row.due_on else None,
    }


def _clock(row: Clock) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "metric": row.metric,
        "conversation": str(row.conversation_id) if row.conversation_id else None,
        "ticket": str(row.ticket_id) if row.ticket_id else None,
        "target_minutes": row.target_minutes,
        "started_at": row.started_at.isoformat(),
    }
