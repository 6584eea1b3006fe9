"""Many at once: the short form of `benchmarks.assignment_proof`, races, and a worker that is killed."""

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from benchmarks import assignment_actors as proof
from posthaste import env
from posthaste.env import ROOT
from routing.assignment import holding, one_at_a_time
from routing.assignment.assigning import assign_waiting
from routing.assignment.sweeping import sweep
from routing.models import Agent, Conversation
from routing.models import Assignment as Span
from tests.builders import TESTER, make_tenant
from tests.routing.assignment.builders import make_agent, make_group, make_waiting

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
#: Assigns, and is killed before the commit, or right after it.
DIES = """
import os, signal, sys
import django
django.setup()
from django.db import connection
from django.utils import timezone
from routing.assignment import assigning
at, tenant = sys.argv[1], int(sys.argv[2])
write = assigning._write
def die(*args, **kwargs):
    if at == "before":
        write(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    return write(*args, **kwargs)
assigning._write = die
assigning.assign_waiting(tenant_id=tenant, now=timezone.now())
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_agents_and_claims_at_once_keep_every_promise() -> None:
    tenant_id = proof.prepare(conversations=40, agents=3)
    verdict, stop = proof.Verdict(), threading.Event()
    ids = list(Agent.objects.filter(tenant_id=tenant_id).values_list("pk", flat=True))
    threads = proof.in_threads(
        [
            *(lambda n=n: proof.work(tenant_id, n, 2) for n in range(2)),
            *(lambda n=n, pk=pk: proof.serve(pk, stop, seed=n, pace=0.05) for n, pk in enumerate(ids)),
            lambda: proof.sweep(stop),
        ],
        verdict.errors,
    )
    proof.record(tenant_id, stop, verdict, pause=0.02, stall_seconds=60.0)
    for thread in threads:
        thread.join()
    proof.judge(tenant_id, verdict)
    assert verdict.errors == []
    assert (verdict.unresolved, verdict.conversations) == (0, 40)
    assert (verdict.over_capacity, verdict.held_twice, verdict.spans_over_capacity) == (0, 0, 0)
    assert set(Agent.objects.filter(tenant_id=tenant_id).values_list("load", flat=True)) == {0}


def test_the_recorder_tells_which_agent_was_free_while_something_waited() -> None:
    tenant, now = make_tenant(), timezone.now()
    group = make_group(tenant, at=now)
    free = make_agent(tenant, group, at=now, capacity=2, present_until=now + timedelta(hours=1))
    for _ in range(2):
        make_waiting(tenant, group, at=now)
    verdict, stop = proof.Verdict(), threading.Event()
    proof.record(tenant.pk, stop, verdict, pause=0.01, stall_seconds=0.3, long_seconds=0.1)
    (wait,) = verdict.long_waits
    assert (wait.agent, wait.waiting, verdict.unresolved) == (free.name, 2, 2)
    assert wait.began >= 0
    assert 0.1 < wait.seconds == verdict.longest_wait_while_free


def test_of_claims_at_once_one_wins_and_all_others_are_told_the_owner() -> None:
    tenant, now = make_tenant(), timezone.now()
    agents = [make_agent(tenant, at=now, name=f"Agent-{n}") for n in range(6)]
    asked = make_waiting(tenant, at=now)
    won: list[str] = []
    told: list[str] = []
    errors: list[str] = []
    barrier = threading.Barrier(len(agents) + 1)

    def claim(agent: Agent) -> None:
        barrier.wait()
        try:
            holding.claim(conversation=asked, agent=agent, by=TESTER, now=now)
            won.append(agent.name)
        except holding.Taken as problem:
            told.append(str(problem.extra["owner"]))

    def assign() -> None:
        barrier.wait()
        assign_waiting(tenant_id=tenant.pk, now=now)

    threads = proof.in_threads([*(lambda agent=agent: claim(agent) for agent in agents), assign], errors)
    for thread in threads:
        thread.join()
    owner = Agent.objects.get(load=1)
    assert errors == []
    assert set(won) | set(told) == {owner.name}
    assert len(won) + len(told) == len(agents)
    assert Span.objects.count() == 1


@pytest.mark.parametrize(("at", "assigned"), [("before", 0), ("after", 3)])
def test_a_worker_that_is_killed_while_it_assigns_loses_and_doubles_nothing(at: str, assigned: int) -> None:
    tenant, now = make_tenant(), timezone.now()
    group = make_group(tenant, at=now)
    agents = [make_agent(tenant, group, at=now, capacity=2, present_until=now + timedelta(hours=1)) for _ in range(2)]
    asked = [make_waiting(tenant, group, at=now) for _ in range(3)]
    connection.close()
    ended = subprocess.run([sys.executable, "-c", DIES, at, str(tenant.pk)], cwd=ROOT, env=_environment(), capture_output=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert Span.objects.count() == assigned
    sweep(now=timezone.now())
    assert Conversation.objects.filter(pk__in=[each.pk for each in asked], status="assigned").count() == 3
    assert Span.objects.filter(ended_at=None).count() == Span.objects.count() == 3
    assert sum(Agent.objects.get(pk=agent.pk).load for agent in agents) == 3


def _environment() -> dict[str, str]:
    """Return the environment of a process that works on the test's database."""
    own: dict[str, Any] = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{own['NAME']}"
    else:
        url = f"postgresql://{own['USER']}@{own['HOST']}:{own['PORT']}/{own['NAME']}"
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "posthaste.settings", "DATABASE_URL": url}


@pytest.mark.skipif(not env.load().is_postgresql, reason="SQLite has one writer at a time: no process waits for its turn")
def test_what_another_process_will_see_in_its_turn_is_left_to_it() -> None:
    tenant, now = make_tenant(), timezone.now()
    make_agent(tenant, at=now, capacity=2, present_until=now + timedelta(hours=1))
    make_waiting(tenant, at=now)
    assert not one_at_a_time.is_covered(tenant.pk), "this one is the first in line"
    assert assign_waiting(tenant_id=tenant.pk, now=now) == 0
    one_at_a_time.begins(tenant.pk)
    assert assign_waiting(tenant_id=tenant.pk, now=now) == 1
    make_waiting(tenant, at=now)
    assert assign_waiting(tenant_id=tenant.pk, now=now) == 1, "no note is left behind"
