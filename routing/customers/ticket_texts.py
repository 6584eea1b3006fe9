"""What tickets hold about a customer: given out with an export, and erased with the rest."""

from typing import Any
from uuid import UUID

from routing.models import Note, Ticket, TicketEvent

Json = dict[str, Any]


def exported(customers: list[UUID]) -> list[Json]:
    """Return the tickets of customers, without what agents wrote among themselves."""
    names = ("id", "number", "status", "priority", "subject", "description", "fields", "due_on", "created_at", "resolved_at", "closed_at")
    rows = Ticket.objects.filter(customer__in=customers).select_related("type").order_by("pk")
    return [{**{name: getattr(row, name) for name in names}, "type": row.type.name} for row in rows]


def erase(customers: list[UUID]) -> dict[str, int]:
    """Empty the tickets of customers and their history, delete the notes about them, and return the numbers of both."""
    tickets = Ticket.objects.filter(customer__in=customers)
    notes = Note.objects.filter(ticket__customer__in=customers) | Note.objects.filter(conversation__customer__in=customers)
    TicketEvent.objects.filter(ticket__customer__in=customers).update(data={})
    number_of_notes: int = Note.objects.filter(pk__in=list(notes.values_list("pk", flat=True))).delete()[0]
    return {"tickets": tickets.update(subject="", description="", fields={}), "notes": number_of_notes}
