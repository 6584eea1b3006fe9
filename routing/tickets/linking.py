"""What a ticket has to do with others, and who watches it."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict, Invalid, NotFound
from routing.actions import Action
from routing.models import Agent, Ticket, TicketLink, TicketLinkKind, TicketWatcher
from routing.tickets.history import Happening, write
from routing.tickets.merging import SameTicket
from routing.tickets.storing import lock_all

#: Links that people make. The others come with a follow-up and a work order.
BY_HAND = (TicketLinkKind.RELATED, TicketLinkKind.DUPLICATE, TicketLinkKind.BLOCKED)
MAX_LINKS = 200


@transaction.atomic
def link(*, ticket: Ticket, other: Ticket, kind: str = TicketLinkKind.RELATED, by: Actor, now: datetime) -> TicketLink:
    """Say what a ticket is to another; nothing happens if that is said already.

    Raises:
        SameTicket: it is the same one.
        Invalid: people don't make links of this kind, or there are too many.
        Conflict: each would block the other, or several in a circle.
        NotFound: the other one is of another tenant.
    """
    if ticket.pk == other.pk:
        raise SameTicket(_("Ticket #{n} is not linked to itself.").format(n=ticket.number))
    if kind not in BY_HAND:
        raise Invalid.field("kind", _("Must be related, duplicate or blocked."), "invalid_choice")
    rows = lock_all([ticket.pk, other.pk], tenant_id=ticket.tenant_id)
    first, second = rows[ticket.pk], rows[other.pk]
    same = Q(ticket=first, other=second, kind=kind)
    if kind == TicketLinkKind.RELATED:  # which goes both ways
        same |= Q(ticket=second, other=first, kind=kind)
    if known := TicketLink.objects.filter(same).first():
        return known
    if kind == TicketLinkKind.BLOCKED and _is_blocked(second, by=first):
        raise Conflict(_("Ticket #{n} is blocked by this one already.").format(n=second.number))
    if TicketLink.objects.filter(ticket=first).count() >= MAX_LINKS:
        raise Invalid.field("other", _("At most {n} entries.").format(n=MAX_LINKS), "too_many")
    made = TicketLink.objects.create(ticket=first, other=second, kind=kind, created_at=now)
    write(first, Happening.LINKED, by=by, now=now, action=Action.TICKET_LINK, other=second.number, link=kind)
    write(second, Happening.LINKED, by=by, now=now, other=first.number, link=kind, is_reverse=True)
    return made


def _is_blocked(ticket: Ticket, *, by: Ticket) -> bool:
    """Return whether a ticket waits for another, also through others between them."""
    seen, newest = {ticket.pk}, {ticket.pk}
    while newest:
        rows = TicketLink.objects.filter(ticket__in=newest, kind=TicketLinkKind.BLOCKED)
        newest = set(rows.values_list("other_id", flat=True)) - seen
        if by.pk in newest:
            return True
        seen |= newest
    return False


@transaction.atomic
def unlink(*, ticket: Ticket, link_id: int, by: Actor, now: datetime) -> None:
    """Remove a link that a ticket has, whichever of the two made it.

    Raises:
        NotFound: the ticket has no such link.
        Conflict: it tells where a follow-up or a work order comes from, so it stays.
    """
    own = TicketLink.objects.filter(Q(ticket=ticket) | Q(other=ticket), pk=link_id)
    found = own.select_related("ticket", "other").first()
    if found is None:
        raise NotFound(_("The ticket has no such link."))
    if found.kind not in BY_HAND:
        raise Conflict(_("This link stays: it tells where the ticket comes from."))
    if own.delete()[0]:
        told: dict[str, Any] = {"link": found.kind}
        write(found.ticket, Happening.UNLINKED, by=by, now=now, action=Action.TICKET_UNLINK, other=found.other.number, **told)
        write(found.other, Happening.UNLINKED, by=by, now=now, other=found.ticket.number, **told)


@transaction.atomic
def watch(*, ticket: Ticket, agent: Agent, by: Actor, now: datetime) -> bool:
    """Have an agent told of what happens to a ticket; return whether that is new.

    Raises:
        NotFound: the agent is of another tenant.
    """
    if agent.tenant_id != ticket.tenant_id:
        raise NotFound
    _watcher, is_new = TicketWatcher.objects.get_or_create(ticket=ticket, agent=agent)
    if is_new:
        write(ticket, Happening.WATCHED, by=by, now=now, action=Action.TICKET_WATCH, agent=agent.name)
    return is_new


@transaction.atomic
def unwatch(*, ticket: Ticket, agent: Agent, by: Actor, now: datetime) -> bool:
    """Have an agent not told any more; return whether they were."""
    was = bool(TicketWatcher.objects.filter(ticket=ticket, agent=agent).delete()[0])
    if was:
        write(ticket, Happening.UNWATCHED, by=by, now=now, action=Action.TICKET_UNWATCH, agent=agent.name)
    return was
