"""The desk at this moment: what waits, who is there, what each of them holds. A dozen queries, whatever the number of rows."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Max, Min, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from posthaste.lib.ids import first_id_at
from routing.assignment import presence
from routing.assignment.candidates import capacity_of
from routing.assignment.queueing import RATE_WINDOW
from routing.assignment.turn import turn
from routing.configuration import assignment
from routing.desk.reports.facts import SLACK, collect, read
from routing.desk.reports.measures import Measures
from routing.models import Agent, Assignment, Clock, Conversation, ConversationStatus, Presence, SkillGroup

#: So many of each group's queue are listed; the rest is a number.
LISTED = 10
MAX_HELD = 500
OPEN_CLOCKS = ("running", "paused")


@dataclass(frozen=True, slots=True)
class Waiting:
    """One conversation that waits, its place, and how long it will probably still wait; None: not known."""

    row: Conversation
    place: int
    waited_seconds: float
    expected_seconds: float | None


@dataclass(slots=True)
class Queue:
    """What waits for one group; without a group it is what any agent may take."""

    title: str
    number: int
    oldest_seconds: float
    first: list[Waiting] = field(default_factory=list)

    @property
    def more(self) -> int:
        """How many wait behind those that are listed."""
        return self.number - len(self.first)


@dataclass(slots=True)
class Desk:
    """One agent, what they do, and what they hold."""

    agent: Agent
    presence: Presence
    capacity: int
    last_reply_at: datetime | None
    held: list[Conversation] = field(default_factory=list)

    @property
    def load_percent(self) -> int:
        """Which share of the capacity is used."""
        return min(100, round(100 * self.agent.load / self.capacity)) if self.capacity else 100


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a supervisor sees."""

    queues: list[Queue]
    desks: list[Desk]
    in_progress: int
    breached: int
    #: Clocks that have warned and are not over their time yet.
    warned: int
    today: Measures

    @property
    def waiting(self) -> int:
        """How many conversations wait for an agent."""
        return sum(queue.number for queue in self.queues)

    @property
    def longest(self) -> Queue | None:
        """The queue with the longest wait."""
        return max((queue for queue in self.queues if queue.number), key=lambda queue: queue.oldest_seconds, default=None)

    def number_of(self, state: Presence) -> int:
        """Return how many agents are online, on a break or offline."""
        return sum(desk.presence == state for desk in self.desks)


def look(tenant_id: int, *, group: SkillGroup | None, zone: ZoneInfo, now: datetime) -> Snapshot:
    """Return what is going on at a tenant's desk, or at one group of it; "today" is a day of the zone."""
    group_id = group.pk if group else None
    breached, warned = told(tenant_id, group_id)
    return Snapshot(
        queues=queues(tenant_id, group_id, now=now),
        desks=desks(tenant_id, group_id, now=now),
        in_progress=_of_group(_own(tenant_id, ConversationStatus.ASSIGNED), group_id).count(),
        breached=breached,
        warned=warned,
        today=today(tenant_id, group_id, zone=zone, now=now),
    )


# --- what waits ----------------------------------------------------------------------------------------------------


def queues(tenant_id: int, group_id: UUID | None, *, now: datetime) -> list[Queue]:
    """Return the queue of each group, with its first conversations in their order."""
    waiting = _of_group(_own(tenant_id, ConversationStatus.QUEUED), group_id)
    counts = {
        pk: (number, oldest) for pk, number, oldest in waiting.values_list("group_id").annotate(n=Count("pk"), oldest=Min("queued_at"))
    }
    groups = SkillGroup.objects.filter(tenant_id=tenant_id).order_by("title")
    if group_id:
        groups = groups.filter(pk=group_id)
    found: dict[UUID | None, Queue] = {}
    for pk, title in [*groups.values_list("pk", "title"), *([(None, "")] if None in counts else [])]:
        number, oldest = counts.get(pk, (0, None))
        found[pk] = Queue(title, number, _seconds_since(oldest, now))
    if counts:
        _list_first(found, waiting, tenant_id, now=now)
    return list(found.values())


