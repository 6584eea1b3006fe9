"""Those who act in the proof of the assignment, the recorder that looks at the rows meanwhile, and the judge who looks at them afterwards.

See `assignment_proof`, which runs them in many processes.
"""

import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar
from uuid import UUID

from django.db import OperationalError

T = TypeVar("T")
GROUPS = 4
STALL_SECONDS = 120.0
#: A wait beside a free agent that is too long.
LONG_SECONDS = 1.0
#: SQL of the recorder: each is one statement, so it sees one moment.
HELD = """
    SELECT a.id, a.capacity, a.load, COUNT(c.id) FROM routing_agent a
    LEFT JOIN routing_conversation c ON c.agent_id = a.id AND c.status = 'assigned'
    WHERE a.tenant_id = %s GROUP BY a.id, a.capacity, a.load
"""
#: Agents with room, when each was last given something, and since when the oldest waits that the agent could take.
FREE = """
    SELECT a.id, a.last_assigned_at, MIN(c.group_since) FROM routing_agent a
    JOIN routing_agentskill s ON s.agent_id = a.id JOIN routing_conversation c ON c.group_id = s.group_id AND c.status = 'queued'
    WHERE a.tenant_id = %s AND a.presence = 'online' AND a.load < a.capacity GROUP BY a.id, a.last_assigned_at
"""
#: What one agent could take.
COULD_TAKE = """
    SELECT a.name, COUNT(DISTINCT c.id) FROM routing_agent a LEFT JOIN routing_agentskill s ON s.agent_id = a.id
    LEFT JOIN routing_conversation c ON c.group_id = s.group_id AND c.status = 'queued' WHERE a.id = %s GROUP BY a.name
"""
LEFT = "SELECT COUNT(*) FROM routing_conversation WHERE tenant_id = %s AND status <> 'resolved'"


@dataclass(slots=True)
class Wait:
    """A time in which an agent had room and was given nothing, while something waited that the agent could take."""

    agent: str
    began: float  # seconds after the start
    seconds: float
    waiting: int  # how many the agent could take when the wait became too long


