"""Proof of the assignment: many workers queue and assign while agents come, leave, claim and resolve, and a recorder looks at the rows.

    python -m benchmarks.assignment_proof [--workers 50] [--conversations 5000] [--agents 40] [--stack production|embedded]

Exit status 0: every conversation was resolved; none was held by two agents, no agent was over capacity, at any instant and by the record
afterwards; none waited longer than a second while an agent who fits was free. The recorder reads rows by SQL of its own and asks the
code under test nothing. The short form is in tests/routing/assignment/test_proof.py.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar
from uuid import UUID

from django.db import OperationalError, connections

from posthaste.env import ROOT
from tests.services import PostgreSQL, Redis, Services, Valkey

T = TypeVar("T")
GROUPS = 4
THREADS = 5  # workers in one process
STALL_SECONDS = 120.0
#: SQL of the recorder: each is one statement, so it sees one moment.
HELD = """
    SELECT a.id, a.capacity, a.load, COUNT(c.id) FROM routing_agent a
    LEFT JOIN routing_conversation c ON c.agent_id = a.id AND c.status = 'assigned'
    WHERE a.tenant_id = %s GROUP BY a.id, a.capacity, a.load
"""
#: Agents with room that a conversation waits for, and when each was last given something.
FREE = """
    SELECT a.id, a.last_assigned_at FROM routing_agent a
    WHERE a.tenant_id = %s AND a.presence = 'online' AND a.load < a.capacity AND EXISTS (
        SELECT 1 FROM routing_agentskill s JOIN routing_conversation c ON c.group_id = s.group_id
        WHERE s.agent_id = a.id AND c.status = 'queued')
"""
LEFT = "SELECT COUNT(*) FROM routing_conversation WHERE tenant_id = %s AND status <> 'resolved'"


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
    #: Seconds in which the same agent had room, was given nothing, and something waited that they could take.
    longest_wait_while_free: float = 0.0
    lost_claims: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether all that was promised held."""
        wrong = self.unresolved + self.over_capacity + self.held_twice + self.spans_over_capacity + len(self.errors)
        return not wrong and self.longest_wait_while_free <= 1.0


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


def record(tenant_id: int, stop: threading.Event, verdict: Verdict, *, pause: float = 0.05, stall_seconds: float = STALL_SECONDS) -> None:
    """Look at the rows again and again until all is resolved."""
    from django.db import connection

    since: dict[Any, float] = {}
    began = last = time.monotonic()
    left_before = -1
    while True:
        with connection.cursor() as cursor:
            cursor.execute(HELD, [tenant_id])
            verdict.over_capacity += sum(held > capacity or held != load for _agent, capacity, load, held in cursor.fetchall())
            cursor.execute(FREE, [tenant_id])
            seen = time.monotonic()
            since = {free: since.get(free, seen) for free in cursor.fetchall()}
            cursor.execute(LEFT, [tenant_id])
            (left,) = cursor.fetchone()
        verdict.looks += 1
        verdict.longest_wait_while_free = max([verdict.longest_wait_while_free, *(seen - each for each in since.values())])
        if left != left_before:
            left_before, last = left, seen
            if verdict.looks % 100 == 1:
                print(f"{seen - began:.0f} s: {left} left", file=sys.stderr, flush=True)
        if not left or seen - last > stall_seconds:
            break
        time.sleep(pause)
    verdict.unresolved, verdict.seconds = left, time.monotonic() - began
    stop.set()


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


# --- in processes --------------------------------------------------------------------------------------------------


def in_threads(functions: list[Any], errors: list[str]) -> list[threading.Thread]:
    """Start functions, each in a thread with a database connection of its own."""
    from django.db import connection

    def run(function: Any) -> None:
        try:
            function()
        except Exception as error:  # noqa: BLE001 - told, and the proof fails
            errors.append(f"{type(error).__name__}: {error}"[:500])
            print(errors[-1], file=sys.stderr, flush=True)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(function,), daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    return threads


def _child(role: str, tenant_id: int, part: int, parts: int) -> None:
    """Be one process of workers or of agents; agents stop when standard input ends."""
    import django

    django.setup()
    from routing.models import Agent

    errors: list[str] = []
    print("ready", flush=True)
    sys.stdin.readline()
    if role == "workers":
        threads = in_threads([lambda n=n: work(tenant_id, part * THREADS + n, parts * THREADS) for n in range(THREADS)], errors)
    else:
        stop = threading.Event()
        ids = list(Agent.objects.filter(tenant_id=tenant_id).order_by("pk").values_list("pk", flat=True))[part::parts]
        threads = in_threads([lambda n=n, pk=pk: serve(pk, stop, seed=part * 1000 + n) for n, pk in enumerate(ids)], errors)
        if part == 0:
            threads += in_threads([lambda: sweep(stop)], errors)
        sys.stdin.read()
        stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps(errors), flush=True)


def prove(environment: dict[str, str], *, workers: int, conversations: int, agents: int) -> Verdict:
    """Run the proof against the servers that `environment` names, and return what came of it."""
    tenant_id = prepare(conversations=conversations, agents=agents)
    parts = max(1, workers // THREADS)
    command = [sys.executable, "-m", "benchmarks.assignment_proof", "--tenant", str(tenant_id), "--child"]
    children = [
        subprocess.Popen(
            [*command, role, str(part), str(of)], cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for role, of in (("workers", parts), ("agents", 2))
        for part in range(of)
    ]
    verdict, stop = Verdict(), threading.Event()
    try:
        for child in children:
            assert child.stdout
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin
            child.stdin.write("go\n")
            child.stdin.flush()
        record(tenant_id, stop, verdict)
        for child in children:
            verdict.errors += json.loads(child.communicate()[0].splitlines()[-1])
    finally:
        for child in children:
            child.kill()
    judge(tenant_id, verdict)
    return verdict


def environment_of(services: Services) -> dict[str, str]:
    """Return the environment of the processes; no broker takes part."""
    if "postgresql" in services.by_name:
        address = services["redis"].url
        own = {"DATABASE_URL": services["postgresql"].url, "BROKER_URL": address, "REDIS_URL": address}
    else:
        own = services.environment()
    data = {"DATA_DIR": str(services.folder), "DATABASE_POOL_SIZE": "32", "DJANGO_SETTINGS_MODULE": "posthaste.settings"}
    return {**os.environ, **own, **data}


def main() -> int:
    """Start the servers, prove, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--conversations", type=int, default=5_000)
    parser.add_argument("--agents", type=int, default=40)
    parser.add_argument("--stack", choices=("production", "embedded"), default="production")
    parser.add_argument("--tenant", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        role, part, parts = options.child
        _child(role, options.tenant, int(part), int(parts))
        return 0
    with Services((PostgreSQL, Redis) if options.stack == "production" else (Valkey,)) as services:
        environment = environment_of(services)
        subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], cwd=ROOT, env=environment, check=True)
        os.environ.update(environment)
        import django

        django.setup()
        verdict = prove(environment, workers=options.workers, conversations=options.conversations, agents=options.agents)
        connections.close_all()
    print(json.dumps(asdict(verdict), indent=2))
    print("all held" if verdict.holds else "NOT ALL HELD")
    return 0 if verdict.holds else 1


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")
    sys.exit(main())
