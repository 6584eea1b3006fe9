"""Take conversations from agents who are silent or gone, and give them to others."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q, QuerySet

from posthaste.lib.resting import Resting
from routing.assignment import presence
from routing.assignment.assigning import choose
from routing.assignment.candidates import Staff, choice_of, count_recent, lock_and_refresh, read_staff
from routing.assignment.choosing import Languages, fits
from routing.assignment.elapsed import clock_from
from routing.assignment.one_at_a_time import wait_for_turn
from routing.assignment.taking import begun, let_go, lock_agents, new_span, take_conversations, take_place
from routing.configuration import assignment
from routing.configuration.assignment_rules import Assignment
from routing.conversations import hooks
from routing.models import Assignment as Span
from routing.models import AssignmentCause, Conversation, ConversationStatus

log = structlog.get_logger(__name__)
MAX_AT_ONCE = 200
MAX_LOOKED_AT = 2_000
_absent, _silent = Resting("queue_of_the_absent"), Resting("move_from_the_silent")


def held(tenant_id: int) -> "QuerySet[Conversation]":
    """Return what agents of a tenant hold, or held whose user was deleted, while a customer waits for an answer."""
    return Conversation.objects.filter(tenant_id=tenant_id, parent=None, status=ConversationStatus.ASSIGNED, unanswered_since__isnull=False)


def queue_of_the_absent(*, tenant_id: int, now: datetime) -> int:
    """Put back into the queue what customers wait for from agents who are offline, and return its number.

    What an agent has answered stays theirs until the customer writes again. Agents on a break keep theirs; see `move_from_the_silent`.
    Where assignment is by hand, agents keep theirs too, but what no one has any more goes back.
    """
    gone = presence.away(now, "agent__") if assignment.of(tenant_id).is_automatic else Q(agent=None)
    rows = held(tenant_id).filter(gone).exclude(pk__in=_absent.ids(now=now)).order_by("pk")
    ids = list(rows.values_list("pk", flat=True)[:MAX_AT_ONCE])
    return _done(lambda pk: _requeue(pk, gone, now=now), ids, _absent, now=now)


def _done(do: Callable[[UUID], bool], ids: Sequence[UUID], resting: Resting, *, now: datetime) -> int:
    """Do it for each, and return for how many it was done. An error of one does not stop the others, and it rests."""
    done = 0
    for pk in ids:
        try:
            done += do(pk)
        except (OperationalError, InterfaceError):
            raise  # the database is away: the next sweep does it
        except Exception:
            log.exception("a conversation was not moved", conversation=str(pk))
            resting.failed(pk, now=now)
    return done


@transaction.atomic
def _requeue(conversation_id: UUID, gone: Q, *, now: datetime) -> bool:
    rows = Conversation.objects.filter(pk=conversation_id).select_for_update(skip_locked=True, no_key=True, of=("self",))
    row = rows.filter(gone, status=ConversationStatus.ASSIGNED, unanswered_since__isnull=False).first()
    if row is None:
        return False
    decision = {name: value for name, value in row.decision.items() if name != "owner"}
    Conversation.objects.filter(pk=row.pk, status=ConversationStatus.ASSIGNED).update(
        status=ConversationStatus.QUEUED,
        agent=None,
        assigned_at=None,
        queued_at=row.unanswered_since or now,
        group_since=now,
        decision=decision,
    )
    hooks.tell_moved([row.pk], now=now)
    let_go(row.pk, cause=AssignmentCause.OFFLINE, now=now)
    return True


def silent(settings: Assignment, tenant_id: int, *, now: datetime) -> "QuerySet[Conversation]":
    """Return what was assigned automatically and waits too long: for a first answer, or for another one."""
    unanswered = Q(agent_wrote_at=None) | Q(agent_wrote_at__lt=F("assigned_at"))
    late = Q(pk__in=[])
    if settings.offer_seconds:
        at = now - timedelta(seconds=settings.offer_seconds)
        late |= unanswered & Q(assigned_at__lte=at, unanswered_since__lte=at)
    if settings.silence_minutes:
        at = now - timedelta(minutes=settings.silence_minutes)
        late |= ~unanswered & Q(assigned_at__lte=at, unanswered_since__lte=at)
    automatic = Q(assignments__ended_at=None, assignments__cause=AssignmentCause.RULE)
    return held(tenant_id).filter(late).filter(automatic)


def move_from_the_silent(*, tenant_id: int, now: datetime) -> int:
    """Give what silent agents hold to others who have room, and return its number. Where no one has, it stays where it is.

    What people took or were given by hand is not moved.
    """
    settings = assignment.of(tenant_id)
    if not settings.is_automatic or not (settings.offer_seconds or settings.silence_minutes):
        return 0
    columns = ("pk", "group_id", "language", "agent_id")
    rows = silent(settings, tenant_id, now=now).exclude(pk__in=_silent.ids(now=now))
    late = list(rows.order_by("unanswered_since").values_list(*columns)[:MAX_LOOKED_AT])
    if not late:
        return 0
    staff = read_staff(tenant_id, settings, now=now)
    free = staff.with_room()
    # On a busy day no one has room: that is found out once, and not with a lock and several queries for each.
    able = {
        (group_id, language): {each.id for each in free if fits(each, group_id=group_id, language=language, languages=_of(staff, group_id))}
        for group_id, language in {(group_id, language) for _pk, group_id, language, _agent_id in late}
    }
    others = {pk: able[group_id, language] - {agent_id} for pk, group_id, language, agent_id in late}
    had = _had([pk for pk, found in others.items() if found], now=now)
    ids = [pk for pk, found in others.items() if found - had.get(pk, set())]
    return _done(lambda pk: _move(pk, tenant_id, settings, now=now), ids[:MAX_AT_ONCE], _silent, now=now)


def _had(conversation_ids: Sequence[UUID], *, now: datetime) -> dict[UUID, set[UUID]]:
    """Return by conversation whose silence has moved it in the last hour: they do not get it again."""
    spans = Span.objects.filter(
        conversation__in=conversation_ids, end_cause=AssignmentCause.SILENCE, ended_at__gt=now - timedelta(hours=1), agent__isnull=False
    )
    found: dict[UUID, set[UUID]] = {}
    for conversation_id, agent_id in spans.values_list("conversation_id", "agent_id") if conversation_ids else ():
        found.setdefault(conversation_id, set()).add(agent_id)
    return found


def _of(staff: Staff, group_id: UUID | None) -> Languages:
    return staff.languages.get(group_id, Languages())


@transaction.atomic
def _move(conversation_id: UUID, tenant_id: int, settings: Assignment, *, now: datetime) -> bool:
    clock = clock_from(now)
    wait_for_turn(tenant_id)
    rows = Conversation.objects.filter(pk=conversation_id).select_for_update(skip_locked=True, no_key=True)
    row = rows.filter(status=ConversationStatus.ASSIGNED, unanswered_since__isnull=False).first()
    is_offered = Span.objects.filter(conversation_id=conversation_id, ended_at=None, cause=AssignmentCause.RULE)
    if row is None or row.agent_id is None or not is_offered.exists():
        return False
    staff = read_staff(tenant_id, settings, now=now)
    had = _had([row.pk], now=now).get(row.pk, set())
    others = [each for each in staff.with_room() if each.id != row.agent_id and each.id not in had]
    if not others:
        return False
    lock_agents([row.agent_id, *(each.id for each in others)])
    candidates, at = lock_and_refresh(others, settings, clock)
    count_recent(candidates, [choice_of(row.decision, settings)], now=at)
    found = choose(row, candidates, languages=_of(staff, row.group_id), owner=None, settings=settings)
    if found is None:
        return False
    chosen, reason = found
    if not take_place(chosen.id, default_capacity=settings.default_capacity, now=at, condition=presence.there(at)):
        return False
    take_conversations([row.pk], agent_id=chosen.id, now=at, condition=Q(status=ConversationStatus.ASSIGNED, agent_id=row.agent_id))
    let_go(row.pk, cause=AssignmentCause.SILENCE, now=at)
    reason |= {"why": "silence", "from": str(row.agent_id)}
    new_span(
        tenant_id=tenant_id,
        conversation_id=row.pk,
        agent_id=chosen.id,
        cause=AssignmentCause.RULE,
        reason=reason,
        now=begun(chosen.id, row.pk, now=at),
    ).save(force_insert=True)
    return True