@dataclass(slots=True)
class Verdict:
    """What the recorder saw, and what the record says afterwards."""

    conversations: int = 0
    unresolved: int = 0
    assignments: int = 0
    looks: int = 0
    over_capacity: int = 0  # looks at which an agent held too much, or another number than its load
    held_twice: int = 0  # pairs of spans of one conversation that overlap
    spans_over_capacity: int = 0
    longest_wait_while_free: float = 0.0  # seconds; see `Wait`
    long_waits: list[Wait] = field(default_factory=list)
    lost_claims: int = 0  # another agent was faster, which is no fault
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether all that was promised held."""
        wrong = self.unresolved + self.over_capacity + self.held_twice + self.spans_over_capacity + len(self.errors)
        return not wrong and self.longest_wait_while_free <= LONG_SECONDS


# --- the rows ------------------------------------------------------------------------------------------------------


def prepare(*, conversations: int, agents: int) -> int:
    """Make a tenant with groups, agents, customers and new conversations, and return its id."""
    from django.utils import timezone

    from accounts.models import Member, Tenant, User
    from posthaste.lib.ids import new_id
    from routing.models import Agent, AgentSkill, Conversation, Customer, Entrance, Identity, SkillGroup

    now, name = timezone.now(), f"proof-{new_id().hex[-8:]}"
    tenant = Tenant.objects.create(name=name, slug=name)
    groups = [SkillGroup.objects.create(tenant=tenant, name=f"group-{n}", title=f"Group {n}", created_at=now) for n in range(GROUPS)]
    for number in range(agents):
        user = User.objects.create(username=f"{name}-{number}", is_staff=True)
        Member.objects.create(tenant=tenant, user=user, role="operator")
        agent = Agent.objects.create(tenant=tenant, user=user, name=f"Agent {number}", capacity=1 + number % 4, created_at=now)
        mine = {groups[number % GROUPS], groups[(number * 7 + 1) % GROUPS]}
        AgentSkill.objects.bulk_create([AgentSkill(agent=agent, group=group, level=1 + number % 5) for group in mine])
    entrance = Entrance.objects.create(tenant=tenant, name="proof", kind="portal", created_at=now)
    same = {"tenant": tenant, "created_at": now}
    customers = Customer.objects.bulk_create([Customer(**same, last_seen_at=now) for _ in range(conversations)], batch_size=500)
    identities = Identity.objects.bulk_create(
        [Identity(**same, customer=each, kind="portal", value=each.pk.hex, last_seen_at=now) for each in customers], batch_size=500
    )
    rows = [
        Conversation(
            **same,
            customer=each.customer,
            identity=each,
            entrance=entrance,
            unanswered_since=now,
            details={"group": f"group-{number % GROUPS}"},
        )
        for number, each in enumerate(identities)
    ]
    Conversation.objects.bulk_create(rows, batch_size=500)
    return tenant.pk


def patiently(function: Callable[..., T], *args: Any) -> T:
    """Call a function again when the pool has no connection for it: on a busy machine, making them all takes longer than it waits."""
    while True:
        try:
            return function(*args)
        except OperationalError as error:
            if "get a connection" not in str(error):
                raise


# --- those who act -------------------------------------------------------------------------------------------------


def work(tenant_id: int, part: int, parts: int, *, pause: float = 0.0) -> None:
    """Queue a part of the new conversations one by one, and assign after each, as a worker does with what comes in."""
    from django.db import transaction
    from django.utils import timezone

    from routing.assignment.assigning import assign_waiting
    from routing.assignment.queueing import enqueue
    from routing.models import Conversation

    ids: list[UUID] = patiently(lambda: list(Conversation.objects.filter(tenant_id=tenant_id).order_by("pk").values_list("pk", flat=True)))

    def one(pk: UUID) -> None:
        with transaction.atomic():
            enqueue([pk], now=timezone.now())
        assign_waiting(tenant_id=tenant_id, now=timezone.now())

    for pk in ids[part::parts]:
        patiently(one, pk)
        time.sleep(pause)


def serve(agent_id: UUID, stop: threading.Event, *, seed: int, pace: float = 0.25) -> int:
    """Be an agent: come, resolve what one holds, claim now and then, leave and come back. Return how many claims were lost."""
    from django.db import transaction
    from django.utils import timezone

    from accounts.services.audit import Actor
    from routing.assignment import attendance, holding
    from routing.models import Agent, Conversation, Presence

    draw, lost, by = random.Random(seed), 0, Actor.system("proof")
    agent: Agent = patiently(lambda: Agent.objects.get(pk=agent_id))
    attendance.set_presence(agent=agent, presence=Presence.ONLINE, by=by, now=timezone.now(), sign=attendance.Sign.PHONE)
    while not stop.wait(pace * draw.uniform(0.5, 1.5)):
        for row in Conversation.objects.filter(agent_id=agent_id, status="assigned"):
            if draw.random() < 0.7:
                with transaction.atomic():
                    done = Conversation.objects.filter(pk=row.pk, agent_id=agent_id, status="assigned").update(status="resolved")
                    if done:
                        holding.ended(conversation_id=row.pk, tenant_id=agent.tenant_id, now=timezone.now())
        if draw.random() < 0.05:
            waiting = Conversation.objects.filter(tenant_id=agent.tenant_id, status="queued").order_by("queued_at").first()
            try:
                if waiting is not None:
                    holding.claim(conversation=waiting, agent=agent, by=by, now=timezone.now())
            except (holding.Taken, holding.Full, holding.NotOpen):
                lost += 1
        if draw.random() < 0.08:
            attendance.set_presence(agent=agent, presence=Presence.OFFLINE, by=by, now=timezone.now())
            stop.wait(pace * 2)
            attendance.set_presence(agent=agent, presence=Presence.ONLINE, by=by, now=timezone.now(), sign=attendance.Sign.PHONE)
    return lost


def sweep(stop: threading.Event) -> None:
    """Run the jobs as often as the scheduler would."""
    from django.utils import timezone

    from routing.assignment import sweeping

    turns = 0
    while not stop.wait(1.0):
        patiently(lambda: sweeping.sweep(now=timezone.now()))
        turns += 1
        if turns % 15 == 0:
            sweeping.reconcile(now=timezone.now())


# --- the recorder --------------------------------------------------------------------------------------------------


def record(
    tenant_id: int,
    stop: threading.Event,
    verdict: Verdict,
    *,
    pause: float = 0.05,
    stall_seconds: float = STALL_SECONDS,
    long_seconds: float = LONG_SECONDS,
) -> None:
    """Look at the rows again and again until all is resolved."""
    from django.db import connection

    free_since: dict[Any, float] = {}  # by agent and what it was given last
    long: dict[Any, Wait] = {}
    began = last = time.time()
    left_before = -1
    while True:
        with connection.cursor() as cursor:
            cursor.execute(HELD, [tenant_id])
            verdict.over_capacity += sum(held > capacity or held != load for _agent, capacity, load, held in cursor.fetchall())
            cursor.execute(FREE, [tenant_id])
            seen = time.time()
            oldest = {(agent, last_given): _moment(queued) for agent, last_given, queued in cursor.fetchall()}
            free_since = {free: free_since.get(free, seen) for free in oldest}
            # Both have waited for each other since the later of the two moments.
            waits = {free: max(start, oldest[free]) for free, start in free_since.items()}
            for free, start in waits.items():
                if seen - start <= long_seconds:
                    continue
                if (free, start) not in long:
                    cursor.execute(COULD_TAKE, free[:1])
                    name, waiting = cursor.fetchone()
                    long[free, start] = Wait(agent=name, began=start - began, seconds=0.0, waiting=waiting)
                long[free, start].seconds = seen - start
            cursor.execute(LEFT, [tenant_id])
            (left,) = cursor.fetchone()
        verdict.looks += 1
        verdict.longest_wait_while_free = max([verdict.longest_wait_while_free, *(seen - each for each in waits.values())])
        if left != left_before:
            left_before, last = left, seen
            if verdict.looks % 100 == 1:
                print(f"{seen - began:.0f} s: {left} left", file=sys.stderr, flush=True)
        if not left or seen - last > stall_seconds:
            break
        time.sleep(pause)
    verdict.unresolved, verdict.seconds = left, time.time() - began
    verdict.long_waits = sorted(long.values(), key=lambda wait: wait.began)
    stop.set()


def _moment(stored: Any) -> float:
    """Return a time of a row as seconds since 1970; SQLite has texts, in UTC."""
    found = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    return float((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def judge(tenant_id: int, verdict: Verdict) -> None:
    """Look through the spans: who held what from when until when."""
    from routing.models import Agent, Assignment

    capacity = {pk: most or 0 for pk, most in Agent.objects.filter(tenant_id=tenant_id).values_list("pk", "capacity")}
    by_agent: dict[Any, list[tuple[Any, int]]] = defaultdict(list)
    by_conversation: dict[Any, list[tuple[Any, Any]]] = defaultdict(list)
    spans = Assignment.objects.filter(tenant_id=tenant_id).values_list("agent_id", "conversation_id", "started_at", "ended_at")
    for agent_id, conversation_id, started, ended in spans:
        verdict.assignments += 1
        over = ended or started + timedelta(days=1)
        by_agent[agent_id] += [(started, 1), (over, -1)]
        by_conversation[conversation_id].append((started, over))
    verdict.conversations = len(by_conversation)
    for agent_id, moments in by_agent.items():
        held = 0
        for _moment, step in sorted(moments):  # at the same moment what ends comes first
            held += step
            verdict.spans_over_capacity += held > capacity[agent_id]
    for held_by in by_conversation.values():
        held_by.sort()
        verdict.held_twice += sum(after[0] < before[1] for before, after in pairwise(held_by))


def in_threads(functions: list[Callable[[], Any]], errors: list[str], *, returned: list[Any] | None = None) -> list[threading.Thread]:
    """Start functions, each in a thread with a database connection of its own; what they return goes to `returned`."""
    from django.db import connection

    def run(function: Callable[[], Any]) -> None:
        try:
            result = function()
            if returned is not None:
                returned.append(result)
        except Exception as error:  # noqa: BLE001 - told, and the proof fails
            errors.append(f"{type(error).__name__}: {error}"[:500])
            print(errors[-1], file=sys.stderr, flush=True)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(function,), daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    return threads
