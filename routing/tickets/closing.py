"""Close resolved tickets when the window in which they are reopened is over."""

from datetime import datetime, timedelta

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.services.audit import Actor
from jobs.registry import Blocking, job
from posthaste.lib import queues
from posthaste.lib.resting import Resting
from routing.configuration import service_levels
from routing.models import Ticket, TicketStatus
from routing.tickets.storing import lock
from routing.tickets.transitions import CLOSED, move

log = structlog.get_logger(__name__)
MAX_AT_ONCE = 500  # a tenant and run; the next run takes the others
CLOSER = Actor.system("tickets.close")
_resting = Resting("close_tickets")


@job(
    "routing.close_tickets",
    title=_("Close resolved tickets"),
    purpose=_("Closes tickets that were resolved longer ago than they can be reopened."),
    every=timedelta(minutes=10),
    timeout=timedelta(minutes=5),
    blocking=Blocking.DISCARD,
    stoppable=False,
    queue=queues.DELAYED,
)
def close_resolved() -> None:
    """Close what was resolved long enough ago."""
    close_due(now=timezone.now())


def close_due(*, now: datetime) -> int:
    """Close the tickets whose window is over, and return their number. An error of one does not stop the others, and it rests."""
    resolved = Ticket.objects.filter(status=TicketStatus.RESOLVED).exclude(pk__in=_resting.ids(now=now))
    closed = 0
    for tenant_id in list(resolved.order_by().values_list("tenant_id", flat=True).distinct()):
        before = now - timedelta(days=service_levels.of(tenant_id).reopen_days)
        due = resolved.filter(tenant_id=tenant_id, resolved_at__lte=before).order_by("resolved_at")
        closed += sum(_close(ticket, before, now) for ticket in list(due[:MAX_AT_ONCE]))
    return closed


def _close(ticket: Ticket, before: datetime, now: datetime) -> bool:
    try:
        return _closed(ticket, before, now)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the next run closes
    except Exception:
        log.exception("a ticket was not closed", ticket=str(ticket.pk))
        _resting.failed(ticket.pk, now=now)
        return False


@transaction.atomic
def _closed(ticket: Ticket, before: datetime, now: datetime) -> bool:
    row = lock(ticket.pk, tenant_id=ticket.tenant_id)
    if row.status != TicketStatus.RESOLVED or row.resolved_at is None or row.resolved_at > before:
        return False  # it was reopened meanwhile
    move(row, to=CLOSED, by=CLOSER, now=now)
    return True
