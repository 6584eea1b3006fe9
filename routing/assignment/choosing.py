"""Which agent gets a conversation: the strategies, applied to agents as they were read. No database, no clock."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from routing.configuration.assignment_rules import Choice

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def primary(language: str) -> str:
    """Return the first part of a language code: agents who speak `zh` are for `zh-hans` too."""
    return language.partition("-")[0].lower()


@dataclass(slots=True)
class Candidate:
    """An agent who is there, as seen in this round; `load` and the times move on with each conversation that it is given."""

    id: UUID
    name: str
    load: int
    capacity: int
    weight: int
    languages: frozenset[str]  # first parts of codes; empty: all
    levels: dict[UUID, int]  # by group
    last_assigned_at: datetime | None = None
    idle_since: datetime | None = None
    recent: int = 0  # conversations of the last day
    given: list[UUID] = field(default_factory=list)

    @property
    def has_room(self) -> bool:
        """Whether another conversation fits."""
        return self.load < self.capacity

    def level_in(self, group_id: UUID | None) -> int:
        """Return the skill level in a group; 0: none. Without a group every agent will do."""
        return 1 if group_id is None else self.levels.get(group_id, 0)

    def give(self, conversation_id: UUID, now: datetime) -> None:
        """Count a conversation in."""
        self.load += 1
        self.recent += 1
        self.last_assigned_at = self.idle_since = now
        self.given.append(conversation_id)


@dataclass(frozen=True, slots=True)
class Languages:
    """The languages of a group: which of them some agent speaks, present or not."""

    spoken: frozenset[str] = frozenset()
    #: Some agent of the group is there for all languages.
    has_all: bool = False

    def needs(self, language: str) -> bool:
        """Return whether a conversation in a language waits for an agent who speaks it; if no agent does, any will do."""
        return bool(language) and (self.has_all or primary(language) in self.spoken)


def fits(candidate: Candidate, *, group_id: UUID | None, language: str, languages: Languages) -> bool:
    """Return whether an agent may be given a conversation now."""
    if not candidate.has_room or not candidate.level_in(group_id):
        return False
    return not candidate.languages or not languages.needs(language) or primary(language) in candidate.languages


def best(candidates: Iterable[Candidate], *, group_id: UUID | None, choice: str, language: str = "") -> Candidate:
    """Return the one that the strategy prefers among agents that fit.

    All strategies prefer, where all else is equal, who speaks the language expressly, then the least loaded, then who has waited longest.
    """
    spoken = primary(language)

    def order(each: Candidate) -> tuple[object, ...]:
        share = each.load / each.capacity
        assigned = each.last_assigned_at or LONG_AGO
        tie = (spoken not in each.languages, share, assigned, each.id)
        match choice:
            case Choice.ROUND_ROBIN:
                return (assigned, *tie)
            case Choice.LONGEST_IDLE:
                return (each.load > 0, each.idle_since or LONG_AGO, *tie)
            case Choice.WEIGHTED:
                return ((each.recent + 1) / max(1, each.weight), *tie)
            case Choice.SKILL_FIRST:
                return (-each.level_in(group_id), share, *tie)
        return (share, -each.level_in(group_id), *tie)

    return min(candidates, key=order)
