"""What people do by hand: claim, transfer and release conversations. By hand beats automatic."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict, NotFound
from routing.actions import Action
from routing.assignment.assigning import assign_waiting
from routing.assignment.elapsed import clock_from
from routing.assignment.taking import begun, let_go, lock_agents, new_span, take_conversations, take_place
from routing.configuration import assignment
from routing.conversations import hooks
from routing.models import OPEN_STATUSES, Agent, AssignmentCause, AuthorKind, Conversation, ConversationStatus, Line, SkillGroup
from routing.models import Assignment as Span


class Taken(Conflict):
    """Another agent has the conversation. `owner` names that agent; ask for a transfer."""

    code = "taken"


class Full(Conflict):
    """The agent has no room for another conversation. Resolve or transfer one first, or raise the agent's capacity."""

    code = "agent_full"


class NotOpen(Conflict):
    """The conversation is resolved or closed. Reopen it first."""

    code = "not_open"


@transaction.atomic
def claim(*, conversation: Conversation, agent: Agent, by: Actor, now: datetime) -> Conversation:
    """Give an agent a conversation that waits. Nothing happens if the agent has it already.

    Raises:
        Taken: another agent has it; the answer names that agent.
        NotOpen: it is resolved or closed.
        Full: the agent has no room.
        NotFound: the conversation or the agent is of another tenant, or gone.
    """
    clock = clock_from(now)
    _same_tenant(conversation, agent)
    if not take_conversations([conversation.pk], agent_id=agent.pk, now=now):
        row = _reread(conversation)
        if row.status == ConversationStatus.ASSIGNED and row.agent_id == agent.pk:
            return row
        raise _why_not(row)
    _place_for(conversation, agent, cause=AssignmentCause.CLAIM, reason={}, by=by, clock=clock)
    audit.record(
        by=by, action=Action.CONVERSATION_CLAIM, target=conversation.pk, tenant_id=conversation.tenant_id, detail={"agent": agent.name}
    )
    return _reread(conversation)


@transaction.atomic
def transfer(
    *,
    conversation: Conversation,
    by: Actor,
    now: datetime,
    agent: Agent | None = None,
    group: SkillGroup | None = None,
    expected_owner: UUID | None = None,
) -> Conversation:
    """Give an open conversation to another agent, or back to a queue: that of a group.

    `expected_owner` is the agent who had it when the caller looked; if another has it now, nothing changes.

    Raises:
        Taken: another agent than the expected one has it.
        Conflict: it is one with others.
        NotOpen, Full, NotFound: as for `claim`.
    """
    if (agent is None) == (group is None):
        raise ValueError("a transfer needs an agent or a group")
    clock = clock_from(now)
    _same_tenant(conversation, agent, group)
    row = _locked(conversation)
    if row.status not in OPEN_STATUSES:
        raise NotOpen(_("The conversation is resolved or closed. Reopen it first."))
    if expected_owner is not None and row.agent_id != expected_owner:
        raise _why_not(row)
    if agent is not None and row.agent_id == agent.pk and row.status == ConversationStatus.ASSIGNED:
        return row
    before = row.agent_id if row.status == ConversationStatus.ASSIGNED else None
    detail: dict[str, Any] = {"from": str(before or "")}
    if agent is not None:
        lock_agents([before, agent.pk])
        take_conversations([row.pk], agent_id=agent.pk, now=now, condition=Q(status__in=OPEN_STATUSES))
        let_go(row.pk, cause=AssignmentCause.TRANSFER, now=now)
        _place_for(row, agent, cause=AssignmentCause.TRANSFER, reason={"from": str(before or "")}, by=by, clock=clock)
        detail["agent"] = agent.name
    elif group is not None:
        first = row.decision.get("first", row.decision.get("group", ""))
        decision = {"basis": "transfer", "group": group.name, "first": first} | ({"avoid": str(before)} if before else {})
        _back_to_queue(row, group_id=group.pk, decision=decision, cause=AssignmentCause.TRANSFER, now=now)
        detail["group"] = group.name
    audit.record(by=by, action=Action.CONVERSATION_TRANSFER, target=row.pk, tenant_id=row.tenant_id, detail=detail)
    transaction.on_commit(partial(assign_waiting, tenant_id=row.tenant_id, now=now), robust=True)
    return _reread(row)


@transaction.atomic
def release(*, conversation: Conversation, by: Actor, now: datetime) -> Conversation:
    """Put a conversation back into the queue of its group. The agent who had it gets it back only if no one else is there.

    Raises:
        NotOpen: it is resolved or closed.
        Conflict: no one has it, or it is one with others.
    """
    row = _locked(conversation)
    if row.status not in OPEN_STATUSES:
        raise NotOpen(_("The conversation is resolved or closed. Reopen it first."))
    if row.status != ConversationStatus.ASSIGNED:
        raise Conflict(_("No agent has this conversation."))
    decision = {name: value for name, value in row.decision.items() if name != "owner"} | {"avoid": str(row.agent_id)}
    _back_to_queue(row, group_id=row.group_id, decision=decision, cause=AssignmentCause.TRANSFER, now=now)
    audit.record(by=by, action=Action.CONVERSATION_RELEASE, target=row.pk, tenant_id=row.tenant_id, detail={"from": str(row.agent_id)})
    transaction.on_commit(partial(assign_waiting, tenant_id=row.tenant_id, now=now), robust=True)
    return _reread(row)


