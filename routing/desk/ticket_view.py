"""All about one ticket, for its page at the desk and in the admin."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.roles import Role
from accounts.staff import actors
from accounts.staff.tenant_admin import own_tenants, signed_in
from messaging.selectors import Delivery, deliveries
from posthaste.lib.ids import new_id
from posthaste.lib.problems import Problem
from routing.desk import opening, thread, ticket_forms, writing
from routing.desk.seats import seat_of
from routing.desk.ticket_access import Reader
from routing.models import OPEN_TICKETS, Clock, Ticket, TicketEvent, TicketKind, TicketLinkKind, TicketStatus
from routing.tickets import fields as own_fields
from routing.tickets import finding, progress, wording
from routing.tickets.history import Happening
from routing.tickets.linking import BY_HAND
from routing.tickets.transitions import IN_PROGRESS, may_follow
from routing.tickets.types import title_of

#: Of the conversation, on the page of its ticket.
SHOWN_LINES = 5
#: Buttons: what is done, the status that it leads to, words and icon.
BUTTONS = (
    ("begin", TicketStatus.IN_PROGRESS, gettext_lazy("Start"), "play"),
    ("wait", TicketStatus.WAITING, gettext_lazy("Wait for the customer"), "expired"),
    ("hold", TicketStatus.ON_HOLD, gettext_lazy("Put on hold"), "pause"),
    ("queue", TicketStatus.QUEUED, gettext_lazy("Back to the queue"), "queued"),
    ("close", TicketStatus.CLOSED, gettext_lazy("Close"), "cancelled"),
    ("spam", TicketStatus.SPAM, gettext_lazy("Spam"), "suppressed"),
)


def context(request: HttpRequest, ticket: Ticket, **forms: Any) -> dict[str, Any]:
    """Return what the page of a ticket shows; `forms` are those with errors."""
    reader, now = Reader(request), timezone.now()
    definitions = own_fields.of_type(ticket.type)
    events, notes = finding.events_of(ticket), finding.notes_of(ticket)
    names = _names(request, (*(event.actor for event in events), *(note.written_by for note in notes), ticket.opened_by))
    may_work = reader.may_work_on(ticket)
    agent, watchers = reader.agent_in(ticket.tenant_id), finding.watchers_of(ticket)
    checklist = finding.checklist_of(ticket)
    is_open = ticket.status in OPEN_TICKETS
    found = {
        "ticket": ticket,
        "here": reader.address_of(ticket),
        "type_title": title_of(ticket.type),
        "is_open": is_open,
        "is_resolved": ticket.status == TicketStatus.RESOLVED,
        "is_work_order": ticket.type.kind == TicketKind.WORK_ORDER,
        "may_work": may_work,
        "may_change": may_work and (is_open or ticket.status == TicketStatus.RESOLVED),
        "me": agent,
        "buttons": _buttons(ticket, has_agent=agent is not None) if may_work else [],
        "may_reopen": may_work and progress.is_in_time(ticket, now=now),
        "may_follow_up": may_work and ticket.status in (TicketStatus.RESOLVED, TicketStatus.CLOSED),
        "values": own_fields.shown(definitions, ticket.fields),
        "events": wording.told(events, ticket=ticket, definitions=definitions, names=names),
        "notes": [(note, note.agent.name if note.agent else names.get(note.written_by, note.written_by)) for note in notes],
        "opened_by": names.get(ticket.opened_by, ticket.opened_by),
        "checklist": checklist,
        "done": sum(item.done_at is not None for item in checklist),
        "links": [
            (
                linked,
                wording.link_label(linked.link.kind, is_reverse=linked.is_reverse),
                linked.link.kind in BY_HAND,
                _address(reader, ticket, linked.ticket),
            )
            for linked in finding.links_of(ticket)
        ],
        "link_kinds": [(kind, TicketLinkKind(kind).label) for kind in BY_HAND],
        "work_orders": [(row, title_of(row.type), _address(reader, ticket, row)) for row in finding.work_orders_of(ticket)],
        "order_types": ticket_forms.types_offered([ticket.tenant_id], kind=TicketKind.WORK_ORDER) if may_work and is_open else [],
        "merged": [(row, _address(reader, ticket, row)) for row in finding.merged_into(ticket)],
        "merged_into": ticket.merged_into,
        "merged_into_address": _address(reader, ticket, ticket.merged_into) if ticket.merged_into else "",
        "watchers": watchers,
        "watches": agent is not None and agent in watchers,
        "written": _written(ticket, events),
        "talk": _talk(ticket, reader),
        **(_to_write(ticket) if may_work and is_open and ticket.conversation is None else {}),
        "clocks": list(Clock.objects.filter(ticket=ticket).exclude(state="cancelled").order_by("metric", "-pk")),
        "assign_form": ticket_forms.AssignForm(
            tenant_id=ticket.tenant_id, initial={"agent": ticket.agent_id, "group": ticket.group_id}, auto_id="assign-%s"
        ),
    }
    if "edit_form" not in forms:
        found["edit_form"] = ticket_forms.edit_form(ticket)
    return {**found, **forms}


def _written(ticket: Ticket, events: Iterable[TicketEvent]) -> list[dict[str, Any]]:
    """Return what was sent to the customer outside of a conversation, with the state and the trace of each message."""
    if ticket.conversation is not None:
        return []
    told = [event for event in events if event.kind == Happening.WRITTEN and event.data.get("message")]
    states = deliveries(UUID(event.data["message"]) for event in told)
    return [{"to": event.data["item"], "at": event.at, **_sent(UUID(event.data["message"]), states)} for event in told]


def _talk(ticket: Ticket, reader: Reader) -> list[dict[str, Any]]:
    """Return the last lines of the ticket's conversation, if the reader may read it."""
    if ticket.conversation is None:
        return []
    user = signed_in(reader.request)
    try:
        talk = opening.readable_conversation(ticket.conversation.pk, seat_of(user, tenant_id=ticket.tenant_id))
    except Problem:
        return []
    lines = thread.newest(talk.pk)[-SHOWN_LINES:]
    states = deliveries(line.message_id for line in lines if line.message_id)
    return [
        {
            "author": line.agent.name if line.agent else line.get_author_display(),
            "text": line.text,
            "at": line.created_at,
            **(_sent(line.message_id, states) if line.message_id else {}),
        }
        for line in lines
    ]


