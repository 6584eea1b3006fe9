"""Put a conversation in the queue of the group that its rule names, and tell how long it will wait there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from routing.assignment.candidates import groups_by_name
from routing.assignment.facts import attributes_of, facts_of
from routing.assignment.rules import decide
from routing.assignment.turn import turn, turn_of
from routing.configuration import assignment
from routing.conversations import hooks
from routing.models import Assignment as Span
from routing.models import Conversation, ConversationStatus, SkillGroup

#: From how far back the rate of a group is measured.
RATE_WINDOW = timedelta(minutes=30)
#: Of what overflows: so much is looked at together, and so often in one sweep.
PAGE, MAX_PAGES = 500, 20
#: Where more were assigned in that time, the last ones tell the rate.
MAX_RATED = 1_000


def enqueue(conversation_ids: Sequence[UUID], *, now: datetime) -> None:
    """Choose group and priority of new conversations by the rules, and queue them, in the caller's transaction.

    The caller runs `assign_waiting` once the transaction is committed. A reopened conversation that still names its agent goes to that
    agent first, if there is room.
    """
    rows = Conversation.objects.filter(pk__in=conversation_ids, status=ConversationStatus.NEW, parent=None)
    for ids, columns in _decided(rows, now=now):
        Conversation.objects.filter(pk__in=ids, status=ConversationStatus.NEW).update(
            status=ConversationStatus.QUEUED, agent=None, assigned_at=None, queued_at=now, group_since=now, **columns
        )
    hooks.tell_moved(conversation_ids, now=now)


def reconsider(tenant_id: int, *, now: datetime) -> int:
    """Choose again for what waits in the fallback group and has an intent by now, and return its number.

    A first text such as a greeting often has none; the next one tells what it is about.
    """
    rows = Conversation.objects.filter(tenant_id=tenant_id, status=ConversationStatus.QUEUED, decision__basis="fallback")
    late = rows.exclude(intent="").filter(decision__intent__isnull=True)
    changed = 0
    for ids, columns in _decided(late, now=now):
        changed += Conversation.objects.filter(pk__in=ids, status=ConversationStatus.QUEUED, agent=None).update(group_since=now, **columns)
        hooks.tell_moved(ids, now=now)
    return changed


def _decided(rows: "QuerySet[Conversation]", *, now: datetime) -> Iterator[tuple[list[UUID], dict[str, Any]]]:
    """Decide for conversations, and yield the ids of those that get the same columns with these columns."""
    found = list(rows.select_related("entrance", "customer").order_by("pk"))
    if not found:
        return
    about = attributes_of(found, now=now)
    groups = {tenant_id: groups_by_name(tenant_id) for tenant_id in {row.tenant_id for row in found}}
    alike: dict[str, tuple[list[UUID], dict[str, Any]]] = {}
    for row in found:
        language = row.language or row.customer.language
        facts = facts_of(row, entrance=row.entrance.name, about=about.get(row.customer_id, {}), language=language, at=now)
        decision = decide(assignment.of(row.tenant_id), facts, groups=groups[row.tenant_id])
        group = groups[row.tenant_id].get(decision.group)
        kept = (
            decision.as_dict()
            | {"release": assignment.now.release_of(row.tenant_id)}
            | ({"owner": str(row.agent_id)} if row.agent_id else {})
        )
        columns = {"group_id": group.pk if group else None, "priority": decision.priority, "language": language, "decision": kept}
        alike.setdefault(repr(sorted(columns.items())), ([], columns))[0].append(row.pk)
    yield from alike.values()


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the queue, from 1, and how long it will probably take; None: not known."""

    place: int
    wait_seconds: int | None


def position(conversation: Conversation, *, now: datetime) -> Position | None:
    """Return the place of a conversation among those that wait for the same group; None if it does not wait."""
    if conversation.status != ConversationStatus.QUEUED or conversation.queued_at is None:
        return None
    settings = assignment.of(conversation.tenant_id)
    own = turn_of(queued_at_seconds=conversation.queued_at.timestamp(), priority=conversation.priority, settings=settings)
    waiting = Conversation.objects.filter(
        tenant_id=conversation.tenant_id, group_id=conversation.group_id, status=ConversationStatus.QUEUED
    ).exclude(pk=conversation.pk)
    ahead = waiting.annotate(turn=turn(settings)).filter(Q(turn__lt=own - 0.0005)).count()
    return Position(ahead + 1, expected_wait(conversation.tenant_id, conversation.group_id, place=ahead + 1, now=now))


def expected_wait(tenant_id: int, group_id: UUID | None, *, place: int, now: datetime) -> int | None:
    """Return in how many seconds the conversation at a place will be assigned at the rate of the last half hour; None: not known."""
    spans = Span.objects.filter(tenant_id=tenant_id, conversation__group_id=group_id, started_at__gt=now - RATE_WINDOW)
    started = list(spans.order_by("-started_at").values_list("started_at", flat=True)[:MAX_RATED])
    if not started:
        return None
    over = max((now - started[-1]).total_seconds(), 1.0)
    return max(1, round(place * over / len(started)))


def overflow(tenant_id: int, *, now: datetime) -> int:
    """Move what has waited too long in its group to the group that takes over, and return how many were moved.

    Each conversation visits a group once, so it never goes in a circle. What goes nowhere is passed over: it stays late, and would be all
    that is ever looked at.
    """
    settings = assignment.of(tenant_id)
    waits = Conversation.objects.filter(
        tenant_id=tenant_id, status=ConversationStatus.QUEUED, group_since__lte=now - timedelta(minutes=settings.overflow_minutes)
    )
    if not waits.exclude(group=None).exists():
        return 0
    by_name = groups_by_name(tenant_id)
    by_id = {group.pk: group for group in by_name.values()}
    found = ((each, _overflow_target(each, by_id=by_id, fallback=by_name.get(settings.fallback_group))) for each in by_name.values())
    targets = {source.pk: target for source, target in found if target is not None and target.pk != source.pk}
    late = waits.filter(group__in=list(targets)).order_by("group_since", "pk").only("group_id", "group_since", "decision")
    moved, behind = 0, Q()
    for _page in range(MAX_PAGES if targets else 0):
        rows = list(late.filter(behind)[:PAGE])
        moved += sum(_overflowed(row, targets[row.group_id], by_id[row.group_id].name, now=now) for row in rows if row.group_id)
        if len(rows) < PAGE or moved >= PAGE:
            break
        behind = Q(group_since__gt=rows[-1].group_since) | Q(group_since=rows[-1].group_since, pk__gt=rows[-1].pk)
    return moved


def _overflowed(row: Conversation, target: SkillGroup, source_name: str, *, now: datetime) -> int:
    visited = [str(each) for each in row.decision.get("overflowed", ())]
    if target.name in visited:
        return 0
    done = Conversation.objects.filter(pk=row.pk, status=ConversationStatus.QUEUED, group_id=row.group_id).update(
        group=target, group_since=now, decision=row.decision | {"overflowed": [*visited, source_name]}
    )
    if done:
        hooks.tell_moved([row.pk], now=now)
    return done


def _overflow_target(source: SkillGroup, *, by_id: dict[UUID, SkillGroup], fallback: SkillGroup | None) -> SkillGroup | None:
    return by_id.get(source.overflow_to_id) if source.overflow_to_id else fallback
