"""Give waiting conversations to agents.

A round reads the agents who are there and what they could take, chooses for all of it, and writes a few statements. Rounds of one tenant
come one after the other. Each statement checks its conditions again, so what a manual claim or a resolve changes meanwhile is never
overwritten.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import DateTimeField, Exists, F, Q, Value
from django.db.models.functions import Coalesce, Greatest

from routing.assignment import presence
from routing.assignment.candidates import Staff, choice_of, count_recent, lock_and_refresh, read_staff
from routing.assignment.choosing import Candidate, Languages, best, fits
from routing.assignment.elapsed import clock_from
from routing.assignment.front import front, waiting
from routing.assignment.one_at_a_time import begins, is_covered, one_waiter, wait_for_turn
from routing.assignment.taking import give_conversations, history, new_span, not_before, take_places
from routing.configuration import assignment
from routing.configuration.assignment_rules import Assignment
from routing.models import Agent, AssignmentCause, Conversation
from routing.models import Assignment as Span

#: Where places are freed as fast as they are filled, others go on after this time: those who wait for their turn, or the sweep.
MAX_TIME = timedelta(seconds=0.5)


def assign_waiting(*, tenant_id: int, now: datetime) -> int:
    """Give agents what waits for them, and return how many conversations were assigned.

    Called after whatever may have made an assignment possible: a conversation was queued, an agent came or has room again. It may run any
    number of times, and in many processes at once. If another thread of this process is about to do the same, that one does it.
    """
    settings = assignment.of(tenant_id)
    if not settings.is_automatic:
        return 0
    clock, total = clock_from(now), 0
    with one_waiter(tenant_id) as is_mine:
        while is_mine and _is_possible(tenant_id, settings, now=clock()) and not is_covered(tenant_id):
            taken = _round(tenant_id, clock)
            total += taken
            if not taken or clock() > now + MAX_TIME:
                break
    return total


def _is_possible(tenant_id: int, settings: Assignment, *, now: datetime) -> bool:
    """Return whether something waits and someone has room; one query.

    On a busy day all agents are busy most of the time: most calls end here, and take no turn from those who have something to give.
    """
    room = Q(load__lt=Coalesce(F("capacity"), Value(settings.default_capacity)))
    free = Agent.objects.filter(room, presence.there(now), tenant_id=tenant_id)
    return waiting(tenant_id).filter(Exists(free)).exists()


@transaction.atomic
def _round(tenant_id: int, clock: Callable[[], datetime]) -> int:
    """Assign what one look finds."""
    wait_for_turn(tenant_id)
    begins(tenant_id)
    at = clock()
    settings = assignment.of(tenant_id)
    staff = read_staff(tenant_id, settings, now=at)
    free = staff.with_room()
    if not free:
        return 0
    rows = front(tenant_id, free, staff.languages, settings)
    if not rows:
        return 0
    owners = last_agents(rows, settings, now=at)
    locked, seen_at = lock_and_refresh(free, settings, clock)
    last, still_open = history([row.pk for row in rows])
    at = not_before(seen_at, last)
    if still_open:
        _end_left_spans(rows, now=at)
    count_recent(locked, (choice_of(row.decision, settings) for row in rows), now=at)
    spans = list(_choose(rows, Staff(locked, staff.languages), everyone=staff.candidates, owners=owners, settings=settings, now=at))
    return _write(tenant_id, spans, settings, seen_at=seen_at, now=at)


def last_agents(rows: Sequence[Conversation], settings: Assignment, *, now: datetime) -> dict[UUID, UUID]:
    """Return the agent who should get each conversation because they know the customer; one query."""
    known: dict[UUID, UUID] = {}
    if settings.same_agent_hours:
        since = now - timedelta(hours=settings.same_agent_hours)
        spans = Span.objects.filter(conversation__customer_id__in={row.customer_id for row in rows}, started_at__gt=since)
        known = dict(spans.order_by("started_at").values_list("conversation__customer_id", "agent_id"))
    found = {row.pk: known[row.customer_id] for row in rows if row.customer_id in known}
    found |= {row.pk: UUID(str(row.decision["owner"])) for row in rows if row.decision.get("owner")}
    return found


def choose(
    row: Conversation,
    candidates: Iterable[Candidate],
    *,
    languages: Languages,
    everyone: Iterable[Candidate] = (),
    owner: UUID | None,
    settings: Assignment,
) -> tuple[Candidate, dict[str, Any]] | None:
    """Return who should get a conversation, and why, in the form that `explain` reads; None: no one can take it now.

    Who gave it away gets it back only if no one else of the group is there.
    """
    group_id, avoided = row.group_id, str(row.decision.get("avoid", ""))
    fitting = [each for each in candidates if fits(each, group_id=group_id, language=row.language, languages=languages)]
    if avoided and any(str(each.id) != avoided and each.level_in(group_id) for each in everyone):
        fitting = [each for each in fitting if str(each.id) != avoided]
    if not fitting:
        return None
    choice = choice_of(row.decision, settings)
    kept = next((each for each in fitting if each.id == owner and str(each.id) != avoided), None)
    chosen = kept or best(fitting, group_id=group_id, choice=choice, language=row.language)
    reason = {name: value for name, value in row.decision.items() if name not in ("owner", "avoid")}
    reason |= {
        "why": "last_agent" if kept else "choice",
        "choice": choice,
        "load": chosen.load,
        "capacity": chosen.capacity,
        "level": chosen.levels.get(group_id, 0) if group_id else 0,
        "fitting": len(fitting),
        "priority": row.priority,
    }
    return chosen, reason


def _choose(
    rows: Sequence[Conversation],
    staff: Staff,
    *,
    everyone: Sequence[Candidate],
    owners: dict[UUID, UUID],
    settings: Assignment,
    now: datetime,
) -> Iterable[Span]:
    for row in rows:
        languages = staff.languages.get(row.group_id, Languages())
        found = choose(row, staff.candidates, languages=languages, everyone=everyone, owner=owners.get(row.pk), settings=settings)
        if found is None:
            continue
        chosen, reason = found
        if row.queued_at:
            reason["waited_seconds"] = round(max(0.0, (now - row.queued_at).total_seconds()), 1)
        chosen.give(row.pk, now)
        yield new_span(
            tenant_id=row.tenant_id, conversation_id=row.pk, agent_id=chosen.id, cause=AssignmentCause.RULE, reason=reason, now=now
        )


def _end_left_spans(rows: Sequence[Conversation], *, now: datetime) -> None:
    """End spans of agents whose conversation was ended without `let_go`; the sweep corrects those agents' load."""
    left = Span.objects.filter(conversation_id__in=[row.pk for row in rows], ended_at=None)
    left.update(ended_at=Greatest(F("started_at"), Value(now, DateTimeField())), end_cause=AssignmentCause.RESOLVED)


class LostRace(Exception):
    """A row that was locked has changed all the same; the round is rolled back."""


def _write(tenant_id: int, spans: Sequence[Span], settings: Assignment, *, seen_at: datetime, now: datetime) -> int:
    """Take the agents' places and the conversations, and note why; a few statements for all, as all these rows are locked."""
    if not spans:
        return 0
    by_agent: dict[UUID, list[UUID]] = defaultdict(list)
    for span in spans:
        by_agent[span.agent_id].append(span.conversation_id)
    places = {agent_id: len(ids) for agent_id, ids in by_agent.items()}
    holders = {span.conversation_id: span.agent_id for span in spans}
    if not take_places(places, default_capacity=settings.default_capacity, now=now, condition=presence.there(seen_at)):
        raise LostRace(f"tenant {tenant_id}: an agent has less room")
    if not give_conversations(holders, now=now):
        raise LostRace(f"tenant {tenant_id}: a conversation does not wait any more")
    Span.objects.bulk_create(spans)
    return len(spans)