def _sent(message_id: UUID, states: Mapping[UUID, Delivery]) -> dict[str, Any]:
    known = states.get(message_id)
    return {"status": known.status, "trace": reverse("admin:messaging_message_change", args=[message_id])} if known else {}


def _to_write(ticket: Ticket) -> dict[str, Any]:
    """Return what the form has with which the customer is written to; without an address, the reason."""
    addresses = writing.ways_to_write(ticket)
    return {
        "may_write": True,
        "addresses": addresses.choices,
        "no_address": addresses.why_not,
        "client_id": new_id().hex,
        "first_subject": writing.first_subject(ticket),
    }


def heading(ticket: Ticket) -> str:
    """Return the title of a ticket's page."""
    return _("#{n} {subject}").format(n=ticket.number, subject=ticket.subject)


def _buttons(ticket: Ticket, *, has_agent: bool) -> list[dict[str, Any]]:
    """Return the moves that are possible now."""
    possible = may_follow(ticket.status)
    found = []
    for action, to, label, icon in BUTTONS:
        if to not in possible or (ticket.status == TicketStatus.MERGED):
            continue
        if ticket.status in (TicketStatus.RESOLVED, TicketStatus.SPAM) and action != "close":
            continue  # reopened, or no spam: buttons of their own
        if to == IN_PROGRESS and ticket.agent is None and not has_agent:
            continue
        found.append({"action": action, "label": label, "icon": icon})
    return found


def _address(reader: Reader, ticket: Ticket, other: Ticket) -> str:
    """Return the address of another ticket of the same tenant, without asking for the tenant again."""
    other.tenant = ticket.tenant
    return reader.address_of(other)


def _names(request: HttpRequest, found: Iterable[str]) -> dict[str, str]:
    wanted = {actor for actor in found if actor}
    names = actors.names_of(wanted, tenant_ids=own_tenants(request, at_least=Role.OWNER))
    return {actor: actors.in_words(actor, names) for actor in wanted}
