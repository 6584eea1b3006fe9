"""A week behind the demo's desk, so that reports and charts have something to show: conversations that are over, with their figures.

Rows are written as they would have become; no hook runs, no message is sent, no agent's load changes. The same seed gives the same week.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.selectors import Tenant
from posthaste.lib.ids import first_id_at
from routing.models import (
    Agent,
    Assignment,
    AuthorKind,
    BotTurn,
    Clock,
    Conversation,
    ConversationStatus,
    Customer,
    Entrance,
    Identity,
    IdentityKind,
    Line,
    Satisfaction,
    SkillGroup,
)

DAYS = 7
SEED = 16
#: Conversations of an hour of the day (UTC) on a weekday; a weekend has a third.
A_DAY = {6: 1, 7: 3, 8: 5, 9: 6, 10: 5, 11: 4, 12: 5, 13: 6, 14: 5, 15: 4, 16: 3, 17: 2, 18: 1, 20: 1}
FIRST_RESPONSE_MINUTES = 15
NAMES = (
    "Emma Wright",
    "陈静",
    "Noah Klein",
    "Lucía Romero",
    "赵磊",
    "Olivia Brown",
    "Yusuf Kaya",
    "林小雨",
    "Hannah Vogel",
    "吴昊",
    "Tom Becker",
    "Priya Nair",
)

#: Intent, group, language, what was asked, what was answered, and how often.
MATTERS: tuple[tuple[str, str, str, str, str, int], ...] = (
    (
        "order_status",
        "orders",
        "en",
        "Where is my order A-2207? It was due yesterday.",
        "It left our warehouse this morning and arrives tomorrow.",
        6,
    ),
    ("order_status", "orders", "zh", "我的订单显示已发货，但是物流一直没有更新", "包裹今天已到达上海分拨中心，预计明天送达。", 4),
    (
        "delivery_damaged",
        "orders",
        "en",
        "The box was open and one glass is broken.",
        "I am sorry. A new one is on its way, you need not send anything back.",
        3,
    ),
    ("delivery_time", "orders", "zh", "今天下单什么时候能到？", "下午四点前下单，一般后天送达。", 3),
    (
        "refund_status",
        "billing",
        "en",
        "I sent the shoes back last week. When do I get my money?",
        "The refund was booked today; banks take up to three days.",
        4,
    ),
    ("invoice", "billing", "zh", "可以开增值税专用发票吗？", "可以，请把开票信息发给我们，今天内开具。", 3),
    (
        "payment_failed",
        "billing",
        "en",
        "My card is refused although it works everywhere else.",
        "Your bank asks for a confirmation. Please try again and confirm it.",
        2,
    ),
    (
        "fault_report",
        "technical",
        "en",
        "The coffee machine shows E3 and does nothing.",
        "E3 means the tank is not in place. Please press it down until it clicks.",
        3,
    ),
    ("warranty", "technical", "zh", "买了一年半，还在保修期内吗？", "保修期是两年，可以免费维修。", 2),
    ("", "general", "en", "Hi, a quick question about your shop in Hamburg", "Of course, what would you like to know?", 2),
)


@dataclass(slots=True)
class Week:
    """The rows that are made, by the order in which they must be stored."""

    customers: list[Customer] = field(default_factory=list)
    identities: list[Identity] = field(default_factory=list)
    conversations: list[Conversation] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    spans: list[Assignment] = field(default_factory=list)
    turns: list[BotTurn] = field(default_factory=list)
    clocks: list[Clock] = field(default_factory=list)
    ratings: list[Satisfaction] = field(default_factory=list)


@transaction.atomic
def load_history(*, tenant: Tenant, entrances: Sequence[Entrance], now: datetime) -> int:
    """Make the week before now where there is none, and return the number of its conversations."""
    groups = {group.name: group for group in SkillGroup.objects.filter(tenant=tenant)}
    agents = list(Agent.objects.filter(tenant=tenant).order_by("name"))
    if not agents or Identity.objects.filter(tenant=tenant, value="history-0").exists():
        return 0
    week = _week(tenant, list(entrances), groups, agents, now)
    for rows in (
        week.customers, week.identities, week.conversations, week.lines, week.spans, week.turns, week.clocks, week.ratings,
    ):  # fmt: skip
        if rows:
            type(rows[0])._default_manager.bulk_create(rows, batch_size=500)  # type: ignore[arg-type]  # each list has one model
    return len(week.conversations)


def _week(tenant: Tenant, entrances: list[Entrance], groups: Mapping[str, SkillGroup], agents: list[Agent], now: datetime) -> Week:
    random, week = Random(SEED), Week()
    for number, name in enumerate(NAMES):
        at = now - timedelta(days=DAYS, minutes=number)
        customer = Customer(id=_id(random, at), tenant=tenant, name=name, created_at=at, last_seen_at=at)
        own = {"value": f"history-{number}", "name": name, "created_at": at, "last_seen_at": at}
        week.customers.append(customer)
        week.identities.append(Identity(id=_id(random, at), tenant=tenant, customer=customer, kind=IdentityKind.OWN, **own))
    weights = [matter[-1] for matter in MATTERS]
    for at in _moments(random, now):
        matter = random.choices(MATTERS, weights)[0]
        _conversation(week, random, random.choice(entrances), random.choice(week.identities), matter, groups, agents, at, now)
    return week


def _moments(random: Random, now: datetime) -> Iterator[datetime]:
    """Yield when conversations begin: more at noon than in the evening, fewer at weekends, none of the last two hours."""
    first = (now - timedelta(days=DAYS)).replace(minute=0, second=0, microsecond=0)
    for ahead in range(24 * DAYS):
        hour = first + timedelta(hours=ahead)
        usual = A_DAY.get(hour.hour, 0) / (3 if hour.isoweekday() > 5 else 1)
        for _number in range(int(usual + random.random())):
            at = hour + timedelta(seconds=random.uniform(0, 3_599))
            if at < now - timedelta(hours=2):
                yield at


def _conversation(
    week: Week,
    random: Random,
    entrance: Entrance,
    identity: Identity,
    matter: tuple[str, str, str, str, str, int],
    groups: Mapping[str, SkillGroup],
    agents: list[Agent],
    at: datetime,
    now: datetime,
) -> None:
    intent, group_name, language, asked, answered, _weight = matter
    group, agent = groups.get(group_name), random.choice(agents)
    by_bot = random.random() < 0.25
    alone = by_bot and random.random() < 0.5
    wait = timedelta(seconds=min(2_400, random.lognormvariate(4.2, 0.9)))
    response = wait + timedelta(seconds=min(3_600, random.lognormvariate(5.2, 0.8)))
    solved = at + (timedelta(minutes=3) if alone else response + timedelta(minutes=min(300, random.lognormvariate(3.2, 0.9))))
    row = Conversation(
        id=_id(random, at),
        tenant_id=entrance.tenant_id,
        customer=identity.customer,
        entrance=entrance,
        identity=identity,
        status=ConversationStatus.CLOSED,
        language=language,
        intent=intent,
        confidence=round(random.uniform(0.7, 0.99), 2) if intent else None,
        group=group,
        agent=None if alone else agent,
        decision={"basis": "intent" if intent else "fallback", "intent": intent, "group": group_name},
        last_seq=2,
        customer_read_seq=2,
        agent_read_seq=2,
        customer_wrote_at=at,
        agent_wrote_at=at + response,
        assigned_at=None if alone else at + wait,
        first_response_at=None if alone else at + response,
        resolved_at=min(solved, now),
        created_at=at,
    )
    week.conversations.append(row)
    author = AuthorKind.BOT if alone else AuthorKind.AGENT
    week.lines.append(_line(random, row, 1, AuthorKind.CUSTOMER, asked, at))
    week.lines.append(_line(random, row, 2, author, answered, at + response, agent=None if alone else agent))
    if by_bot:
        turn: dict[str, Any] = {"action": "answer" if alone else "offer", "score": round(random.uniform(0.6, 0.95), 2), "at": at}
        week.turns.append(BotTurn(id=_id(random, at), tenant_id=row.tenant_id, conversation=row, seq=1, **turn))
    if not alone:
        _agents_part(week, random, row, agent, wait=wait, response=response)


def _agents_part(week: Week, random: Random, row: Conversation, agent: Agent, *, wait: timedelta, response: timedelta) -> None:
    """Add who had it, whether the first answer was in time, and what the customer said of it."""
    at, ended = row.created_at, row.resolved_at
    reason = {**row.decision, "why": "choice", "choice": "least_busy", "fitting": 1, "load": 0, "capacity": 5}
    span = {"cause": "rule", "reason": reason, "started_at": at + wait, "ended_at": ended, "end_cause": "resolved"}
    week.spans.append(Assignment(id=_id(random, at), tenant_id=row.tenant_id, conversation=row, agent=agent, **span))
    target = timedelta(minutes=FIRST_RESPONSE_MINUTES)
    is_met = response <= target
    clock = {"metric": "first_response", "state": "met" if is_met else "missed", "target_minutes": FIRST_RESPONSE_MINUTES, "started_at": at}
    times = {"due_at": at + target, "breached_at": None if is_met else at + target, "ended_at": at + response}
    week.clocks.append(Clock(id=_id(random, at), tenant_id=row.tenant_id, conversation=row, facts={"priority": "normal"}, **clock, **times))
    if random.random() < 0.4 and ended is not None:
        score = random.choices((5, 4, 3, 2, 1), (10, 6, 2, 1, 1) if is_met else (3, 4, 4, 3, 2))[0]
        said = {"agent": agent, "group": row.group, "score": score, "resolved_at": ended, "asked_at": ended, "answered_at": ended}
        week.ratings.append(Satisfaction(id=_id(random, at), tenant_id=row.tenant_id, conversation=row, **said))


def _line(random: Random, row: Conversation, seq: int, author: AuthorKind, text: str, at: datetime, agent: Agent | None = None) -> Line:
    written = {"author": author, "text": text, "agent": agent, "created_at": at}
    return Line(id=_id(random, at), tenant_id=row.tenant_id, conversation=row, seq=seq, **written)


def _id(random: Random, at: datetime) -> UUID:
    """Return an id as old as its row, so that lists have the week behind what is new."""
    return UUID(int=first_id_at(at).int | random.getrandbits(60))
