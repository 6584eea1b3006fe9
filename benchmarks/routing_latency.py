"""How long a text takes from the entrance to an agent: incoming text stored → conversation assigned, at a steady rate.

    python -m benchmarks.routing_latency [--rate 100] [--seconds 30] [--agents 200]

Starts the production stack with all its processes, stores texts of new customers as an entrance does, and looks for each conversation
with a connection of its own until it is assigned. The figures are from before the text is stored until the assignment is seen. Exit
status 0: every text was assigned, and the 99th percentile is below 500 ms.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg

from benchmarks.ours import PREFIX, Ours
from benchmarks.rig import start_services

LIMIT_MS = 500.0
LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 60.0
STORERS = 8
#: Cheap, as it shares the machine with what it measures: what is committed later than this is seen by the last look, as late as that.
SEEN = """
    SELECT i.value FROM routing_conversation c JOIN routing_identity i ON i.id = c.identity_id
    WHERE c.tenant_id = %s AND c.status = 'assigned' AND c.assigned_at > now() - %s * interval '1 second'
"""
WINDOW_SECONDS, ALL_SECONDS = 2, 86_400


class Watch(threading.Thread):
    """Notes when each assigned conversation is seen first, by the name of its visitor."""

    def __init__(self, database_url: str, tenant_id: int) -> None:
        super().__init__(daemon=True)
        self.database_url, self.tenant_id = database_url, tenant_id
        self.seen: dict[str, float] = {}
        self.stop = threading.Event()

    def run(self) -> None:
        """Look again and again."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            while not self.stop.wait(LOOK_SECONDS):
                self._look(connection, WINDOW_SECONDS)
            self._look(connection, ALL_SECONDS)

    def _look(self, connection: "psycopg.Connection[tuple[str]]", seconds: int) -> None:
        rows = connection.execute(SEEN, [self.tenant_id, seconds]).fetchall()
        now = time.monotonic()
        for (visitor,) in rows:
            self.seen.setdefault(visitor, now)


def prepare(agents: int) -> tuple[int, UUID]:
    """Make a tenant with an entrance and agents who are online and have room for everything; return its id and the entrance's."""
    from django.utils import timezone

    from accounts.models import Member, Tenant, User
    from routing.models import Agent, AgentSkill, Entrance, Presence, SkillGroup

    now = timezone.now()
    tenant = Tenant.objects.create(name="latency", slug="latency")
    group = SkillGroup.objects.create(tenant=tenant, name="general", title="General", created_at=now)
    for number in range(agents):
        user = User.objects.create(username=f"latency-{number}", is_staff=True)
        Member.objects.create(tenant=tenant, user=user, role="operator")
        agent = Agent.objects.create(
            tenant=tenant,
            user=user,
            name=f"Agent {number}",
            capacity=100,
            presence=Presence.ONLINE,
            present_until=now + timedelta(hours=6),
            created_at=now,
        )
        AgentSkill.objects.create(agent=agent, group=group)
    return tenant.pk, Entrance.objects.create(tenant=tenant, name="latency", kind="portal", created_at=now).pk


def drive(tenant_id: int, entrance_id: UUID, *, rate: float, seconds: float, offset: int = 0) -> dict[str, float]:
    """Store texts at a steady rate and return when each was handed over, by the name of its visitor."""
    from django.db import connection
    from django.utils import timezone

    from routing.contract import Incoming, SenderName
    from routing.conversations import arrivals

    handed: dict[str, float] = {}

    def store(number: int, due: float) -> None:
        time.sleep(max(0.0, due - time.monotonic()))
        visitor = f"visitor-{number}"
        text = Incoming(external_id=f"text-{number}", sender=SenderName("portal", visitor), text="Where is my order?")
        handed[visitor] = time.monotonic()
        try:
            arrivals.store(entrance_id, [text], tenant_id=tenant_id, now=timezone.now())
        finally:
            connection.close()

    began = time.monotonic() + 0.5
    with ThreadPoolExecutor(max_workers=STORERS) as pool:
        list(pool.map(lambda n: store(offset + n, began + n / rate), range(int(rate * seconds))))
    return handed


def percentile(values: list[float], percent: float) -> float:
    """Return the value that so many percent do not exceed."""
    return values[min(len(values) - 1, int(len(values) * percent / 100))] if values else float("nan")


def main() -> int:
    """Start everything, measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--agents", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, start_services(durable=True) as services, Ours(services, Path(folder)) as ours:
        servers = {"DATABASE_URL": ours.database_url, "BROKER_URL": ours.broker_url, "REDIS_URL": ours.redis_url, "REDIS_PREFIX": PREFIX}
        os.environ.update({**servers, "DATABASE_POOL_SIZE": "16", "DJANGO_SETTINGS_MODULE": "posthaste.settings"})
        import django

        django.setup()
        tenant_id, entrance_id = prepare(options.agents)
        watch = Watch(ours.database_url, tenant_id)
        watch.start()
        warm = drive(tenant_id, entrance_id, rate=20.0, seconds=3.0)
        handed = drive(tenant_id, entrance_id, rate=options.rate, seconds=options.seconds, offset=len(warm))
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until and not handed.keys() <= watch.seen.keys():
            time.sleep(0.1)
        watch.stop.set()
        watch.join()
    took = sorted(1000 * (watch.seen[visitor] - at) for visitor, at in handed.items() if visitor in watch.seen)
    figures = {
        "texts": len(handed),
        "assigned": len(took),
        "rate": options.rate,
        **{f"p{percent}_ms": round(percentile(took, percent), 1) for percent in (50, 90, 99)},
        "max_ms": round(took[-1], 1) if took else None,
    }
    print(json.dumps(figures, indent=2))
    return 0 if len(took) == len(handed) and figures["p99_ms"] < LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