@transaction.atomic
def first_response(*, conversation_id: UUID, agent_id: UUID, now: datetime) -> bool:
    """Let an agent who has answered have the conversation, and return whether they have it now.

    They get what waits, and what was offered to another agent who has not answered yet, unless that is switched off. What another
    agent has answered or taken by hand stays where it is. Without room, nothing changes.
    """
    clock = clock_from(now)
    row = Conversation.objects.select_for_update(no_key=True).filter(pk=conversation_id).first()
    if row is None or row.status not in OPEN_STATUSES:
        return False
    holds = row.status == ConversationStatus.ASSIGNED
    if holds and row.agent_id == agent_id:
        return True
    settings = assignment.of(row.tenant_id)
    if not settings.first_responder_takes or (holds and not _was_only_offered(row)):
        return False
    if not Agent.objects.filter(pk=agent_id, tenant_id=row.tenant_id).exists():
        return False
    lock_agents([row.agent_id, agent_id])
    if not take_place(agent_id, default_capacity=settings.default_capacity, now=now):
        return False
    take_conversations([row.pk], agent_id=agent_id, now=now, condition=Q(status=row.status, agent_id=row.agent_id))
    let_go(row.pk, cause=AssignmentCause.RESPONSE, now=now)
    reason = {"from": str(row.agent_id)} if holds else {}
    new_span(
        tenant_id=row.tenant_id,
        conversation_id=row.pk,
        agent_id=agent_id,
        cause=AssignmentCause.RESPONSE,
        reason=reason,
        now=begun(agent_id, row.pk, now=clock()),
    ).save(force_insert=True)
    if holds:
        transaction.on_commit(partial(assign_waiting, tenant_id=row.tenant_id, now=now), robust=True)
    return True


def ended(*, conversation_id: UUID, tenant_id: int, now: datetime) -> None:
    """Free the place of a conversation that was resolved, closed or marked as spam, in the caller's transaction.

    Its agent, or another, gets the next one once the transaction is committed. It may be called any number of times.
    """
    if let_go(conversation_id, cause=AssignmentCause.RESOLVED, now=now) is not None:
        transaction.on_commit(partial(assign_waiting, tenant_id=tenant_id, now=now), robust=True)


# --- parts ---------------------------------------------------------------------------------------------------------


def _was_only_offered(row: Conversation) -> bool:
    """Return whether the agent who has it got it automatically and has not answered yet. What others wrote does not count."""
    answered = Line.objects.filter(conversation=row, author=AuthorKind.AGENT, agent=row.agent)
    if row.assigned_at is not None and answered.filter(created_at__gte=row.assigned_at).exists():
        return False
    return Span.objects.filter(conversation=row, ended_at=None, cause=AssignmentCause.RULE).exists()


def _place_for(
    conversation: Conversation, agent: Agent, *, cause: AssignmentCause, reason: dict[str, Any], by: Actor, clock: Callable[[], datetime]
) -> None:
    """Take a place of an agent's capacity for a conversation that was taken.

    Raises:
        Full: there is none; the caller's transaction takes the conversation back.
    """
    let_go(conversation.pk, cause=cause, now=clock())
    if not take_place(agent.pk, default_capacity=assignment.of(agent.tenant_id).default_capacity, now=clock()):
        raise Full(
            _("{agent} has no room for another conversation. Resolve or transfer one first, or raise the capacity.").format(
                agent=agent.name
            )
        )
    new_span(
        tenant_id=conversation.tenant_id,
        conversation_id=conversation.pk,
        agent_id=agent.pk,
        cause=cause,
        reason=reason,
        assigned_by=str(by),
        now=begun(agent.pk, conversation.pk, now=clock()),
    ).save(force_insert=True)


def _back_to_queue(row: Conversation, *, group_id: UUID | None, decision: dict[str, Any], cause: AssignmentCause, now: datetime) -> None:
    Conversation.objects.filter(pk=row.pk, status__in=OPEN_STATUSES).update(
        status=ConversationStatus.QUEUED,
        agent=None,
        assigned_at=None,
        group_id=group_id,
        decision=decision,
        queued_at=row.queued_at or now,
        group_since=now,
    )
    hooks.tell_moved([row.pk], now=now)
    let_go(row.pk, cause=cause, now=now)


def _locked(conversation: Conversation) -> Conversation:
    row = Conversation.objects.select_for_update(no_key=True).filter(pk=conversation.pk, tenant_id=conversation.tenant_id).first()
    if row is None:
        raise NotFound
    if row.parent_id is not None:
        raise Conflict(_("A conversation with others is never queued or assigned."))
    return row


def _reread(conversation: Conversation) -> Conversation:
    row = Conversation.objects.select_related("agent", "group").filter(pk=conversation.pk).first()
    if row is None:
        raise NotFound
    return row


def _why_not(row: Conversation) -> Conflict:
    if row.status not in OPEN_STATUSES:
        return NotOpen(_("The conversation is resolved or closed. Reopen it first."))
    owner = row.agent.name if row.agent else ""
    return Taken(
        _("{agent} has this conversation. Ask for a transfer, or transfer it yourself.").format(agent=owner or _("Another agent")),
        owner=owner,
        owner_id=str(row.agent_id or ""),
    )


def _same_tenant(conversation: Conversation, *others: Agent | SkillGroup | None) -> None:
    if any(other is not None and other.tenant_id != conversation.tenant_id for other in others):
        raise NotFound
