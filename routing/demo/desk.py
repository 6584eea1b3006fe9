"""The demo's service desk: intents, groups, agents, rules, the FAQ, two entrances, and what some customers have written."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import transaction

from accounts.selectors import Tenant, User
from accounts.services.audit import Actor
from configcenter.services import items, releases
from routing.assignment import staff
from routing.contract import Incoming, SenderName
from routing.conversations import arrivals
from routing.demo.faq import load_faq, publish_bot
from routing.demo.history import load_history
from routing.demo.portal import LOOK, load_ratings
from routing.demo.quick_replies import load_quick_replies
from routing.demo.service_levels import load_calendar, load_late
from routing.demo.tickets import load_tickets
from routing.entrances.editing import create_entrance
from routing.intents.starting_rows import load_starting_set
from routing.models import Agent, Arrival, Entrance, EntranceKind, IdentityKind, SkillGroup

PORTAL, WEBHOOK = "Website chat", "Shop system"

GROUPS = {"general": "General", "orders": "Orders and delivery", "billing": "Payments and invoices", "technical": "Technical help"}

#: Intents of the starting set, by the group that answers them; all others go to the fallback group.
ROUTES = {
    "orders": ("order_status", "order_cancel", "delivery_time", "delivery_missing", "delivery_damaged", "delivery_address_change"),
    "billing": ("payment_failed", "payment_methods", "refund_status", "invoice", "coupon_problem"),
    "technical": ("fault_report", "warranty", "appointment", "account_login"),
}

#: Short name, languages, and the level in each group.
AGENTS: tuple[tuple[str, list[str], dict[str, int]], ...] = (
    ("Alex", ["en", "zh"], {"general": 3, "orders": 3, "billing": 3, "technical": 3}),
    ("Mei", ["zh", "en"], {"general": 4, "orders": 5, "billing": 3}),
    ("Tom", ["en"], {"general": 4, "billing": 5, "technical": 4}),
)

#: Minutes ago, who wrote at which entrance, and what.
TEXTS: tuple[tuple[int, str, str, str, str], ...] = (
    (52, WEBHOOK, "C-1001", "Li Wei", "你好，我上周下的订单怎么还没发货？订单号 A-1042"),
    (41, PORTAL, "demo-visitor-1", "Grace Miller", "Hi, my parcel arrived this morning but the lamp inside is broken."),
    (33, WEBHOOK, "C-1002", "Sam Jones", "I was charged twice for the same order, can you check?"),
    (26, PORTAL, "demo-visitor-2", "王芳", "麻烦帮我开一张发票，抬头是上海明远贸易有限公司"),
    (17, WEBHOOK, "C-1003", "Ana Souza", "The coffee machine you sent me does not turn on any more."),
    (9, PORTAL, "demo-visitor-3", "", "转人工"),
    (4, WEBHOOK, "C-1001", "Li Wei", "有人在吗？我急着用"),
)


@transaction.atomic
def load_desk(*, tenant: Tenant, users: Sequence[User], by: Actor, now: datetime) -> dict[str, Any]:
    """Make what is missing of the demo's service desk, and return the addresses and the secret that scripts need."""
    load_starting_set(tenant_id=tenant.pk, by=by, now=now)
    groups = {name: _group(tenant, name, title, by, now) for name, title in GROUPS.items()}
    for user, (name, languages, levels) in zip(users, AGENTS, strict=False):
        if not Agent.objects.filter(tenant=tenant, user=user).exists():
            agent = Agent(tenant=tenant, user=user, name=name, languages=languages)
            staff.create_agent(agent=agent, skills={groups[group].pk: level for group, level in levels.items()}, by=by, now=now)
    _publish_routes(tenant, by)
    load_faq(tenant=tenant, by=by, now=now)
    publish_bot(tenant=tenant, entrances=[PORTAL], by=by)
    load_quick_replies(tenant=tenant, by=by, now=now)
    portal = _entrance(tenant, PORTAL, EntranceKind.PORTAL, {}, by, now, settings=LOOK)
    webhook = _entrance(tenant, WEBHOOK, EntranceKind.WEBHOOK, {"secret": secrets.token_urlsafe(32)}, by, now)
    load_calendar(tenant=tenant, by=by, now=now)
    if not Arrival.objects.filter(tenant=tenant).exists():
        load_late(entrance=webhook, now=now)
        _write_texts({PORTAL: portal, WEBHOOK: webhook}, now)
    load_tickets(tenant=tenant, by=by, now=now)
    load_history(tenant=tenant, entrances=[portal, webhook], now=now)
    load_ratings(tenant=tenant, entrance=portal, agents=list(Agent.objects.filter(tenant=tenant).order_by("pk")), now=now)
    return {
        "portal_entrance": str(portal.pk),
        "portal_path": f"/help/{portal.pk}/",
        "webhook_path": f"/in/{webhook.pk}/",
        "webhook_secret": webhook.secrets["secret"],
    }


def _group(tenant: Tenant, name: str, title: str, by: Actor, now: datetime) -> SkillGroup:
    found = SkillGroup.objects.filter(tenant=tenant, name=name).first()
    return found or staff.create_group(group=SkillGroup(tenant=tenant, name=name, title=title), by=by, now=now)


def _publish_routes(tenant: Tenant, by: Actor) -> None:
    """Publish which group answers which intent, unless the tenant has rules of its own."""
    item = items.module_item("assignment", tenant=tenant)
    if item.current is None and item.draft is None:
        routes = [{"intent": intent, "skill_group": group} for group, intents in ROUTES.items() for intent in intents]
        releases.publish(item=item, content=orjson.dumps({"routes": routes}).decode(), comment="Demo", by=by)


def _entrance(
    tenant: Tenant, name: str, kind: EntranceKind, given: dict[str, str], by: Actor, now: datetime, settings: dict[str, Any] | None = None
) -> Entrance:
    found = Entrance.objects.filter(tenant=tenant, name=name).first()
    if found is not None:
        return found
    entrance = Entrance(tenant=tenant, name=name, kind=kind, created_at=now)
    return create_entrance(entrance=entrance, settings=settings or {}, secrets=given, by=by)


def _write_texts(entrances: dict[str, Entrance], now: datetime) -> None:
    """Have the demo's texts come in, as if customers had just written them: workers recognize and route them."""
    for number, (minutes, place, sender, name, text) in enumerate(TEXTS):
        kind = IdentityKind.PORTAL if place == PORTAL else IdentityKind.OWN
        incoming = Incoming(
            external_id=f"demo-{number}",
            sender=SenderName(kind=kind, value=sender, name=name),
            text=text,
            sent_at=now - timedelta(minutes=minutes),
        )
        arrivals.store(entrances[place].pk, [incoming], tenant_id=entrances[place].tenant_id, now=now)
