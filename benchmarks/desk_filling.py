"""Fills a running installation's desk with open conversations, and then has their customers go on writing, until it is ended.

    DATA_DIR=FOLDER python -m benchmarks.desk_filling READY NUMBER LINES_A_SECOND

READY is a file that is written when all is there: the cookie of an agent's session. Used by `benchmarks.desk_pages`.
"""

import json
import os
import random
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.local.installation import adopt

BATCH = 500
NAMES = ("王芳", "Emma Wright", "李娜", "Noah Klein", "张伟", "Lucía Romero", "陈静", "Tom Becker", "赵磊", "Olivia Brown")
TEXTS = (
    ("return_request", "zh", "我要退款，订单 {order}，东西和描述不一样"),
    ("order_status", "en", "Where is my order {order}? It was due yesterday."),
    ("refund_status", "en", "I sent order {order} back two weeks ago. When do I get my refund?"),
    ("invoice", "zh", "麻烦帮我开一张订单 {order} 的发票，抬头是上海明远贸易有限公司"),
    ("delivery_damaged", "en", "The lamp of order {order} arrived broken, please send a new one."),
)


def fill(number: int, now: datetime) -> tuple[list[Any], Any]:
    """Make a tenant with an agent and so many conversations that wait in the agent's group; return their ids and the agent's user."""
    from accounts.models import Member, Tenant, User
    from routing.models import Agent, AgentSkill, Conversation, Customer, Entrance, Identity, IdentityKind, Line, Presence, SkillGroup
    from routing.service_levels import conversations

    tenant = Tenant.objects.create(name="Lamps", slug="lamps")
    user = User.objects.create(username="lin", is_staff=True)
    Member.objects.create(tenant=tenant, user=user, role="viewer")
    group = SkillGroup.objects.create(tenant=tenant, name="general", title="General", created_at=now)
    agent = Agent.objects.create(tenant=tenant, user=user, name="Lin", presence=Presence.OFFLINE, created_at=now)
    AgentSkill.objects.create(agent=agent, group=group)
    entrance = Entrance.objects.create(tenant=tenant, name="Website", kind="portal", created_at=now)
    ids: list[Any] = []
    for begin in range(0, number, BATCH):
        customers, identities, rows, lines = [], [], [], []
        for place in range(begin, min(begin + BATCH, number)):
            at = now - timedelta(seconds=2 * (number - place))
            intent, language, text = TEXTS[place % len(TEXTS)]
            customer = Customer(tenant=tenant, name=f"{NAMES[place % len(NAMES)]} {place}", created_at=at, last_seen_at=at)
            identity = Identity(
                tenant=tenant, customer=customer, kind=IdentityKind.PORTAL, value=f"visitor-{place}", created_at=at, last_seen_at=at
            )
            waiting = {"status": "queued", "group": group, "group_since": at, "queued_at": at, "unanswered_since": at, "created_at": at}
            row = Conversation(
                tenant=tenant,
                customer=customer,
                identity=identity,
                entrance=entrance,
                intent=intent,
                confidence=0.9,
                language=language,
                priority=random.choice((5, 5, 5, 5, 7, 9)),
                last_seq=1,
                customer_wrote_at=at,
                **waiting,
            )
            said = text.format(order=f"A-{100_000 + place}")
            lines.append(Line(tenant=tenant, conversation=row, seq=1, author="customer", text=said, created_at=at))
            customers.append(customer)
            identities.append(identity)
            rows.append(row)
        Customer.objects.bulk_create(customers)
        Identity.objects.bulk_create(identities)
        Conversation.objects.bulk_create(rows)
        Line.objects.bulk_create(lines)
        conversations.customers_wrote([row.pk for row in rows], now=now)
        ids += [row.pk for row in rows]
    return ids, user


def write_on(ids: list[Any], each_second: float) -> None:
    """Have customers write in some conversation again and again, as the product writes their lines."""
    from django.db import OperationalError, transaction
    from django.utils import timezone

    from routing.conversations import lines
    from routing.models import AuthorKind

    while True:
        time.sleep(1 / each_second)
        try:
            with transaction.atomic():
                conversation = lines.lock(random.choice(ids))
                lines.append(conversation, author=AuthorKind.CUSTOMER, text="有人在吗？ Is anyone there?", now=timezone.now())
        except OperationalError as error:  # SQLite was locked for too long: the next one may get through
            print(error, flush=True)


def main() -> None:
    """Fill, say so, and go on."""
    ready, number, each_second = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")
    adopt()
    import django

    django.setup()
    from django.conf import settings
    from django.test import Client
    from django.utils import timezone

    ids, user = fill(number, timezone.now())
    client = Client()
    client.force_login(user)
    unfinished = ready.with_suffix(".new")
    unfinished.write_text(json.dumps({"name": settings.SESSION_COOKIE_NAME, "value": client.cookies[settings.SESSION_COOKIE_NAME].value}))
    unfinished.rename(ready)
    if each_second > 0:
        write_on(ids, each_second)
    else:
        time.sleep(86_400)


if __name__ == "__main__":
    main()
