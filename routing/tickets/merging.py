"""Merge a ticket into another, and take that back.

Nothing moves: the merged one keeps its history, notes, watchers, links and work orders, and the page of the other shows them too
(`routing.tickets.family`). So undoing gives back exactly what was there.
"""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict
from routing.actions import Action
from routing.models import OPEN_TICKETS, Ticket, TicketEvent, TicketStatus
from routing.tickets.history import ACROSS, Happening, write
from routing.tickets.storing import lock_all, must_be
from routing.tickets.transitions import MERGED, NEEDS_AGENT, QUEUED, MoveRefused, move


class SameTicket(Conflict):
    """Name two different tickets. None is merged with itself or linked to itself."""

    code = "same_ticket"
    title = gettext_lazy("This is the same ticket")


class NotMergeable(Conflict):
    """A ticket is merged into one that is open, and is open itself. Reopen it first, or go on in the one that it was merged into."""

    code = "ticket_not_mergeable"
    title = gettext_lazy("These tickets can't be merged")


class DifferentCustomers(Conflict):
    """The tickets are of different customers; `customers` names both. Merge them only if you mean it: send `across_customers`."""

    code = "different_customers"
    title = gettext_lazy("The tickets are of different customers")


@transaction.atomic
def merge(*, ticket: Ticket, into: Ticket, across_customers: bool = False, version: int | None = None, by: Actor, now: datetime) -> Ticket:
    """Merge a ticket into another of the tenant, which goes on; return that one.

    Tickets of different customers are merged only if the caller says so: who has the one that goes on sees nothing of the other in the
    portal, but agents see both together, and may answer the wrong one.

    Raises:
        DifferentCustomers: they are, and `across_customers` is not set; the problem names both.
        SameTicket, NotMergeable, MoveRefused: it is not possible; nothing was changed.
        TicketChanged: it was changed since `version`.
        NotFound: the other one is of another tenant.
    """
    if ticket.pk == into.pk:
        raise SameTicket(_("Ticket #{n} is not merged with itself.").format(n=ticket.number))
    rows = lock_all([ticket.pk, into.pk], tenant_id=ticket.tenant_id)
    row, target = rows[ticket.pk], rows[into.pk]
    must_be(row, version)
    if target.status not in OPEN_TICKETS:
        said = _("Ticket #{n} is “{status}”, so nothing is merged into it.")
        raise NotMergeable(said.format(n=target.number, status=target.get_status_display()))
    if row.type.kind != target.type.kind:
        raise NotMergeable(_("A work order and a request are not merged."))
    across = are_of_different_customers(row, target)
    if across and not across_customers:
        told = [_customer_of(row), _customer_of(target)]
        said = _("Ticket #{n} is of {customer}, ticket #{m} is of {other}. Merge the customers first if they are one person.")
        said = said.format(n=row.number, customer=told[0]["name"], m=target.number, other=told[1]["name"])
        raise DifferentCustomers(said, customers=told)
    before = row.status
    move(row, to=MERGED, by=by, now=now, action=None, merged_into=target)
    # Ids, no names: what is told of a customer in another's history would outlive them.
    across_told: dict[str, Any] = {ACROSS: [str(row.customer_id), str(target.customer_id)]} if across else {}
    write(row, Happening.MERGED, by=by, now=now, action=Action.TICKET_MERGE, into=target.number, status=before, **across_told)
    # Another customer's subject stays in their own ticket.
    subject: dict[str, Any] = {} if across else {"subject": row.subject}
    write(target, Happening.TOOK_IN, by=by, now=now, other=row.number, **subject, **across_told)
    return target


def are_of_different_customers(ticket: Ticket, other: Ticket) -> bool:
    """Return whether two tickets name two customers; one that names none goes with any."""
    return None not in (ticket.customer_id, other.customer_id) and ticket.customer_id != other.customer_id


def _customer_of(ticket: Ticket) -> dict[str, Any]:
    customer = ticket.customer
    name = customer.name if customer is not None else ""
    return {"id": str(ticket.customer_id), "name": name or _("a customer without a name"), "ticket": ticket.number}


@transaction.atomic
def undo_merge(*, ticket: Ticket, by: Actor, now: datetime) -> Ticket:
    """Take a merge back: the ticket is what it was.

    Raises:
        MoveRefused: it is not merged.
    """
    rows = lock_all([ticket.pk], tenant_id=ticket.tenant_id)
    row = rows[ticket.pk]
    target = row.merged_into
    if row.status != MERGED or target is None:
        raise MoveRefused(_("It is not merged."), current=row.status, possible=[])
    merged = TicketEvent.objects.filter(ticket=row, kind=Happening.MERGED).order_by("-pk").first()
    before = TicketStatus(merged.data.get("status", QUEUED)) if merged else QUEUED
    # Its agent may be gone since.
    to = QUEUED if before in NEEDS_AGENT and row.agent is None else before
    move(row, to=to, by=by, now=now, action=None, merged_into=None)
    write(row, Happening.UNMERGED, by=by, now=now, action=Action.TICKET_MERGE_UNDO, other=target.number)
    write(target, Happening.UNMERGED, by=by, now=now, other=row.number)
    return row
