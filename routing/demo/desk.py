"""The demo's service desk: intents, groups, agents who are there, rules, the FAQ, three entrances, and what customers have written."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import transaction

from accounts.selectors import Tenant, User
from accounts.services.audit import Actor
from configcenter.services import items, releases
from routing.assignment import attendance, staff
from routing.contract import Incoming, SenderName
from routing.conversations import arrivals
from routing.demo.faq import load_faq, publish_bot
from routing.demo.history import load_history
from routing.demo.inbox import load_inbox
from routing.demo.portal import LOOK, load_ratings
from routing.demo.quick_replies import load_quick_replies
from routing.demo.service_levels import load_calendar, load_late
from routing.demo.tickets import load_tickets
from routing.entrances.editing import create_entrance
from routing.intents.starting_rows import load_starting_set
from routing.models import Agent, Arrival, Entrance, EntranceKind, IdentityKind, Presence, SkillGroup

PORTAL, WEBHOOK, MAIL = "Website chat", "Shop system", "Service mail"

GROUPS = {"general": "General", "orders": "Orders and delivery", "billing": "Payments and invoices", "technical": "Technical help"}

#: Intents of the starting set, by the group that answers them; all others go to the fallback group.
ROUTES = {
    "orders": ("order_status", "order_cancel", "delivery_time", "delivery_missing", "delivery_damaged", "delivery_address_change"),
    "billing": ("payment_failed", "payment_methods", "refund_status", "invoice", "coupon_problem"),
    "technical": ("fault_report", "warranty", "appointment", "account_login"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """An agent of the demo: the name that customers see, languages, the level in each group, and what they do."""

    name: str
    languages: list[str]
    levels: dict[str, int]
    capacity: int
    presence: Presence


#: The first one is the demo's administrator, who has room for more; the others have none, so that something waits.
AGENTS = (
    Place("Alex", ["en", "zh"], {"general": 4, "orders": 3}, 10, Presence.ONLINE),
    Place("Mei", ["zh", "en"], {"general": 4, "orders": 5, "billing": 3}, 3, Presence.ONLINE),
    Place("Tom", ["en"], {"general": 4, "billing": 5, "technical": 4}, 3, Presence.BREAK),
)
#: The desk may not be open when the demo is looked at: agents count as there for so long after a start.
ARE_THERE = timedelta(hours=12)

#: Minutes ago, at which entrance, the sender, their own ID at the shop, their name, the subject, and what they wrote.
TEXTS: tuple[tuple[int, str, str, str, str, str, str], ...] = (
    (52, MAIL, "li.wei@customers.example", "C-1001", "Li Wei", "订单 A-1042", "你好，我上周下的订单怎么还没发货？订单号 A-1042"),
    (41, PORTAL, "demo-visitor-1", "", "Grace Miller", "", "Hi, my parcel arrived this morning but the lamp inside is broken."),
    (33, MAIL, "sam.jones@customers.example", "C-1002", "Sam Jones", "Charged twice", "I was charged twice for one order, can you check?"),
    (26, PORTAL, "demo-visitor-2", "", "王芳", "", "麻烦帮我开一张发票，抬头是上海明远贸易有限公司"),
    (17, WEBHOOK, "C-1003", "", "Ana Souza", "", "The coffee machine you sent me does not turn on any more."),
    (9, PORTAL, "demo-visitor-3", "", "", "", "转人工"),
    (4, MAIL, "li.wei@customers.example", "C-1001", "Li Wei", "订单 A-1042", "有人在吗？我急着用"),
)
#: Its mail is posted, so that there is nothing to connect to; what is sent goes through the sandbox.
MAILBOX = {"address": "help@lamplight.example"}
KINDS = {PORTAL: IdentityKind.PORTAL, WEBHOOK: IdentityKind.OWN, MAIL: IdentityKind.EMAIL}


@transaction.atomic
def load_desk(*, tenant: Tenant, users: Sequence[User], by: Actor, now: datetime) -> dict[str, Any]:
    """Make what is missing of the demo's service desk, and return the addresses and the secret that scripts need."""
    load_starting_set(tenant_id=tenant.pk, by=by, now=now)
    groups = {name: _group(tenant, name, title, by, now) for name, title in GROUPS.items()}
    agents = {place.name: _agent(tenant, user, place, groups, by, now) for user, place in zip(users, AGENTS, strict=False)}
    _publish_routes(tenant, by)
    load_faq(tenant=tenant, by=by, now=now)
    publish_bot(tenant=tenant, entrances=[PORTAL], by=by)
    load_quick_replies(tenant=tenant, by=by, now=now)
    portal = _entrance(tenant, PORTAL, EntranceKind.PORTAL, {}, by, now, settings=LOOK)
    webhook = _entrance(tenant, WEBHOOK, EntranceKind.WEBHOOK, {"secret": secrets.token_urlsafe(32)}, by, now)
    mail = _entrance(tenant, MAIL, EntranceKind.EMAIL, {"posting_secret": secrets.token_urlsafe(32)}, by, now, settings=MAILBOX)
    load_calendar(tenant=tenant, by=by, now=now)
    if not Arrival.objects.filter(tenant=tenant).exists():
        load_late(entrance=mail, now=now)
        load_inbox(entrance=mail, agents=agents, groups=groups, now=now)
        _write_texts({PORTAL: portal, WEBHOOK: webhook, MAIL: mail}, now)
    sit_down(agents, by, now)
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


def _agent(tenant: Tenant, user: User, place: Place, groups: dict[str, SkillGroup], by: Actor, now: datetime) -> Agent:
    found = Agent.objects.filter(tenant=tenant, user=user).select_related("user").first()
    if found is not None:
        return found
    agent = Agent(tenant=tenant, user=user, name=place.name, languages=place.languages, capacity=place.capacity)
    return staff.create_agent(agent=agent, skills={groups[group].pk: level for group, level in place.levels.items()}, by=by, now=now)


@transaction.atomic
def sit_down(agents: dict[str, Agent], by: Actor, now: datetime) -> None:
    """Have the agents be there, so that the desk works at once: conversations are given to them as they come in."""
    for place in AGENTS:
        if (agent := agents.get(place.name)) is not None:
            attendance.set_presence(agent=agent, presence=place.presence, by=by, now=now)
            Agent.objects.filter(pk=agent.pk).update(present_until=now + ARE_THERE)


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
    for number, (minutes, place, sender, own_id, name, subject, text) in enumerate(TEXTS):
        own = SenderName(kind=IdentityKind.OWN, value=own_id, verified=True, name=name)
        incoming = Incoming(
            external_id=f"demo-{number}",
            sender=SenderName(kind=KINDS[place], value=sender, verified=bool(own_id), name=name),
            also=(own,) if own_id else (),
            subject=subject,
            text=text,
            sent_at=now - timedelta(minutes=minutes),
        )
        arrivals.store(entrances[place].pk, [incoming], tenant_id=entrances[place].tenant_id, now=now)
