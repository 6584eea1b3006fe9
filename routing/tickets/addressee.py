"""The addressee of a ticket without a conversation: the customer, as they were known when it was opened.

The event that opens it keeps the identities. A customer may lose one later: another customer proves it, a merge is undone. Then the ticket
is not shown to who is left.
"""

from collections.abc import Collection
from uuid import UUID

from routing.customers.values import ERASED
from routing.models import Identity, IdentityKind, Ticket, TicketEvent
from routing.tickets.history import Happening

#: In the data of the event that opens a ticket.
KNOWN_AS = "known_as"


def kept_of(ticket_ids: Collection[UUID]) -> dict[UUID, list[str]]:
    """Return what was kept of tickets, by their ids."""
    opened = TicketEvent.objects.filter(ticket__in=ticket_ids, kind=Happening.OPENED)
    return {ticket: data[KNOWN_AS] for ticket, data in opened.values_list("ticket", "data") if KNOWN_AS in data}


def of(ticket: Ticket) -> list[str]:
    """Return to which identities a ticket without a conversation is addressed; of one that kept none, as its customer is known now."""
    if ticket.customer_id is None:
        return []
    kept = kept_of([ticket.pk]).get(ticket.pk)
    return known_identities(ticket.customer_id) if kept is None else kept


def known_identities(customer_id: UUID) -> list[str]:
    """Return the ids of the identities that a customer is known under; browsers count only where there is nothing else."""
    rows = Identity.objects.filter(customer_id=customer_id).exclude(value__startswith=ERASED).order_by("pk")
    found = [(str(pk), kind) for pk, kind in rows.values_list("pk", "kind")]
    others = [pk for pk, kind in found if kind != IdentityKind.PORTAL]
    return others or [pk for pk, _kind in found]
