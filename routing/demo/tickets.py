"""The demo's tickets: four types, one of them for work orders, and some matters of customers in several states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from accounts.selectors import Tenant
from accounts.services.audit import Actor
from routing.assignment import staff
from routing.customers import editing
from routing.customers.editing import NewIdentity
from routing.models import Agent, ChecklistItem, Customer, Identity, IdentityKind, SkillGroup, Ticket, TicketKind, TicketType
from routing.tickets import changing, checklist, linking, merging, notes, opening, progress, types
from routing.tickets.opening import NewTicket

WAREHOUSE = "warehouse"
ORDER = {"key": "order", "kind": "order", "label": "Order number", "label_zh": "订单号", "required": "open", "is_public": True}
TYPES: tuple[dict[str, Any], ...] = (
    {
        "name": "refund",
        "title": "Refund",
        "title_zh": "退款",
        "group": "billing",
        "is_public": True,
        "fields": [
            ORDER,
            {"key": "amount", "kind": "number", "label": "Amount", "label_zh": "金额", "minimum": 0, "required": "resolve"},
            {
                "key": "reason",
                "kind": "choice",
                "label": "Reason",
                "label_zh": "原因",
                "is_public": True,
                "choices": [
                    {"value": "Charged twice", "zh": "重复扣款"},
                    {"value": "Returned", "zh": "已退货"},
                    {"value": "Other", "zh": "其他"},
                ],
            },
        ],
        "checklist": ["Check the payment at the bank", "Tell the customer when the money arrives"],
    },
    {
        "name": "repair",
        "title": "Repair",
        "title_zh": "维修",
        "group": "technical",
        "is_public": True,
        "fields": [
            ORDER,
            {"key": "fault", "kind": "long_text", "label": "What is broken", "label_zh": "故障描述", "is_public": True},
            {"key": "in_warranty", "kind": "yes_no", "label": "In warranty", "label_zh": "在保修期内"},
        ],
        "checklist": ["Ask for a photo", "Check the warranty"],
    },
    {
        "name": "delivery",
        "title": "Delivery problem",
        "title_zh": "配送问题",
        "group": "orders",
        "is_public": True,
        "fields": [
            ORDER,
            {"key": "expected_on", "kind": "date", "label": "Expected on", "label_zh": "预计送达日期", "is_public": True},
        ],
    },
    {
        "name": "warehouse",
        "title": "Work order for the warehouse",
        "title_zh": "仓库工单",
        "kind": TicketKind.WORK_ORDER,
        "group": WAREHOUSE,
        "fields": [
            {
                "key": "work",
                "kind": "choices",
                "label": "Work",
                "label_zh": "作业内容",
                "required": "open",
                "choices": [{"value": "Pack", "zh": "打包"}, {"value": "Inspect", "zh": "检验"}, {"value": "Recount", "zh": "盘点"}],
            },
            {"key": "shelf", "kind": "text", "label": "Shelf", "label_zh": "货位"},
        ],
        "checklist": ["Photo of the parcel"],
    },
)
#: Own id, by which the conversations of the demo find the same customer, name, and where else they are known.
CUSTOMERS = {
    "C-1001": ("Li Wei", ()),
    "C-1002": ("Sam Jones", ()),
    "C-1003": ("Ana Souza", ((IdentityKind.EMAIL, "ana.souza@customers.example"),)),
    "C-1004": ("陈静", ((IdentityKind.PHONE, "+8613900001004"),)),
    "C-1005": ("Helen Park", ((IdentityKind.EMAIL, "helen.park@customers.example"), (IdentityKind.PHONE, "+4915100001005"))),
    "C-1006": ("周明", ((IdentityKind.PHONE, "+8613900001006"),)),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Matter:
    """A ticket of the demo: when it was opened, and what was done since, each so many hours later."""

    hours_ago: int
    type: str
    customer: str
    subject: str
    description: str = ""
    priority: str = ""
    agent: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    due_in_days: int | None = None
    steps: tuple[tuple[float, str, str], ...] = ()


MATTERS: tuple[Matter, ...] = (
    Matter(
        hours_ago=24 * 9, type="refund", customer="C-1005", subject="Refund for a returned kettle", agent="Tom",
        description="She sent it back on Monday, the parcel arrived on Wednesday.",
        fields={"order": "A-0977", "reason": "Returned", "amount": 39.9}, tags=("return",),
        steps=((1, "begin", ""), (5, "tick", "all"), (20, "resolve", ""), (24 * 8, "close", "")),
    ),
    Matter(
        hours_ago=24 * 4, type="delivery", customer="C-1004", subject="包裹三天没有更新物流", agent="Mei",
        description="客户说物流停在杭州转运中心。", fields={"order": "A-1018"},
        steps=((1, "begin", ""), (2, "note", "已联系快递公司，预计明天恢复派送。"), (30, "resolve", "")),
    ),
    Matter(
        hours_ago=50, type="repair", customer="C-1003", subject="Coffee machine does not turn on", agent="Tom", priority="high",
        description="Bought four months ago. The light stays off, another socket makes no difference.",
        fields={"order": "A-1007", "fault": "Does not turn on", "in_warranty": True}, tags=("warranty",), due_in_days=2,
        steps=((1, "begin", ""), (2, "tick", "first"), (3, "note", "@Alex do we still have the old power boards?"), (4, "work_order", "")),
    ),
    Matter(
        hours_ago=31, type="refund", customer="C-1002", subject="Charged twice for the same order", agent="Tom", priority="high",
        description="Two payments of 118.00 on the same day.", fields={"order": "A-1031", "reason": "Charged twice", "amount": 118},
        tags=("payment",), due_in_days=1, steps=((1, "begin", ""), (2, "wait", "")),
    ),
    Matter(
        hours_ago=28, type="delivery", customer="C-1001", subject="订单 A-1042 还没有发货", agent="Mei", priority="urgent",
        description="客户急用，已催两次。", fields={"order": "A-1042"}, tags=("vip",), due_in_days=0, steps=((1, "begin", ""),),
    ),
    Matter(
        hours_ago=27, type="delivery", customer="C-1001", subject="催发货 A-1042", fields={"order": "A-1042"}, steps=((1, "merge", ""),),
    ),
    Matter(
        hours_ago=20, type="repair", customer="C-1006", subject="台灯开关失灵", priority="low", agent="Alex",
        description="按下开关没有反应，灯泡换过了。", fields={"order": "A-1025", "fault": "开关失灵"}, steps=((2, "hold", ""),),
    ),
    Matter(
        hours_ago=8, type="delivery", customer="C-1005", subject="Parcel was left in the rain", agent="Mei",
        description="The box is soaked. She has not opened it yet.", fields={"order": "A-1050"},
    ),
    Matter(
        hours_ago=5, type="refund", customer="C-1006", subject="退货退款进度查询", fields={"order": "A-0999", "reason": "Returned"},
        description="客户想知道退款什么时候到账。",
    ),
    Matter(
        hours_ago=2, type="repair", customer="C-1002", subject="Replacement shade does not fit", fields={"order": "A-1046"},
        description="The ring is about two millimetres too small.", due_in_days=5,
    ),
)  # fmt: skip


def load_tickets(*, tenant: Tenant, by: Actor, now: datetime) -> None:
    """Make the demo's ticket types, and its tickets where the tenant has none."""
    group = SkillGroup.objects.filter(tenant=tenant, name=WAREHOUSE).first()
    if group is None:
        staff.create_group(group=SkillGroup(tenant=tenant, name=WAREHOUSE, title="Warehouse"), by=by, now=now)
    groups = {row.name: row for row in SkillGroup.objects.filter(tenant=tenant)}
    kinds = {given["name"]: _type(tenant, given, groups, by, now) for given in TYPES}
    if Ticket.objects.filter(tenant=tenant).exists():
        return
    people = {value: _customer(tenant, value, name, others, by, now) for value, (name, others) in CUSTOMERS.items()}
    agents = {row.name: row for row in Agent.objects.filter(tenant=tenant).select_related("user")}
    for matter in MATTERS:
        _open(tenant, matter, kinds, people, agents, by, now)


