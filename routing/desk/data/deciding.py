"""Actions with a conversation as a whole: who has it, whether it is over, what it is marked with."""

from datetime import datetime
from uuid import UUID

import msgspec
from django.utils import timezone
from django.utils.translation import gettext as _

from posthaste.lib.problems import Invalid
from routing.assignment import holding
from routing.conversations import correcting, resolving
from routing.desk import answering, merging, opening, snoozing, states, tagging
from routing.desk.data.requests import Action, Call, Made
from routing.desk.seats import Seat
from routing.models import Agent, Conversation, SkillGroup


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No parameters."""


class TransferIn(msgspec.Struct, forbid_unknown_fields=True):
    """To an agent or to a group; `expected_owner` is the agent who had it when the caller looked."""

    agent: UUID | None = None
    group: UUID | None = None
    expected_owner: UUID | None = None


class SnoozeIn(msgspec.Struct, forbid_unknown_fields=True):
    """Until when; null wakes it."""

    until: datetime | None = None


class TagsIn(msgspec.Struct, forbid_unknown_fields=True):
    """Tags to add and to remove."""

    add: list[str] = []
    remove: list[str] = []


class PriorityIn(msgspec.Struct, forbid_unknown_fields=True):
    """From 0 to 10."""

    priority: int


class IntentIn(msgspec.Struct, forbid_unknown_fields=True):
    """What the customer really wants, empty for out of scope; `seq` is the line that says so."""

    intent: str
    seq: int | None = None


class MergeIn(msgspec.Struct, forbid_unknown_fields=True):
    """The conversation that goes on."""

    into: UUID


def claim(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Take a conversation that waits."""
    call.read(Nothing)
    answering.claim(conversation=conversation, agent=seat.as_agent(), by=call.by, now=timezone.now())
    return {}


def transfer(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Give it to another agent or group."""
    body = call.read(TransferIn)
    if (body.agent is None) == (body.group is None):
        raise Invalid.field("agent", _("Name an agent or a group, and not both."))
    agent = Agent.objects.filter(tenant_id=seat.tenant_id, is_active=True, pk=body.agent).first() if body.agent else None
    group = SkillGroup.objects.filter(tenant_id=seat.tenant_id, pk=body.group).first() if body.group else None
    if agent is None and group is None:
        raise Invalid.field("agent" if body.agent else "group", _("There is no such agent or group."), "unknown")
    holding.transfer(
        conversation=conversation,
        agent=agent,
        group=group,
        expected_owner=body.expected_owner,
        by=call.by,
        now=timezone.now(),
    )
    return {}


def release(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Put it back into the queue."""
    call.read(Nothing)
    holding.release(conversation=conversation, by=call.by, now=timezone.now())
    return {}


def resolve(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Say that it is settled."""
    call.read(Nothing)
    resolving.resolve(conversation=conversation, by=call.by, now=timezone.now())
    return {}


def reopen(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Open it again, for the agent who does."""
    call.read(Nothing)
    states.reopen(conversation=conversation, agent=seat.agent, by=call.by, now=timezone.now())
    return {}


def close(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """End it for good."""
    call.read(Nothing)
    states.close(conversation=conversation, by=call.by, now=timezone.now())
    return {}


def spam(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Mark it as spam."""
    call.read(Nothing)
    states.mark_as_spam(conversation=conversation, by=call.by, now=timezone.now())
    return {}


def snooze(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Have it out of the way for a while."""
    until = call.read(SnoozeIn).until
    if until is not None and until.tzinfo is None:
        raise Invalid.field("until", _("Must have a time zone, such as 2026-12-01T09:00:00Z."))
    snoozing.snooze(conversation=conversation, until=until, by=call.by, now=timezone.now())
    return {}


def tags(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Mark it with words."""
    body = call.read(TagsIn)
    tagging.tag(conversation=conversation, add=body.add, remove=body.remove, by=call.by, now=timezone.now())
    return {}


def priority(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Say how urgent it is."""
    body = call.read(PriorityIn)
    states.change_priority(conversation=conversation, priority=body.priority, by=call.by, now=timezone.now())
    return {}


def intent(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Correct what the customer wants."""
    body = call.read(IntentIn)
    correcting.correct_intent(conversation=conversation, intent=body.intent, seq=body.seq, by=call.by, now=timezone.now())
    return {}


def merge(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Let another conversation of the customer go on in its stead."""
    into = opening.readable_conversation(call.read(MergeIn).into, seat)
    merging.merge(conversation=conversation, into=into, by=call.by, now=timezone.now())
    return {"into": str(into.pk)}


def unmerge(call: Call, seat: Seat, conversation: Conversation) -> Made:
    """Take a merge back."""
    call.read(Nothing)
    merging.undo_merge(conversation=conversation, by=call.by, now=timezone.now())
    return {}


ACTIONS: dict[str, Action] = {
    "claim": claim,
    "transfer": transfer,
    "release": release,
    "resolve": resolve,
    "reopen": reopen,
    "close": close,
    "spam": spam,
    "snooze": snooze,
    "tags": tags,
    "priority": priority,
    "intent": intent,
    "merge": merge,
    "unmerge": unmerge,
}
