"""What the parts above do when a ticket changes: clocks start, stand still and stop, integrators are told.

They register when they are imported (`routing.apps` sees to that), and are called in the transaction of the change. What they do outside of
the database they leave to `transaction.on_commit`. `before` is the ticket's status before the move.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from posthaste.lib.hooks import Hook
from routing.models import Ticket, TicketEvent

#: Each new ticket.
on_opened: Hook[Ticket, datetime] = Hook()
#: Each ticket that has another status, and the one before.
on_moved: Hook[Ticket, str, datetime] = Hook()
#: Each ticket whose fields changed, and their names, such as `priority`.
on_changed: Hook[Ticket, Collection[str], datetime] = Hook()
#: The open tickets of a conversation in which an agent answered.
on_answered: Hook[Sequence[Ticket], datetime] = Hook()
#: The open tickets of conversations in which customers wrote.
on_asked: Hook[Sequence[Ticket], datetime] = Hook()
#: Each event of a ticket's history.
on_happened: Hook[Ticket, TicketEvent] = Hook()


def tell_opened(ticket: Ticket, *, now: datetime) -> None:
    """Call what is registered for new tickets."""
    on_opened.tell(ticket, now)


def tell_moved(ticket: Ticket, before: str, *, now: datetime) -> None:
    """Call what is registered for tickets with another status."""
    on_moved.tell(ticket, before, now)


def tell_changed(ticket: Ticket, fields: Collection[str], *, now: datetime) -> None:
    """Call what is registered for tickets whose fields changed."""
    if fields:
        on_changed.tell(ticket, fields, now)


def tell_answered(tickets: Sequence[Ticket], *, now: datetime) -> None:
    """Call what is registered for an agent's answers."""
    if tickets:
        on_answered.tell(tickets, now)


def tell_asked(tickets: Sequence[Ticket], *, now: datetime) -> None:
    """Call what is registered for customers' texts."""
    if tickets:
        on_asked.tell(tickets, now)


def tell_happened(ticket: Ticket, event: TicketEvent) -> None:
    """Call what is registered for events of the history."""
    on_happened.tell(ticket, event)
