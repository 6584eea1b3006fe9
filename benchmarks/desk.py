"""How long each address of the desk takes with thousands of open conversations, asked one after the other as one agent's page does.

    python -m benchmarks.desk [--conversations 5000] [--rounds 40]

Starts the production stack, fills a tenant's desk (each conversation with three lines, two tags in four, a clock in two), signs an
agent in, and asks over HTTP: reads of the inbox in every view, rows, conversations, searches, and the actions of an agent. Prints a
line for each: the median, the 95th percentile and the greatest time in milliseconds. Exit status 0: no 95th percentile is above 100 ms.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import uuid4

import urllib3

from benchmarks.ours import PREFIX, Ours
from benchmarks.rig import start_services
from benchmarks.routing_latency import percentile

if TYPE_CHECKING:
    from accounts.models import Tenant, User
    from routing.models import Conversation

LIMIT_MS = 100.0
AT_ONCE = 50  # rows that a page asks for together
VIEWS = ("mine", "team", "unassigned", "waiting", "breaching", "all", "resolved")
WORDS = ("parcel", "refund", "invoice", "address", "password", "order", "delivery", "coupon", "订单", "退款")


def fill(number: int, *, now: datetime) -> "tuple[Tenant, User, list[Conversation]]":
    """Make a tenant with an agent who holds a hundred of so many open conversations, and some that are over."""
    from accounts.models import Member, Tenant, User
    from routing.models import (
        Agent,
        AgentSkill,
        Conversation,
        ConversationStatus,
        Customer,
        Entrance,
        Identity,
        Intent,
        Presence,
        SkillGroup,
    )

    tenant = Tenant.objects.create(name="desk", slug="desk")
    user = User.objects.create(username="desk", is_staff=True)
    Member.objects.create(tenant=tenant, user=user, role="operator")
    group = SkillGroup.objects.create(tenant=tenant, name="general", title="General", created_at=now)
    entrance = Entrance.objects.create(tenant=tenant, name="desk", kind="portal", created_at=now)
    agent = Agent.objects.create(
        tenant=tenant,
        user=user,
        name="Ann",
        capacity=1_000,
        presence=Presence.BREAK,  # the assignment gives her nothing meanwhile; she takes what she wants
        present_until=now + timedelta(hours=6),
        created_at=now,
    )
    AgentSkill.objects.create(agent=agent, group=group)
    Intent.objects.create(tenant=tenant, name="refund_status", title="Refund", created_at=now)
    total = number + number // 5
    customers = [Customer(tenant=tenant, name=f"Customer {n}", created_at=now, last_seen_at=now) for n in range(total)]
    Customer.objects.bulk_create(customers, batch_size=1_000)
    identities = [
        Identity(tenant=tenant, customer=customer, kind="portal", value=f"visitor-{n}", created_at=now, last_seen_at=now)
        for n, customer in enumerate(customers)
    ]
    Identity.objects.bulk_create(identities, batch_size=1_000)
    made = []
    for n, (customer, identity) in enumerate(zip(customers, identities, strict=True)):
        is_held, is_over = n < 100, n >= number
        status = ConversationStatus.RESOLVED if is_over else ConversationStatus.ASSIGNED if is_held else ConversationStatus.QUEUED
        made.append(
            Conversation(
                tenant=tenant,
                entrance=entrance,
                identity=identity,
                customer=customer,
                subject=f"{random.choice(WORDS)} {n}",
                status=status,
                group=group,
                agent=agent if is_held else None,
                last_seq=3,
                intent="order_status",
                language="en",
                unanswered_since=None if n % 10 == 0 else now - timedelta(seconds=n),
                created_at=now - timedelta(seconds=n),
            )
        )
    Conversation.objects.bulk_create(made, batch_size=1_000)
    _write_lines(made, now=now)
    return tenant, user, made


def _write_lines(made: "list[Conversation]", *, now: datetime) -> None:
    """Give each conversation its lines, tags and clocks."""
    from routing.models import Clock, ClockMetric, ClockState, Conversation, Line, Tag

    lines = [
        Line(
            tenant_id=one.tenant_id,
            conversation=one,
            seq=seq,
            author="customer",
            text=" ".join(random.choices(WORDS, k=12)),
            created_at=one.created_at,
        )
        for one in made
        for seq in (1, 2, 3)
    ]
    Line.objects.bulk_create(lines, batch_size=2_000)
    tags = [Tag.objects.create(tenant_id=made[0].tenant_id, name=f"tag-{n}", created_at=now) for n in range(8)]
    through = Conversation.tags.through
    tagged = [
        through(conversation_id=one.pk, tag_id=tag.pk) for n, one in enumerate(made) if n % 2 for tag in (tags[n % 4], tags[4 + n % 4])
    ]
    through.objects.bulk_create(tagged, batch_size=2_000)
    clocks = [
        Clock(
            tenant_id=one.tenant_id,
            conversation=one,
            metric=ClockMetric.FIRST_RESPONSE,
            state=ClockState.RUNNING,
            started_at=one.created_at,
            due_at=now + timedelta(seconds=n - 500),
            breached_at=now if n < 500 else None,
            target_minutes=10,
        )
        for n, one in enumerate(made)
        if n % 2
    ]
    Clock.objects.bulk_create(clocks, batch_size=2_000)


class Page:
    """What an agent's page asks, with one connection that stays open."""

    def __init__(self, base_url: str, user: "User", tenant_id: int) -> None:
        from django.conf import settings
        from django.test import Client

        client = Client()
        client.force_login(user)
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        self.pool = urllib3.PoolManager(num_pools=1, maxsize=1)
        self.base_url, self.tenant_id = base_url, tenant_id
        self.headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={session}"}
        answer = self.pool.request("GET", f"{base_url}/desk/", headers=self.headers)
        assert answer.status == 200, answer.status
        token = SimpleCookie(answer.headers["Set-Cookie"])[settings.CSRF_COOKIE_NAME].value
        self.headers = {"Cookie": f"{self.headers['Cookie']}; {settings.CSRF_COOKIE_NAME}={token}", "X-CSRFToken": token}

    def get(self, path: str, **query: Any) -> Any:
        """Return what an address of the desk's data answers."""
        return self._ask("GET", f"{path}?{urlencode({**query, 'tenant': self.tenant_id})}")

    def post(self, path: str, **body: Any) -> Any:
        """Do something, and return the answer."""
        return self._ask("POST", f"{path}?tenant={self.tenant_id}", json=body)

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        answer = self.pool.request(method, f"{self.base_url}/desk/data/{path}", headers=self.headers, **options)
        assert answer.status in (200, 201), (path, answer.status, answer.data[:500])
        return answer.json()


