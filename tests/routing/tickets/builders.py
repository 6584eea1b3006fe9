"""Tickets and their types for tests."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from accounts.models import Tenant
from routing.models import Ticket, TicketEvent, TicketStatus, TicketType
from routing.tickets.opening import NewTicket, open_ticket
from tests.builders import untraced

NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
_numbers = itertools.count(1)


def make_type(tenant: Tenant, name: str = "", **fields: Any) -> TicketType:
    """Make a ticket type."""
    short = name or f"type-{next(_numbers)}"
    return TicketType.objects.create(tenant=tenant, name=short, created_at=NOW, **{"title": short.title(), **fields})


def make_ticket(tenant: Tenant, kind: TicketType | None = None, *, at: datetime = NOW, status: str = "", **given: Any) -> Ticket:
    """Open a ticket; `status` puts it there without a move."""
    new = NewTicket(type=kind or make_type(tenant), **{"subject": "The lamp is broken", **given})
    with untraced() as by:
        ticket = open_ticket(tenant_id=tenant.pk, new=new, by=by, now=at)
    if status:
        resolved = {"resolved_at": at} if status == TicketStatus.RESOLVED else {}
        Ticket.objects.filter(pk=ticket.pk).update(status=status, **resolved)
        ticket.refresh_from_db()
    return ticket


def kinds_of(ticket: Ticket) -> list[str]:
    """Return what happened to a ticket, in order."""
    return list(TicketEvent.objects.filter(ticket=ticket).order_by("pk").values_list("kind", flat=True))
