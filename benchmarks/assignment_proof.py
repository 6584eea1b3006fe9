"""Proof of the assignment: many workers queue and assign while agents come, leave, claim and resolve, and a recorder looks at the rows.

    python -m benchmarks.assignment_proof [--workers 50] [--conversations 5000] [--agents 40] [--stack production|embedded]

Exit status 0: every conversation was resolved; none was held by two agents, no agent was over capacity, at any instant and by the record
afterwards; none waited longer than a second while an agent who fits was free. The recorder reads rows by SQL of its own and asks the
code under test nothing. Its verdict lists every longer wait. The short form is in tests/routing/assignment/test_proof.py.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict
from functools import partial

from django.db import connection, connections

from benchmarks.assignment_actors import Verdict, in_threads, judge, prepare, record, serve, sweep, work
from posthaste.env import ROOT
from tests.services import PostgreSQL, Redis, Services, Valkey

THREADS = 10  # workers in one process


def _warm(role: str, tenant_id: int, part: int, parts: int, errors: list[str]) -> None:
    """Do the same for another tenant first, so that connections are open and modules loaded, as in processes that have been running."""
    from django.utils import timezone

    from routing.assignment import sweeping

    if role == "workers":
        threads = in_threads([partial(work, tenant_id, part * THREADS + n, parts * THREADS) for n in range(THREADS)], errors)
    else:
        threads = in_threads([partial(sweeping.sweep, now=timezone.now())] * 20, errors)
    for thread in threads:
        thread.join()


def _child(role: str, tenant_id: int, part: int, parts: int, *, warm_id: int, pause: float) -> None:
    """Be one process of workers or of agents; agents stop when standard input ends."""
    import django

    django.setup()
    from routing.models import Agent

    errors: list[str] = []
    lost: list[int] = []
    _warm(role, warm_id, part, parts, errors)
    print("ready", flush=True)
    sys.stdin.readline()
    if role == "workers":
        threads = in_threads([partial(work, tenant_id, part * THREADS + n, parts * THREADS, pause=pause) for n in range(THREADS)], errors)
    else:
        stop = threading.Event()
        ids = list(Agent.objects.filter(tenant_id=tenant_id).order_by("pk").values_list("pk", flat=True))[part::parts]
        threads = in_threads([partial(serve, pk, stop, seed=part * 1000 + n) for n, pk in enumerate(ids)], errors, returned=lost)
        if part == 0:
            threads += in_threads([partial(sweep, stop)], errors)
        sys.stdin.read()
        stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps({"errors": errors, "lost_claims": sum(lost)}), flush=True)


def prove(environment: dict[str, str], *, workers: int, conversations: int, agents: int, rate: float) -> Verdict:
    """Run the proof against the servers that `environment` names, and return what came of it."""
    tenant_id = prepare(conversations=conversations, agents=agents)
    warm_id = prepare(conversations=max(1, workers) * 2, agents=1)
    with connection.cursor() as cursor:  # as it is where a database has been in use: plans made for empty tables take seconds
        cursor.execute("ANALYZE")
    parts = max(1, workers // THREADS)
    pause = parts * THREADS / rate if rate else 0.0
    command = [
        sys.executable,
        "-m",
        "benchmarks.assignment_proof",
        "--tenant",
        str(tenant_id),
        "--warm",
        str(warm_id),
        "--pause",
        str(pause),
    ]
    command += ["--child"]
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
            told = json.loads(child.communicate()[0].splitlines()[-1])
            verdict.errors += told["errors"]
            verdict.lost_claims += told["lost_claims"]
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
    parser.add_argument("--rate", type=float, default=50.0, help="conversations a second in all; 0: as fast as the workers can")
    parser.add_argument("--stack", choices=("production", "embedded"), default="production")
    parser.add_argument("--tenant", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--warm", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--pause", type=float, default=0.0, help=argparse.SUPPRESS)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        role, part, parts = options.child
        _child(role, options.tenant, int(part), int(parts), warm_id=options.warm, pause=options.pause)
        return 0
    with Services((PostgreSQL, Redis) if options.stack == "production" else (Valkey,)) as services:
        environment = environment_of(services)
        subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], cwd=ROOT, env=environment, check=True)
        os.environ.update(environment)
        import django

        django.setup()
        verdict = prove(environment, workers=options.workers, conversations=options.conversations, agents=options.agents, rate=options.rate)
        connections.close_all()
    print(json.dumps(asdict(verdict), indent=2))
    print("all held" if verdict.holds else "NOT ALL HELD")
    return 0 if verdict.holds else 1


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")
    sys.exit(main())
