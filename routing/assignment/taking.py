"""Take a conversation and a place of an agent's capacity together, and give both back exactly once.

Locks are taken in one order, conversations before agents and agents by their ids, so that no two wait for each other in a circle.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, DateTimeField, F, Max, Q, UUIDField, Value, When
from django.db.models.functions import Coalesce, Greatest

from routing.configuration import assignment
from routing.conversations import hooks
from routing.models import Agent, AssignmentCause, Conversation, ConversationStatus
from routing.models import Assignment as Span

#: What an agent may be given: it waits, and no one but the bot has it; or the agent who had it is gone with their user.
WAITS = (
    Q(status=ConversationStatus.QUEUED, agent=None)
    | Q(status__in=[ConversationStatus.NEW, ConversationStatus.BOT])
    | Q(status=ConversationStatus.ASSIGNED, agent=None, parent=None)
)


def take_place(agent_id: UUID, *, places: int = 1, default_capacity: int, now: datetime, condition: Q | None = None) -> bool:
    """Take places of an agent's capacity in one guarded statement; False: there is not so much room, or `condition` does not hold."""
    room = Q(is_active=True, load__lte=Coalesce(F("capacity"), Value(default_capacity)) - places)
    rows = Agent.objects.filter(room, pk=agent_id) if condition is None else Agent.objects.filter(room, condition, pk=agent_id)
    return bool(rows.update(load=F("load") + places, last_assigned_at=now))


def take_places(places: Mapping[UUID, int], *, default_capacity: int, now: datetime, condition: Q) -> bool:
    """Take a number of places of each agent, all or none of it counts; a statement for each different number."""
    by_number: dict[int, list[UUID]] = defaultdict(list)
    for agent_id, number in places.items():
        by_number[number].append(agent_id)
    taken = 0
    for number, ids in sorted(by_number.items()):
        room = Q(is_active=True, load__lte=Coalesce(F("capacity"), Value(default_capacity)) - number)
        taken += Agent.objects.filter(room, condition, pk__in=ids).update(load=F("load") + number, last_assigned_at=now)
    return taken == len(places)


def give_conversations(holders: Mapping[UUID, UUID], *, now: datetime) -> bool:
    """Make agents the holders of conversations that wait, given agents by conversations, in one statement; False: not all of them wait."""
    agent_id = Case(*(When(pk=pk, then=Value(agent, UUIDField())) for pk, agent in holders.items()))
    rows = Conversation.objects.filter(WAITS, pk__in=list(holders))
    given = rows.update(status=ConversationStatus.ASSIGNED, agent_id=agent_id, assigned_at=now, snoozed_until=None) == len(holders)
    if given:
        hooks.tell_moved(holders, now=now)
    return given


def take_conversations(ids: Collection[UUID], *, agent_id: UUID, now: datetime, condition: Q = WAITS) -> int:
    """Make an agent the holder of conversations that wait, in one guarded statement, and return how many were taken."""
    rows = Conversation.objects.filter(condition, pk__in=ids)
    taken = rows.update(status=ConversationStatus.ASSIGNED, agent_id=agent_id, assigned_at=now, snoozed_until=None)
    if taken:
        hooks.tell_moved(ids, now=now)
    return taken


def begun(agent_id: UUID, conversation_id: UUID, *, now: datetime) -> datetime:
    """Return when a span begins whose place was taken in this transaction: not before what has freed the place and the conversation.

    Clocks of hosts differ, and who waited for a lock looked at the clock before the wait. The record still shows one holder at a time.
    """
    freed_at = Agent.objects.filter(pk=agent_id).values_list("freed_at", flat=True).first()
    return not_before(now, freed_at, last_change([conversation_id]))


def last_change(conversation_ids: Collection[UUID]) -> datetime | None:
    """Return when a span of these conversations last began or ended; one query."""
    return history(conversation_ids)[0]


def history(conversation_ids: Collection[UUID]) -> tuple[datetime | None, int]:
    """Return when a span of these conversations last began or ended, and how many of them are open; one query."""
    spans = Span.objects.filter(conversation_id__in=conversation_ids)
    found = spans.aggregate(last=Max(Coalesce("ended_at", "started_at")), still_open=Count("pk", filter=Q(ended_at=None)))
    return found["last"], found["still_open"]


def not_before(now: datetime, *others: datetime | None) -> datetime:
    """Return the latest of the moments that are known."""
    return max([now, *(each for each in others if each is not None)])


def new_span(
    *,
    tenant_id: int,
    conversation_id: UUID,
    agent_id: UUID,
    cause: AssignmentCause,
    reason: dict[str, Any],
    assigned_by: str = "",
    now: datetime,
) -> Span:
    """Return the row that says who holds a conversation from now on, and why; it is not stored yet."""
    return Span(
        tenant_id=tenant_id,
        conversation_id=conversation_id,
        agent_id=agent_id,
        cause=cause,
        reason=reason,
        config_version=reason.get("release", assignment.now.release_of(tenant_id)),
        assigned_by=assigned_by[:150],
        started_at=now,
    )


def let_go(conversation_id: UUID, *, cause: AssignmentCause, now: datetime) -> UUID | None:
    """End the span of the agent who holds a conversation and free the place, in the caller's transaction; return that agent.

    The caller changes the conversation itself, before. Called twice, or by two at once, it frees one place.
    """
    open_spans = Span.objects.filter(conversation_id=conversation_id, ended_at=None)
    for pk, agent_id, started_at in open_spans.values_list("pk", "agent_id", "started_at"):
        ended_at = not_before(now, started_at)
        if open_spans.filter(pk=pk).update(ended_at=ended_at, end_cause=cause):
            end = Value(ended_at, DateTimeField())
            freed = Greatest(Coalesce(F("freed_at"), end), end)
            Agent.objects.filter(pk=agent_id, load__gt=0).update(load=F("load") - 1, freed_at=freed)
            return agent_id
    return None


def lock_agents(ids: Collection[UUID | None]) -> None:
    """Lock agents until the transaction ends, in the order of their ids."""
    wanted = [each for each in ids if each is not None]
    list(Agent.objects.filter(pk__in=wanted).order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