def questions(page: Page, held: list[str], ids: list[str]) -> dict[str, Callable[[int], Any]]:
    """Return what is measured, by name; each is given the number of its round."""

    def of(n: int) -> str:
        return f"c/{held[n % len(held)]}"

    def inbox(view: str) -> Callable[[int], Any]:
        return lambda n: page.get("inbox/", view=view)

    return {
        **{f"inbox, {view}": inbox(view) for view in VIEWS},
        "inbox, all by due time": lambda n: page.get("inbox/", view="all", sort="due"),
        "inbox, all, newest first": lambda n: page.get("inbox/", view="all", sort="newest"),
        "inbox, team with a tag": lambda n: page.get("inbox/", view="team", tag="tag-1"),
        "search, a word, team": lambda n: page.get("inbox/", view="team", q="refund coupon"),
        "search, a customer, all": lambda n: page.get("inbox/", view="all", q=f"Customer {n * 37}"),
        f"{AT_ONCE} rows": lambda n: page.get("rows/", ids=",".join(ids[n * AT_ONCE % 4_000 :][:AT_ONCE])),
        "a conversation": lambda n: page.get(f"{of(n)}/"),
        "its suggestions": lambda n: page.get(f"{of(n)}/suggestions/"),
        "who I am": lambda n: page.get("me/"),
        "draft": lambda n: page.post(f"{of(n)}/draft/", text="Dear customer", client_id=f"draft-{n}"),
        "note": lambda n: page.post(f"{of(n)}/note/", text="Asked the warehouse", client_id=str(uuid4())),
        "tags": lambda n: page.post(f"{of(n)}/tags/", add=["asked"]),
        "priority": lambda n: page.post(f"{of(n)}/priority/", priority=n % 10),
        "intent": lambda n: page.post(f"{of(n)}/intent/", intent="refund_status", seq=1),
        "reply": lambda n: page.post(f"{of(n)}/reply/", text="We will see to it.", client_id=str(uuid4())),
        "claim": lambda n: page.post(f"c/{ids[-1 - n]}/claim/"),
        "resolve": lambda n: page.post(f"{of(n)}/resolve/"),
    }


def measure(page: Page, held: list[str], *, rounds: int) -> list[dict[str, Any]]:
    """Ask each question so many times, after one that is not counted, and return a line for each."""
    ids = page.get("inbox/", view="unassigned")["ids"]
    lines = []
    for name, ask in questions(page, held, ids).items():
        took = []
        for n in range(rounds + 1):
            began = time.perf_counter()
            ask(n)
            took.append((time.perf_counter() - began) * 1_000)
        counted = sorted(took[1:])
        line = {
            "what": name,
            "first_ms": took[0],
            "p50_ms": percentile(counted, 50),
            "p95_ms": percentile(counted, 95),
            "max_ms": counted[-1],
        }
        lines.append({key: round(value, 1) if isinstance(value, float) else value for key, value in line.items()})
        sys.stdout.write(json.dumps(lines[-1]) + "\n")
        sys.stdout.flush()
    return lines


def main() -> int:
    """Start everything, measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, start_services(durable=True) as services, Ours(services, Path(folder)) as ours:
        servers = {"DATABASE_URL": ours.database_url, "BROKER_URL": ours.broker_url, "REDIS_URL": ours.redis_url, "REDIS_PREFIX": PREFIX}
        os.environ.update({**servers, "DJANGO_SETTINGS_MODULE": "posthaste.settings"})
        import django

        django.setup()
        from django.utils import timezone

        tenant, user, made = fill(options.conversations, now=timezone.now())
        ours.connection.execute("ANALYZE")
        page = Page(ours.stack.base_url, user, tenant.pk)
        lines = measure(page, [str(one.pk) for one in made[:100]], rounds=options.rounds)
    slow = [line["what"] for line in lines if line["p95_ms"] > LIMIT_MS]
    sys.stdout.write(f"above {LIMIT_MS:.0f} ms: {', '.join(slow)}\n" if slow else f"all within {LIMIT_MS:.0f} ms\n")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
