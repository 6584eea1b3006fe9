"""Open tickets: by hand, by the API, from a conversation, from the portal's form, after another, as work for another group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services.audit import Actor
from posthaste.lib.blank import is_blank
from posthaste.lib.dates import is_day_in_range
from posthaste.lib.problems import Conflict, Invalid, NotFound
from routing.actions import Action
from routing.models import (
    OPEN_TICKETS,
    Agent,
    ChecklistItem,
    Conversation,
    ConversationStatus,
    Customer,
    SkillGroup,
    Ticket,
    TicketKind,
    TicketLink,
    TicketLinkKind,
    TicketNumbers,
    TicketPriority,
    TicketStatus,
    TicketType,
)
from routing.tickets import addressee, hooks, places
from routing.tickets import fields as own_fields
from routing.tickets.history import Happening, write
from routing.tickets.storing import lock
from routing.tickets.types import tags_named

MAX_SUBJECT = 300
MAX_DESCRIPTION = 20_000


class StillOpen(Conflict):
    """A follow-up comes after a ticket that is over. This one is open, or can be reopened: go on in it."""

    code = "ticket_still_open"
    title = gettext_lazy("The ticket is not over")


@dataclass(frozen=True, kw_only=True, slots=True)
class NewTicket:
    """What a ticket is opened with. Without a group and an agent it goes to those of its type, or of its conversation.

    With an agent only it goes to that group if the agent is in it, else to the agent's own first one.
    """

    type: TicketType
    subject: str
    description: str = ""
    customer: Customer | None = None
    conversation: Conversation | None = None
    priority: str = ""
    group: SkillGroup | None = None
    agent: Agent | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()
    due_on: date | None = None


@transaction.atomic
def open_ticket(*, tenant_id: int, new: NewTicket, by: Actor, now: datetime, public_only: bool = False) -> Ticket:
    """Open a ticket under the tenant's next number. With `public_only` only what the portal offers is taken.

    Raises:
        Invalid: naming each wrong field.
        NotFound: the customer, conversation, group or agent is of another tenant.
    """
    _same_tenant(tenant_id, new.type, new.customer, new.conversation, new.group, new.agent)
    _must_be_usable(new, public_only=public_only)
    places.must_fit(new.agent, new.group)
    values = own_fields.checked_values(own_fields.of_type(new.type), new.fields, public_only=public_only)
    return _made(tenant_id, new, values, by=by, now=now)


def open_from_portal(
    *, tenant_id: int, kind: TicketType, customer: Customer, subject: str, description: str, fields: Mapping[str, Any], now: datetime
) -> Ticket:
    """Open what a customer filled in in the portal's form.

    Raises:
        Invalid: naming each wrong field.
        NotFound: the type is not offered there.
    """
    new = NewTicket(type=kind, subject=subject, description=description, customer=customer, fields=fields)
    return open_ticket(tenant_id=tenant_id, new=new, by=Actor.recipient(), now=now, public_only=True)


@transaction.atomic
def follow_up(*, ticket: Ticket, by: Actor, now: datetime, subject: str = "", description: str = "") -> Ticket:
    """Open a ticket that goes on where one that is over ended, linked to it; return the one that is open already, if there is one.

    Raises:
        StillOpen: the ticket is not over, or was merged: go on there.
    """
    before = lock(ticket.pk, tenant_id=ticket.tenant_id)
    if before.status not in (TicketStatus.RESOLVED, TicketStatus.CLOSED):
        raise StillOpen(_("Ticket #{n} is not over, so there is nothing to follow up.").format(n=before.number))
    after = TicketLink.objects.filter(other=before, kind=TicketLinkKind.FOLLOW_UP, ticket__status__in=OPEN_TICKETS)
    if known := after.select_related("ticket").order_by("pk").first():
        return known.ticket
    new = NewTicket(
        type=before.type,
        subject=subject or before.subject,
        description=description,
        customer=before.customer,
        conversation=before.conversation,
        priority=before.priority,
        group=before.group,
        tags=list(before.tags.values_list("name", flat=True)),
    )
    known_keys = {one.key for one in own_fields.of_type(before.type)}
    # What the type asks for today does not stop a follow-up: it has what was told the first time.
    values = {key: value for key, value in before.fields.items() if key in known_keys}
    made = _made(before.tenant_id, new, values, before=before, by=by, now=now)
    TicketLink.objects.create(ticket=made, other=before, kind=TicketLinkKind.FOLLOW_UP, created_at=now)
    write(before, Happening.FOLLOWED_UP, by=by, now=now, other=made.number)
    return made


@transaction.atomic
def open_work_order(*, parent: Ticket, new: NewTicket, by: Actor, now: datetime) -> Ticket:
    """Ask another group for work that a ticket needs; the ticket isn't resolved before it is done.

    Raises:
        Conflict: the ticket is over.
        Invalid: the type is none of a work order, or it has no group; and as for `open_ticket`.
    """
    above = lock(parent.pk, tenant_id=parent.tenant_id)
    if above.status not in OPEN_TICKETS:
        raise Conflict(_("Ticket #{n} is over. Reopen it, or open a follow-up.").format(n=above.number))
    if new.type.kind != TicketKind.WORK_ORDER:
        raise Invalid.field("type", _("This is no type of work orders."), "not_a_work_order")
    if new.group is None and new.type.group is None:
        raise Invalid.field("group", _("Say which group does it."), "required")
    made = open_ticket(tenant_id=above.tenant_id, new=replace(new, customer=above.customer, conversation=None), by=by, now=now)
    TicketLink.objects.create(ticket=made, other=above, kind=TicketLinkKind.WORK_ORDER, created_at=now)
    write(above, Happening.WORK_ORDER, by=by, now=now, other=made.number, type=new.type.name)
    return made


# --- parts -----------------------------------------------------------------------------------------------------------


def _made(tenant_id: int, new: NewTicket, values: Mapping[str, Any], *, before: Ticket | None = None, by: Actor, now: datetime) -> Ticket:
    tags = tags_named(new.tags, tenant_id=tenant_id, by=by, now=now) if new.tags else []
    group, agent = _place(new)
    ticket = Ticket(
        tenant_id=tenant_id,
        number=_next_number(tenant_id),
        type=new.type,
        status=TicketStatus.ASSIGNED if agent else TicketStatus.QUEUED if group else TicketStatus.NEW,
        priority=new.priority or new.type.priority,
        subject=new.subject.strip(),
        description=new.description.replace("\x00", ""),
        customer=new.customer or (new.conversation.customer if new.conversation else None),
        conversation=new.conversation,
        group=group,
        agent=agent,
        fields=values,
        due_on=new.due_on,
        opened_by=str(by)[:150],
        created_at=now,
        changed_at=now,
    )
    ticket.save(force_insert=True)
    if tags:
        ticket.tags.set(tags)
    items = enumerate(new.type.checklist)
    ChecklistItem.objects.bulk_create([ChecklistItem(ticket=ticket, place=place, text=text) for place, text in items])
    given: dict[str, Any] = {"type": new.type.name, "priority": ticket.priority, "group": str(group or ""), "agent": str(agent or "")}
    if ticket.conversation_id is None and new.type.kind == TicketKind.REQUEST:
        given[addressee.KNOWN_AS] = addressee.of(before or ticket)
    write(ticket, Happening.OPENED, by=by, now=now, action=Action.TICKET_OPEN, to=ticket.status, **given)
    hooks.tell_opened(ticket, now=now)
    return ticket


def _next_number(tenant_id: int) -> int:
    """Take the tenant's next number. Others wait for it until the transaction ends, so that one that is rolled back leaves no gap."""
    if not TicketNumbers.objects.filter(tenant_id=tenant_id).update(last=F("last") + 1):
        TicketNumbers.objects.bulk_create([TicketNumbers(tenant_id=tenant_id)], ignore_conflicts=True)
        TicketNumbers.objects.filter(tenant_id=tenant_id).update(last=F("last") + 1)
    return TicketNumbers.objects.get(tenant_id=tenant_id).last


