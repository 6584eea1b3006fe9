"""What the parts above do when a ticket changes: clocks start, stand still and stop, integrators are told.

They register when they are imported (`routing.apps` sees to that), and are called in the transaction of the change. What they do outside of
the database they leave to `transaction.on_commit`. `before` is the ticket's status before the move.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from routing.models import Ticket, TicketEvent

Opened = Callable[[Ticket, datetime], object]
Moved = Callable[[Ticket, str, datetime], object]
Changed = Callable[[Ticket, Collection[str], datetime], object]
Talked = Callable[[Sequence[Ticket], datetime], object]
Happened = Callable[[Ticket, TicketEvent], object]
_opened: list[Opened] = []
_moved: list[Moved] = []
_changed: list[Changed] = []
_answered: list[Talked] = []
_asked: list[Talked] = []
_happened: list[Happened] = []


def on_opened(react: Opened) -> Opened:
    """Have a function called with each new ticket. Usable as a decorator."""
    _opened.append(react)
    return react


def on_moved(react: Moved) -> Moved:
    """Have a function called with each ticket that has another status, and the one before. Usable as a decorator."""
    _moved.append(react)
    return react


def on_changed(react: Changed) -> Changed:
    """Have a function called with each ticket whose fields changed, and their names, such as `priority`. Usable as a decorator."""
    _changed.append(react)
    return react


def on_answered(react: Talked) -> Talked:
    """Have a function called with the open tickets of a conversation in which an agent answered. Usable as a decorator."""
    _answered.append(react)
    return react


def on_asked(react: Talked) -> Talked:
    """Have a function called with the open tickets of conversations in which customers wrote. Usable as a decorator."""
    _asked.append(react)
    return react


def on_happened(react: Happened) -> Happened:
    """Have a function called with each event of a ticket's history. Usable as a decorator."""
    _happened.append(react)
    return react


def tell_opened(ticket: Ticket, *, now: datetime) -> None:
    """Call what is registered for new tickets."""
    for react in _opened:
        react(ticket, now)


def tell_moved(ticket: Ticket, before: str, *, now: datetime) -> None:
    """Call what is registered for tickets with another status."""
    for react in _moved:
        react(ticket, before, now)


def tell_changed(ticket: Ticket, fields: Collection[str], *, now: datetime) -> None:
    """Call what is registered for tickets whose fields changed."""
    for react in _changed if fields else ():
        react(ticket, fields, now)


def tell_answered(tickets: Sequence[Ticket], *, now: datetime) -> None:
    """Call what is registered for an agent's answers."""
    for react in _answered if tickets else ():
        react(tickets, now)


def tell_asked(tickets: Sequence[Ticket], *, now: datetime) -> None:
    """Call what is registered for customers' texts."""
    for react in _asked if tickets else ():
        react(tickets, now)


def tell_happened(ticket: Ticket, event: TicketEvent) -> None:
    """Call what is registered for events of the history."""
    for react in _happened:
        react(ticket, event)