def _list_first(found: dict[UUID | None, Queue], waiting: "QuerySet[Conversation]", tenant_id: int, *, now: datetime) -> None:
    order = [turn(assignment.of(tenant_id)).asc(), F("pk").asc()]
    ranked = waiting.annotate(place=Window(RowNumber(), partition_by=[F("group_id")], order_by=order)).filter(place__lte=LISTED)
    pace = _seconds_each(tenant_id, now=now)
    for row in ranked.select_related("customer", "entrance").order_by("place"):
        place, each = row.place, pace.get(row.group_id)
        expected = place * each if each else None
        if row.group_id in found:
            found[row.group_id].first.append(Waiting(row, place, _seconds_since(row.queued_at, now), expected))


def _seconds_each(tenant_id: int, *, now: datetime) -> dict[UUID | None, float]:
    """Return in how many seconds each group took one conversation, at the rate of the last half hour, as `queueing.expected_wait`."""
    spans = Assignment.objects.filter(tenant_id=tenant_id, started_at__gt=now - RATE_WINDOW, pk__gte=first_id_at(now - RATE_WINDOW - SLACK))
    rows = spans.order_by().values_list("conversation__group_id").annotate(n=Count("pk"), first=Min("started_at"))
    return {group_id: max((now - first).total_seconds(), 1.0) / number for group_id, number, first in rows}


# --- who is there --------------------------------------------------------------------------------------------------


def desks(tenant_id: int, group_id: UUID | None, *, now: datetime) -> list[Desk]:
    """Return the agents, those who are there first, each with what they hold."""
    agents = Agent.objects.filter(tenant_id=tenant_id, is_active=True)
    if group_id:
        agents = agents.filter(skills__group_id=group_id)
    settings = assignment.of(tenant_id)
    held: dict[UUID | None, list[Conversation]] = defaultdict(list)
    for row in _own(tenant_id, ConversationStatus.ASSIGNED).select_related("customer").order_by("agent_id", "assigned_at")[:MAX_HELD]:
        held[row.agent_id].append(row)
    # Only an agent's own desk writes the column while they have the conversation; who has it now is who replied last.
    recent = Conversation.objects.filter(tenant_id=tenant_id, pk__gte=first_id_at(now - SLACK), agent__isnull=False)
    replied = dict(recent.order_by().values_list("agent_id").annotate(last=Max("agent_wrote_at")))
    found = []
    for agent in agents:
        own = held.get(agent.pk, [])
        times = [at for at in (replied.get(agent.pk), *(row.agent_wrote_at for row in own)) if at]
        found.append(Desk(agent, presence.state(agent, now=now), capacity_of(agent, settings), max(times, default=None), own))
    order = [Presence.ONLINE, Presence.BREAK, Presence.OFFLINE]
    return sorted(found, key=lambda desk: (order.index(desk.presence), desk.agent.name))


# --- figures -------------------------------------------------------------------------------------------------------


def told(tenant_id: int, group_id: UUID | None) -> tuple[int, int]:
    """Return how many clocks run on although their time is over, and how many have warned that it soon will be."""
    is_told = Q(warned_at__isnull=False) | Q(breached_at__isnull=False)
    clocks = Clock.objects.filter(is_told, tenant_id=tenant_id, state__in=OPEN_CLOCKS)
    if group_id:
        clocks = clocks.filter(Q(conversation__group_id=group_id) | Q(ticket__group_id=group_id))
    counted = clocks.aggregate(breached=Count("breached_at"), all=Count("pk"))
    return counted["breached"], counted["all"] - counted["breached"]


def today(tenant_id: int, group_id: UUID | None, *, zone: ZoneInfo, now: datetime) -> Measures:
    """Return the figures since midnight in a zone."""
    midnight = datetime.combine(now.astimezone(zone).date(), time(), zone)
    facts = read(tenant_id, since=midnight, until=now + timedelta(seconds=1), group_id=group_id)
    return collect(facts, lambda _fact: "").get("", Measures())


def _own(tenant_id: int, status: ConversationStatus) -> "QuerySet[Conversation, Any]":
    return Conversation.objects.filter(tenant_id=tenant_id, status=status).order_by()


def _of_group(rows: "QuerySet[Conversation, Any]", group_id: UUID | None) -> "QuerySet[Conversation, Any]":
    return rows.filter(group_id=group_id) if group_id else rows


def _seconds_since(moment: datetime | None, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds()) if moment else 0.0