def _place(new: NewTicket) -> tuple[SkillGroup | None, Agent | None]:
    """Return the group and the agent that get it: those that are named, the type's group, then those of the conversation."""
    talk = new.conversation
    if new.group is not None:
        return new.group, new.agent
    if new.agent is not None:
        return places.group_for(new.agent, kept=new.type.group or (talk.group if talk else None)), new.agent
    if new.type.group is not None:
        return new.type.group, None
    if talk is None:
        return None, None
    agent = talk.agent if talk.status == ConversationStatus.ASSIGNED else None
    return places.group_for(agent, kept=talk.group), agent


def _must_be_usable(new: NewTicket, *, public_only: bool) -> None:
    """Check what every type has.

    Raises:
        Invalid: naming each wrong field.
        NotFound: the portal does not offer this type.
    """
    if public_only and not (new.type.is_public and new.type.is_active and new.type.kind == TicketKind.REQUEST):
        raise NotFound(_("There is no such form."))
    errors = []
    if not new.type.is_active:
        errors.append({"field": "type", "code": "inactive", "message": _("This type is switched off.")})
    if is_blank(new.subject):
        errors.append({"field": "subject", "code": "required", "message": _("Enter a subject.")})
    if len(new.subject.strip()) > MAX_SUBJECT or "\x00" in new.subject:
        errors.append({"field": "subject", "code": "too_long", "message": _("At most {n} characters.").format(n=MAX_SUBJECT)})
    if len(new.description) > MAX_DESCRIPTION:
        errors.append({"field": "description", "code": "too_long", "message": _("At most {n} characters.").format(n=MAX_DESCRIPTION)})
    if new.due_on is not None and not is_day_in_range(new.due_on):
        errors.append({"field": "due_on", "code": "out_of_range", "message": _("Must be between 1970 and 2999.")})
    if new.priority and new.priority not in TicketPriority.values:
        errors.append({"field": "priority", "code": "invalid_choice", "message": _("Must be urgent, high, normal or low.")})
    if new.agent is not None and not new.agent.is_active:
        errors.append({"field": "agent", "code": "inactive", "message": _("This agent is not active.")})
    if new.customer and new.conversation and new.conversation.customer_id != new.customer.pk:
        errors.append({"field": "conversation", "code": "invalid", "message": _("This is a conversation of another customer.")})
    owner = new.customer or (new.conversation.customer if new.conversation else None)
    if owner is not None and owner.erased_at is not None:
        errors.append({"field": "customer", "code": "erased", "message": _("This customer was erased.")})
    if errors:
        raise Invalid(errors=errors)


def _same_tenant(tenant_id: int, *rows: Any) -> None:
    if any(row is not None and row.tenant_id != tenant_id for row in rows):
        raise NotFound
