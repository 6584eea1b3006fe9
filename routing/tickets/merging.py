"""Merge a ticket into another, and take that back.

Nothing moves: the merged one keeps its history, notes, watchers, links and work orders, and the page of the other shows them too
(`routing.tickets.family`). So undoing gives back exactly what was there.
"""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict
from routing.actions import Action
from routing.models import OPEN_TICKETS, Ticket, TicketEvent, TicketStatus
from routing.tickets.history import Happening, write
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


@transaction.atomic
def merge(*, ticket: Ticket, into: Ticket, version: int | None = None, by: Actor, now: datetime) -> Ticket:
    """Merge a ticket into another of the tenant, which goes on; return that one.

    Raises:
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
    before = row.status
    move(row, to=MERGED, by=by, now=now, action=None, merged_into=target)
    given = {"into": target.number, "status": before}
    write(row, Happening.MERGED, by=by, now=now, action=Action.TICKET_MERGE, **given)
    write(target, Happening.TOOK_IN, by=by, now=now, other=row.number, subject=row.subject)
    return target


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
