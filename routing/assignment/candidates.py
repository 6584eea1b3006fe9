"""The agents of a tenant as the choice sees them, read in a few queries a round."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from routing.assignment.choosing import Candidate, Languages, primary
from routing.assignment.presence import is_there
from routing.configuration.assignment_rules import Assignment, Choice, RuleChoice
from routing.models import Agent, AgentSkill, SkillGroup
from routing.models import Assignment as Span

RECENT = timedelta(days=1)
#: Read as plain rows: with a few hundred agents, making model instances would take most of a round.
COLUMNS = (
    "pk", "name", "load", "capacity", "weight", "languages", "is_active", "presence", "present_until", "break_until", "last_assigned_at",
    "freed_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Staff:
    """Who could be given something, and which languages each group speaks; the group None is everyone."""

    candidates: list[Candidate]
    languages: dict[UUID | None, Languages]

    def with_room(self) -> list[Candidate]:
        """Return those who have room for another conversation."""
        return [each for each in self.candidates if each.has_room]


def read_staff(tenant_id: int, settings: Assignment, *, now: datetime) -> Staff:
    """Return the tenant's agents who are there, and the languages of all its groups."""
    agents = _rows(Agent.objects.filter(tenant_id=tenant_id, is_active=True))
    skills: dict[UUID, dict[UUID, int]] = defaultdict(dict)
    for agent_id, group_id, level in AgentSkill.objects.filter(agent__tenant_id=tenant_id, agent__is_active=True).values_list(
        "agent_id", "group_id", "level"
    ):
        skills[agent_id][group_id] = level
    languages: dict[UUID | None, Languages] = {}
    members: dict[UUID | None, list[Any]] = defaultdict(list)
    for agent in agents:
        for place in (None, *skills[agent.pk]):
            members[place].append(agent)
    for place, found in members.items():
        spoken = frozenset(primary(str(each)) for agent in found for each in agent.languages)
        languages[place] = Languages(spoken, has_all=any(not agent.languages for agent in found))
    there = [candidate_of(agent, skills[agent.pk], settings) for agent in agents if is_there(agent, now=now)]
    return Staff(there, languages)


def _rows(agents: "QuerySet[Agent]") -> list[Any]:
    """Return the columns of agents that the choice needs, in the order of their ids."""
    return list(agents.order_by("pk").values_list(*COLUMNS, named=True))


def candidate_of(agent: Any, levels: dict[UUID, int], settings: Assignment) -> Candidate:
    """Return an agent, or a row of one, as the choice sees it."""
    idle = [each for each in (agent.last_assigned_at, agent.freed_at) if each is not None]
    return Candidate(
        id=agent.pk,
        name=agent.name,
        load=agent.load,
        capacity=capacity_of(agent, settings),
        weight=agent.weight,
        languages=frozenset(primary(str(each)) for each in agent.languages),
        levels=levels,
        last_assigned_at=agent.last_assigned_at,
        idle_since=max(idle, default=None),
    )


def capacity_of(agent: Any, settings: Assignment) -> int:
    """Return how many conversations an agent may hold at once."""
    own: int | None = agent.capacity
    return settings.default_capacity if own is None else own


def lock_and_refresh(
    candidates: Iterable[Candidate], settings: Assignment, clock: Callable[[], datetime]
) -> tuple[list[Candidate], datetime]:
    """Lock agents until the transaction ends, in the order of their ids, and return those who are still there, as they are then.

    The time is that after the wait for the locks: whatever has made the room came before.
    """
    found = {each.id: each for each in candidates}
    rows = _rows(Agent.objects.filter(pk__in=found, is_active=True).select_for_update(no_key=True))
    now = max([clock(), *(row.freed_at for row in rows if row.freed_at is not None)])
    return [candidate_of(row, found[row.pk].levels, settings) for row in rows if is_there(row, now=now)], now


def count_recent(candidates: Iterable[Candidate], choices: Iterable[str], *, now: datetime) -> None:
    """Note how many conversations each agent was given lately, if a strategy asks for it; one query."""
    if Choice.WEIGHTED not in set(choices):
        return
    found = {each.id: each for each in candidates}
    counts = Span.objects.filter(agent_id__in=found, started_at__gt=now - RECENT).order_by().values_list("agent_id")
    for agent_id, number in counts.annotate(n=Count("pk")):
        found[agent_id].recent = number


def choice_of(decision: dict[str, object], settings: Assignment) -> str:
    """Return the strategy that a decision names, or the tenant's."""
    named = decision.get("choice")
    return str(named) if named in Choice.values and named != RuleChoice.MODULE else str(settings.choice)


def free_by_group(tenant_id: int, settings: Assignment, *, now: datetime) -> dict[UUID | None, int]:
    """Return how many more conversations the present agents of each group could take; None: of all together."""
    found: dict[UUID | None, int] = defaultdict(int)
    for each in read_staff(tenant_id, settings, now=now).candidates:
        for group_id in (None, *each.levels):
            found[group_id] += max(0, each.capacity - each.load)
    return dict(found)


def groups_by_name(tenant_id: int) -> dict[str, SkillGroup]:
    """Return the tenant's groups by their short names."""
    return {group.name: group for group in SkillGroup.objects.filter(tenant_id=tenant_id)}


def wanted_by(candidates: Iterable[Candidate], languages: dict[UUID | None, Languages]) -> Q:
    """Return the condition for conversations that at least one of the agents could take, by group and language.

    So that what none of them can take does not fill the part of the queue that a round reads.
    """
    condition = Q(pk__in=[])
    by_group: dict[UUID | None, list[Candidate]] = defaultdict(list)
    for each in candidates:
        for group_id in (None, *each.levels):
            by_group[group_id].append(each)
    for group_id, found in by_group.items():
        mine = Q(group=group_id)
        known = languages.get(group_id, Languages())
        if all(each.languages for each in found):
            understood = Q(language="") | _in_one_of({language for each in found for language in each.languages})
            if not known.has_all:  # what no agent of the group speaks, any of them may take
                understood |= ~_in_one_of(known.spoken)
            mine &= understood
        condition |= mine
    return condition


def _in_one_of(languages: Iterable[str]) -> Q:
    condition = Q(pk__in=[])
    for language in sorted(languages):
        condition |= Q(language__iexact=language) | Q(language__istartswith=f"{language}-")
    return condition
