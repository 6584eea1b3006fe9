"""What happened in a span of time, as facts that any report adds up: four queries, however long the span and whatever it is grouped by."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from posthaste.lib.ids import first_id_at
from routing.desk.reports.measures import SATISFIED_FROM, Measures
from routing.models import BotAction, BotTurn, Clock, ClockState, Conversation, ConversationStatus, Satisfaction

K = TypeVar("K", bound=Hashable)
#: Ids are as old as their rows, give or take what clocks differ by and an import is late: older ids need not be looked at.
SLACK = timedelta(days=1)
ANSWERS = (BotAction.ANSWER, BotAction.OFFER)
OVER = (ConversationStatus.RESOLVED, ConversationStatus.CLOSED)


class Kind(StrEnum):
    """What a fact is about."""

    RECEIVED = "received"
    RESOLVED = "resolved"
    LEVEL = "level"
    RATING = "rating"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened, with what it can be grouped by."""

    kind: Kind
    at: datetime
    agent: UUID | None
    group: UUID | None
    intent: str
    entrance: UUID | None
    #: Seconds until the first answer, or until it was resolved.
    seconds: float | None = None
    #: Of a service level: whether it was met; of what was received: None without the bot, else whether it ended without an agent.
    is_good: bool | None = None
    score: int | None = None


def read(tenant_id: int, *, since: datetime, until: datetime, group_id: UUID | None = None) -> Iterator[Fact]:
    """Yield what happened from `since` to before `until`, of one group if one is named.

    What was received counts when it began, with the answer that it got since; what was resolved, when it was; a service level when it was
    met or missed; a rating when it was given. Spam, side conversations and what was merged into others are left out.
    """
    yield from _received(_conversations(tenant_id, group_id), since, until)
    yield from _resolved(_conversations(tenant_id, group_id), since, until)
    yield from _levels(tenant_id, since, until, group_id)
    yield from _ratings(tenant_id, since, until, group_id)


def collect(facts: Iterable[Fact], key: Callable[[Fact], K | None]) -> dict[K, Measures]:
    """Add facts up by a key; those whose key is None are left out."""
    found: dict[K, Measures] = {}
    for fact in facts:
        place = key(fact)
        if place is not None:
            _add(found.setdefault(place, Measures()), fact)
    return found


def _add(measures: Measures, fact: Fact) -> None:
    if fact.kind == Kind.RECEIVED:
        measures.received += 1
        measures.with_bot += fact.is_good is not None
        measures.deflected += fact.is_good is True
        if fact.seconds is not None:
            measures.responses.append(fact.seconds)
    elif fact.kind == Kind.RESOLVED:
        measures.resolved += 1
        if fact.seconds is not None:
            measures.resolutions.append(fact.seconds)
    elif fact.kind == Kind.LEVEL:
        measures.levels_met += fact.is_good is True
        measures.levels_missed += fact.is_good is False
    elif fact.score is not None:
        measures.ratings += 1
        measures.satisfied += fact.score >= SATISFIED_FROM


# --- queries -------------------------------------------------------------------------------------------------------


def _conversations(tenant_id: int, group_id: UUID | None) -> "QuerySet[Conversation]":
    own = Conversation.objects.filter(tenant_id=tenant_id, parent=None, merged_into=None).exclude(status=ConversationStatus.SPAM).order_by()
    return own.filter(group_id=group_id) if group_id else own


def _received(rows: "QuerySet[Conversation]", since: datetime, until: datetime) -> Iterator[Fact]:
    asked = rows.filter(pk__gte=first_id_at(since - SLACK), created_at__gte=since, created_at__lt=until)
    asked = asked.annotate(had_bot=Exists(BotTurn.objects.filter(conversation=OuterRef("pk"), action__in=ANSWERS)))
    columns = ("created_at", "agent_id", "group_id", "intent", "entrance_id", "first_response_at", "status", "had_bot")
    for at, agent, group, intent, entrance, answered_at, status, had_bot in asked.values_list(*columns).iterator(2_000):
        seconds = max(0.0, (answered_at - at).total_seconds()) if answered_at else None
        deflected = (answered_at is None and status in OVER) if had_bot else None
        yield Fact(Kind.RECEIVED, at, agent, group, intent, entrance, seconds, deflected)


def _resolved(rows: "QuerySet[Conversation]", since: datetime, until: datetime) -> Iterator[Fact]:
    over = rows.filter(resolved_at__gte=since, resolved_at__lt=until)
    columns = ("resolved_at", "agent_id", "group_id", "intent", "entrance_id", "created_at")
    for at, agent, group, intent, entrance, created_at in over.values_list(*columns).iterator(2_000):
        yield Fact(Kind.RESOLVED, at, agent, group, intent, entrance, max(0.0, (at - created_at).total_seconds()))


def _levels(tenant_id: int, since: datetime, until: datetime, group_id: UUID | None) -> Iterator[Fact]:
    """Yield the clocks that were decided; a breach decides, even if the answer has not come yet."""
    missed = Q(breached_at__gte=since, breached_at__lt=until)
    met = Q(state=ClockState.MET, breached_at=None, ended_at__gte=since, ended_at__lt=until)
    rows = Clock.objects.filter(missed | met, tenant_id=tenant_id).exclude(state=ClockState.CANCELLED).order_by()
    if group_id:
        rows = rows.filter(Q(conversation__group_id=group_id) | Q(ticket__group_id=group_id))
    columns = (
        "breached_at", "ended_at",
        "conversation__agent_id", "conversation__group_id", "conversation__intent", "conversation__entrance_id",
        "ticket__agent_id", "ticket__group_id",
    )  # fmt: skip
    for breached_at, ended_at, agent, group, intent, entrance, ticket_agent, ticket_group in rows.values_list(*columns).iterator(2_000):
        yield Fact(
            Kind.LEVEL,
            breached_at or ended_at,
            agent or ticket_agent,
            group or ticket_group,
            intent or "",
            entrance,
            is_good=breached_at is None,
        )


def _ratings(tenant_id: int, since: datetime, until: datetime, group_id: UUID | None) -> Iterator[Fact]:
    rows = Satisfaction.objects.filter(tenant_id=tenant_id, answered_at__gte=since, answered_at__lt=until, score__isnull=False).order_by()
    if group_id:
        rows = rows.filter(group_id=group_id)
    columns = ("answered_at", "agent_id", "group_id", "conversation__intent", "conversation__entrance_id", "score")
    for at, agent, group, intent, entrance, score in rows.values_list(*columns).iterator(2_000):
        yield Fact(Kind.RATING, at, agent, group, intent, entrance, score=score)