def _type(tenant: Tenant, given: dict[str, Any], groups: dict[str, SkillGroup], by: Actor, now: datetime) -> TicketType:
    found = TicketType.objects.filter(tenant=tenant, name=given["name"]).select_related("group").first()
    if found is not None:
        return found
    kind = TicketType(tenant=tenant, **{**given, "group": groups.get(given["group"])})
    return types.create_type(kind=kind, by=by, now=now)


def _customer(tenant: Tenant, value: str, name: str, others: Sequence[tuple[IdentityKind, str]], by: Actor, now: datetime) -> Customer:
    known = Identity.objects.filter(tenant=tenant, kind=IdentityKind.OWN, value=value).select_related("customer").first()
    if known is not None:
        return known.customer
    known_as = [(IdentityKind.OWN, value), *others]
    own = [NewIdentity(kind=kind, value=text, name=name, verified=True) for kind, text in known_as]
    return editing.create(tenant_id=tenant.pk, fields={"name": name}, identities=own, by=by, now=now)


def _open(
    tenant: Tenant,
    matter: Matter,
    kinds: dict[str, TicketType],
    people: dict[str, Customer],
    agents: dict[str, Agent],
    by: Actor,
    now: datetime,
) -> None:
    at = now - timedelta(hours=matter.hours_ago)
    agent = agents.get(matter.agent)
    new = NewTicket(
        type=kinds[matter.type],
        subject=matter.subject,
        description=matter.description,
        customer=people[matter.customer],
        priority=matter.priority,
        group=kinds[matter.type].group,
        fields=matter.fields,
        tags=matter.tags,
        due_on=None if matter.due_in_days is None else (now + timedelta(days=matter.due_in_days)).date(),
    )
    ticket = opening.open_ticket(tenant_id=tenant.pk, new=new, by=by, now=at)
    if agent is not None:
        changing.assign(ticket=ticket, agent=agent, by=by, now=at + timedelta(minutes=4))
    for hours, action, more in matter.steps:
        if agent is not None or action == "merge":
            _do(ticket, action, more, agent, kinds, Actor.of_user(agent.user) if agent else by, at + timedelta(hours=hours))


def _do(ticket: Ticket, action: str, more: str, agent: Agent | None, kinds: dict[str, TicketType], by: Actor, now: datetime) -> None:
    given: dict[str, Any] = {"ticket": ticket, "by": by, "now": now}
    if action == "note":
        notes.add_note(text=more, agent=agent, **given)
    elif action == "tick":
        items = list(ChecklistItem.objects.filter(ticket=ticket))
        for item in items if more == "all" else items[:1]:
            checklist.tick(item_id=item.pk, done=True, **given)
    elif action == "work_order":
        new = NewTicket(type=kinds[WAREHOUSE], subject="Look for power board PB-7", fields={"work": ["Recount"], "shelf": "C-12"})
        order = opening.open_work_order(parent=ticket, new=new, by=by, now=now)
        if agent is not None:
            linking.watch(ticket=order, agent=agent, by=by, now=now)
    elif action == "merge":
        target = Ticket.objects.filter(tenant_id=ticket.tenant_id, customer=ticket.customer_id).order_by("number").first()
        if target is not None:
            merging.merge(into=target, **given)
    else:
        progress.ACTIONS[action](**given)
