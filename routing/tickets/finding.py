"""Reading tickets: lists of one or several tenants, and all about one."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from django.db.models import Q, QuerySet

from accounts.tenancy import owned_by
from routing.customers import names
from routing.models import (
    OPEN_TICKETS,
    Agent,
    ChecklistItem,
    Customer,
    Note,
    SkillGroup,
    Tag,
    Ticket,
    TicketEvent,
    TicketLink,
    TicketLinkKind,
    TicketType,
    TicketWatcher,
)
from routing.tickets.family import family_ids

#: Events and notes that one answer or page has: the newest ones.
MAX_EVENTS = 500
#: Customers whose name has a part: so many are named one by one.
MAX_CUSTOMERS = 200
#: The largest number that a database column of numbers of tickets has.
MAX_NUMBER = 2**31 - 1
MAX_DIGITS = 10


def tickets(*tenant_ids: int) -> "QuerySet[Ticket]":
    """Return tickets of tenants, newest first, with what a list shows."""
    rows = owned_by(Ticket.objects.all(), *tenant_ids)
    return rows.select_related("type", "customer", "group", "agent").prefetch_related("tags").order_by("-pk")


def types(*tenant_ids: int) -> "QuerySet[TicketType]":
    """Return the ticket types of tenants."""
    return owned_by(TicketType.objects.select_related("group"), *tenant_ids)


def tags(*tenant_ids: int) -> "QuerySet[Tag]":
    """Return the tags of tenants."""
    return owned_by(Tag.objects.all(), *tenant_ids)


def searched(rows: "QuerySet[Ticket]", text: str, *, tenant_ids: Collection[int]) -> "QuerySet[Ticket]":
    """Keep the tickets that a text means: a number, with or without #, or a part of subject, customer's name or a field."""
    term = text.strip()
    if not term:
        return rows
    number = number_in(term)
    if number is not None and term.startswith("#"):
        return rows.filter(number=number)
    people = Customer.objects.filter(names.has_part(term), tenant_id__in=list(tenant_ids)).order_by().values_list("pk", flat=True)
    wanted = Q(subject__icontains=term) | Q(customer__in=list(people[:MAX_CUSTOMERS])) | Q(fields__icontains=term)
    if number is not None:
        wanted |= Q(number=number)
    return rows.filter(wanted)


def number_in(text: str) -> int | None:
    """Return the number of a ticket that a text is, with or without #; None: it is none that a ticket can have."""
    plain = text.strip().removeprefix("#")
    is_number = plain.isascii() and plain.isdigit() and len(plain) <= MAX_DIGITS  # Python refuses thousands of digits
    return int(plain) if is_number and int(plain) <= MAX_NUMBER else None


def mine(rows: "QuerySet[Ticket]", agents: Collection[Agent]) -> "QuerySet[Ticket]":
    """Keep the open tickets that these agents, who are one person, have."""
    return rows.filter(agent__in=agents, status__in=OPEN_TICKETS)


def of_groups(rows: "QuerySet[Ticket]", agents: Collection[Agent]) -> "QuerySet[Ticket]":
    """Keep the open tickets of the groups that these agents are in."""
    return rows.filter(group__in=SkillGroup.objects.filter(skills__agent__in=agents), status__in=OPEN_TICKETS)


def unassigned(rows: "QuerySet[Ticket]") -> "QuerySet[Ticket]":
    """Keep the open tickets that no one has."""
    return rows.filter(agent=None, status__in=OPEN_TICKETS)


def due_before(rows: "QuerySet[Ticket]", day: date) -> "QuerySet[Ticket]":
    """Keep the open tickets that are due by a day."""
    return rows.filter(due_on__lte=day, status__in=OPEN_TICKETS)


@dataclass(frozen=True, slots=True)
class Linked:
    """A ticket that another has to do with, and what it is to it: `is_reverse` if the other one says so."""

    link: TicketLink
    ticket: Ticket
    is_reverse: bool


def links_of(ticket: Ticket) -> list[Linked]:
    """Return the links of a ticket and of those that were merged into it, in both directions; without work orders below it."""
    ids = family_ids(ticket)
    rows = TicketLink.objects.filter(Q(ticket__in=ids) | Q(other__in=ids)).exclude(other__in=ids, kind=TicketLinkKind.WORK_ORDER)
    found = []
    for link in rows.select_related("ticket__type", "other__type").order_by("pk"):
        is_reverse = link.other_id in ids
        found.append(Linked(link, link.ticket if is_reverse else link.other, is_reverse))
    return found


def work_orders_of(ticket: Ticket) -> list[Ticket]:
    """Return the work orders of a ticket and of those that were merged into it."""
    rows = Ticket.objects.filter(links__other__in=family_ids(ticket), links__kind=TicketLinkKind.WORK_ORDER)
    return list(rows.select_related("type", "group", "agent").order_by("number").distinct())


def events_of(ticket: Ticket) -> list[TicketEvent]:
    """Return what happened to a ticket and to those that were merged into it, newest first."""
    rows = TicketEvent.objects.filter(ticket__in=family_ids(ticket)).select_related("ticket")
    return list(rows.order_by("-pk")[:MAX_EVENTS])


def notes_of(ticket: Ticket) -> list[Note]:
    """Return the notes of a ticket and of those that were merged into it, in their order."""
    rows = Note.objects.filter(ticket__in=family_ids(ticket)).select_related("agent", "ticket")
    return list(reversed(rows.order_by("-pk")[:MAX_EVENTS]))


def watchers_of(ticket: Ticket) -> list[Agent]:
    """Return the agents who watch a ticket, or one that was merged into it."""
    ids = TicketWatcher.objects.filter(ticket__in=family_ids(ticket)).values_list("agent_id", flat=True)
    return list(Agent.objects.filter(pk__in=ids).order_by("name"))


def checklist_of(ticket: Ticket) -> list[ChecklistItem]:
    """Return the checklist of a ticket, in its order."""
    return list(ChecklistItem.objects.filter(ticket=ticket).order_by("place"))


def merged_into(ticket: Ticket) -> list[Ticket]:
    """Return the tickets that were merged into a ticket."""
    return list(Ticket.objects.filter(merged_into=ticket).order_by("number"))
