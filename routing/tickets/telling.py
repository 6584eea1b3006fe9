"""Tell webhooks and event streams what happens to tickets. Imported when the application starts, in every process."""

from collections.abc import Collection
from datetime import datetime

from routing import event_types, events
from routing.models import Ticket, TicketStatus
from routing.tickets import hooks

#: Moves that have a type of their own.
MOVES = {
    TicketStatus.RESOLVED: event_types.TICKET_RESOLVED,
    TicketStatus.CLOSED: event_types.TICKET_CLOSED,
    TicketStatus.MERGED: event_types.TICKET_MERGED,
}


@hooks.on_opened
def opened(ticket: Ticket, now: datetime) -> None:
    """Tell of a new ticket."""
    events.ticket(event_types.TICKET_OPENED, ticket, now=now)


@hooks.on_moved
def moved(ticket: Ticket, before: str, now: datetime) -> None:
    """Tell that a ticket has another status."""
    more = {"merged_into": str(ticket.merged_into_id)} if ticket.status == TicketStatus.MERGED and ticket.merged_into_id else {}
    events.ticket(MOVES.get(TicketStatus(ticket.status), event_types.TICKET_MOVED), ticket, now=now, previous_status=before, **more)


@hooks.on_changed
def changed(ticket: Ticket, fields: Collection[str], now: datetime) -> None:
    """Tell which fields of a ticket have changed."""
    events.ticket(event_types.TICKET_CHANGED, ticket, now=now, changed=sorted(fields))
