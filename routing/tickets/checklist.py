"""The checklist of a ticket: what has to be done before it is resolved."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from accounts.services.audit import Actor
from posthaste.lib.problems import Invalid, NotFound
from routing.actions import Action
from routing.models import OPEN_TICKETS, ChecklistItem, Ticket
from routing.tickets.history import Happening, write
from routing.tickets.storing import TicketOver, lock
from routing.tickets.types import MAX_ITEMS, checked_items

MAX_PLACE = 200


@transaction.atomic
def tick(*, ticket: Ticket, item_id: UUID, done: bool, by: Actor, now: datetime) -> ChecklistItem:
    """Say whether an item is done; nothing happens if that is said already.

    Raises:
        NotFound: the ticket has no such item.
        TicketOver: the ticket is over.
    """
    row = _open(ticket)
    rows = ChecklistItem.objects.filter(ticket=row, pk=item_id)
    changed = rows.filter(done_at__isnull=done).update(done_at=now if done else None, done_by=str(by)[:150] if done else "")
    item = rows.first()
    if item is None:
        raise NotFound(_("The ticket's checklist has no such item."))
    if changed:
        write(row, Happening.CHECKED if done else Happening.UNCHECKED, by=by, now=now, action=Action.TICKET_CHECK, item=item.text)
    return item


@transaction.atomic
def add_item(*, ticket: Ticket, text: str, by: Actor, now: datetime) -> ChecklistItem:
    """Add an item at the end.

    Raises:
        Invalid: it is empty or too long, or the list is full.
        TicketOver: the ticket is over.
    """
    row = _open(ticket)
    texts = checked_items([text.replace("\x00", "")])
    if not texts:
        raise Invalid.field("text", _("Write a text."), "required")
    own = ChecklistItem.objects.filter(ticket=row)
    last = own.aggregate(last=Max("place"))["last"]
    place = 0 if last is None else last + 1
    if own.count() >= MAX_ITEMS or place > MAX_PLACE:
        raise Invalid.field("text", _("At most {n} entries.").format(n=MAX_ITEMS), "too_many")
    item = ChecklistItem.objects.create(ticket=row, place=place, text=texts[0])
    write(row, Happening.ITEM_ADDED, by=by, now=now, action=Action.TICKET_CHECK, item=item.text)
    return item


@transaction.atomic
def remove_item(*, ticket: Ticket, item_id: UUID, by: Actor, now: datetime) -> None:
    """Remove an item.

    Raises:
        NotFound: the ticket has no such item.
        TicketOver: the ticket is over.
    """
    row = _open(ticket)
    item = ChecklistItem.objects.filter(ticket=row, pk=item_id).first()
    if item is None:
        raise NotFound(_("The ticket's checklist has no such item."))
    item.delete()
    write(row, Happening.ITEM_REMOVED, by=by, now=now, action=Action.TICKET_CHECK, item=item.text)


def _open(ticket: Ticket) -> Ticket:
    row = lock(ticket.pk, tenant_id=ticket.tenant_id)
    if row.status not in OPEN_TICKETS:
        raise TicketOver(_("Ticket #{n} is “{status}”.").format(n=row.number, status=row.get_status_display()))
    return row
