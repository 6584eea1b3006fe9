"""Tickets, their types and tags for the walks over all addresses."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from accounts.models import Tenant
from routing.models import Agent, ChecklistItem, Tag, Ticket, TicketKind, TicketLink, TicketType
from routing.tickets import checklist, linking, merging
from tests.builders import untraced
from tests.routing.conversations.builders import make_asked
from tests.routing.tickets.builders import make_ticket, make_type


@dataclass(frozen=True, slots=True)
class OwnedTickets:
    """An open ticket with everything that belongs to one, another, a resolved, a merged and an asked one, types and a tag."""

    type: TicketType
    empty_type: TicketType
    ticket: Ticket
    other: Ticket
    resolved: Ticket
    merged: Ticket
    asked: Ticket
    link: TicketLink
    item: ChecklistItem
    watcher: Agent
    tag: Tag

    def rows(self) -> list[Any]:
        """List those whose ids no other tenant may read."""
        return [self.type, self.empty_type, self.ticket, self.other, self.resolved, self.merged, self.asked, self.item, self.tag]


def make_tickets(tenant: Tenant, agent: Agent) -> OwnedTickets:
    """Make one of everything about tickets."""
    kind, now = make_type(tenant, "a-own-type", title="A's own type"), timezone.now()
    order = make_type(tenant, "a-own-order", title="A's own order", kind=TicketKind.WORK_ORDER, group=agent.skills.get().group)
    ticket, other, merged = (make_ticket(tenant, kind, subject=f"A's own {n}", at=now) for n in ("ticket", "other", "merged"))
    tagged = make_ticket(tenant, kind, subject="A's own resolved", status="resolved", at=now, tags=["A's own tag"])
    asked = make_ticket(tenant, kind, subject="A's own question", at=now, conversation=make_asked(tenant))
    with untraced() as by:
        link = linking.link(ticket=ticket, other=other, by=by, now=now)
        item = checklist.add_item(ticket=ticket, text="A's own item", by=by, now=now)
        linking.watch(ticket=ticket, agent=agent, by=by, now=now)
        merging.merge(ticket=merged, into=other, by=by, now=now)
    merged.refresh_from_db()
    return OwnedTickets(kind, order, ticket, other, tagged, merged, asked, link, item, agent, Tag.objects.get(tenant=tenant))


ONE = "tickets.ticket.pk"
#: As `SAMPLES` of test_tenants.
TICKETS: dict[str, tuple[str, dict[str, Any]]] = {
    "api/tickets/<uuid:id>/": (ONE, {"PATCH": {"subject": "mine now"}}),
    "api/tickets/<uuid:id>/assign/": (ONE, {"POST": {"agent": "a-new-agent"}}),
    "api/tickets/<uuid:id>/move/": (ONE, {"POST": {"action": "hold"}}),
    "api/tickets/<uuid:id>/merge/": ("tickets.ticket.pk", {"POST": {"into": "2"}}),
    "api/tickets/<uuid:id>/unmerge/": ("tickets.merged.pk", {}),
    "api/tickets/<uuid:id>/follow-up/": ("tickets.resolved.pk", {}),
    "api/tickets/<uuid:id>/work-orders/": (
        ONE,
        {"POST": {"type": "a-own-order", "subject": "mine"}},
    ),
    "api/tickets/<uuid:id>/events/": (ONE, {}),
    "api/tickets/<uuid:id>/notes/": (ONE, {"POST": {"text": "mine"}}),
    "api/tickets/<uuid:id>/replies/": ("tickets.asked.pk", {"POST": {"text": "mine"}}),
    "api/tickets/<uuid:id>/links/": (ONE, {"POST": {"other": "2", "kind": "duplicate"}}),
    "api/tickets/<uuid:id>/links/<int:link>/": (f"{ONE} tickets.link.pk", {}),
    "api/tickets/<uuid:id>/watchers/": (ONE, {"POST": {"agent": "a-new-agent"}}),
    "api/tickets/<uuid:id>/watchers/<uuid:agent>/": (f"{ONE} tickets.watcher.pk", {}),
    "api/tickets/<uuid:id>/checklist/": (ONE, {"POST": {"text": "mine"}}),
    "api/tickets/<uuid:id>/checklist/<uuid:item>/": (f"{ONE} tickets.item.pk", {"PUT": {"done": True}}),
    "api/ticket-types/<slug:name>/": ("tickets.empty_type.name", {"PATCH": {"title": "mine"}}),
    "api/tags/<uuid:id>/": ("tickets.tag.pk", {"PATCH": {"name": "mine"}}),
}
