"""A conversation as an agent opens it: its lines, notes and events, who the customer is, and what else is known of them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.staff import actors
from posthaste.lib.problems import NotFound
from routing.assignment.explain import Names, why
from routing.conversations.family import merged_into
from routing.conversations.masking import mask_identity
from routing.customers import attributes
from routing.desk import rows, thread, viewing
from routing.desk.inbox import OPEN_CLOCKS
from routing.desk.rows import iso
from routing.desk.seats import Seat
from routing.entrances.wecom_kf.quota import quota
from routing.intents.titles import intent_titles
from routing.models import Assignment, Clock, Conversation, Customer, Draft, Identity, Satisfaction, SkillGroup, Ticket
from routing.tickets.types import title_of

HISTORY = 10
#: Of one conversation: more than anyone opens.
MAX_TICKETS = 50
Shape = dict[str, Any]


def readable_conversation(pk: UUID, seat: Seat) -> Conversation:
    """Return a conversation that the seat may open.

    Raises:
        NotFound: there is none for it.
    """
    found = Conversation.objects.filter(rows.readable(seat), tenant_id=seat.tenant_id, pk=pk)
    conversation = found.select_related("customer", "identity", "entrance", "group", "agent", "parent").first()
    if conversation is None:
        raise NotFound(_("There is no such conversation, or it is in a group that is not yours."))
    return conversation


def opened(conversation: Conversation, seat: Seat, *, now: datetime) -> Shape:
    """Return all that is shown of a conversation when it is opened."""
    lines = thread.newest(conversation.pk)
    (row,) = rows.shapes_of([conversation], seat, now=now)
    drafts = dict(Draft.objects.filter(agent=seat.agent, conversation=conversation).values_list("is_note", "text"))
    allowed = quota(conversation)
    return {
        "row": row,
        "lines": thread.shapes_of(lines, tenant_id=seat.tenant_id),
        "first_seq": lines[0].seq if lines else 0,
        "notes": thread.notes_of(conversation),
        "events": events_of(conversation),
        "ratings": ratings_of(conversation),
        "customer": customer_shape(conversation.customer, seat, now=now),
        "identity": mask_identity(conversation.identity.kind, conversation.identity.value),
        "clocks": [rows.clock_shape(clock) for clock in Clock.objects.filter(conversation=conversation, state__in=OPEN_CLOCKS)],
        "quota": {"left": allowed.left_at(now), "until": iso(allowed.until)} if allowed else None,
        "draft": {"reply": drafts.get(False, ""), "note": drafts.get(True, "")},
        "merged": merged_shapes(conversation),
        "sides": sides_of(conversation),
        "tickets": [_ticket(ticket) for ticket in _tickets().filter(_of(conversation))[:MAX_TICKETS]],
        "collisions": [viewer.name for viewer in viewing.viewers(conversation.pk, at=now.timestamp()) if viewer.id != viewer_of(seat).id],
    }


def viewer_of(seat: Seat) -> viewing.Viewer:
    """Return who a seat is to others who look at the same conversation."""
    if seat.agent is not None:
        return viewing.Viewer(id=seat.agent.pk.hex, name=seat.agent.name)
    return viewing.Viewer(id=f"user{seat.user.pk}", name=seat.user.get_full_name() or seat.user.get_username())


def events_of(conversation: Conversation) -> list[Shape]:
    """Return who had a conversation when, and why, oldest first."""
    spans = list(Assignment.objects.filter(conversation=conversation).select_related("agent").order_by("pk"))
    if not spans:
        return []
    by = {span.assigned_by for span in spans if span.assigned_by}
    people = actors.names_of(by, tenant_ids=[])
    groups = dict(SkillGroup.objects.filter(tenant_id=conversation.tenant_id).values_list("name", "title"))
    titles = intent_titles([conversation.tenant_id])[conversation.tenant_id]
    names = Names(titles, groups, {actor: actors.in_words(actor, people) for actor in by})
    return [
        {
            "kind": "assigned",
            "agent": {"id": str(span.agent_id), "name": span.agent.name},
            "cause": span.cause,
            "why": why(span, names=names),
            "at": iso(span.started_at),
            "until": iso(span.ended_at),
            "end_cause": span.end_cause,
        }
        for span in spans
    ]


def ratings_of(conversation: Conversation) -> list[Shape]:
    """Return what the customer said of how it was handled, oldest first: once each time it was resolved."""
    answered = Satisfaction.objects.filter(conversation=conversation, score__isnull=False, answered_at__isnull=False)
    return [
        {
            "id": str(each.pk),
            "score": each.score,
            "comment": each.comment,
            "agent": each.agent.name if each.agent else "",
            "at": iso(each.answered_at),
        }
        for each in answered.select_related("agent").order_by("answered_at")
    ]


def customer_shape(customer: Customer, seat: Seat, *, now: datetime) -> Shape:
    """Return what is known of a customer: identities masked, attributes in force, what they wrote and want."""
    identities = Identity.objects.filter(customer=customer)
    values = attributes.current([customer.pk], now=now).get(customer.pk, {})
    return {
        "id": str(customer.pk),
        "name": customer.name,
        "note": customer.note,
        "language": customer.language,
        "identities": [
            {
                "kind": identity.kind,
                "label": identity.get_kind_display(),
                "value": mask_identity(identity.kind, identity.value),
                "name": identity.name,
                "verified": identity.verified_at is not None,
            }
            for identity in identities
        ],
        "attributes": [{"name": name, "value": value} for name, value in sorted(values.items())],
        "history": _history(customer, seat),
        "tickets": [_ticket(ticket) for ticket in _tickets().filter(customer=customer, tenant_id=customer.tenant_id)[:HISTORY]],
    }


def _history(customer: Customer, seat: Seat) -> list[Shape]:
    """Return the customer's last conversations; those that the seat may not open are named without what was written."""
    own = Conversation.objects.filter(customer=customer, tenant_id=seat.tenant_id, parent=None).select_related("entrance", "agent")
    last = list(own.order_by("-pk")[:HISTORY])
    may_open = set(Conversation.objects.filter(rows.readable(seat), pk__in=[each.pk for each in last]).values_list("pk", flat=True))
    return [
        {
            "id": str(each.pk),
            "subject": each.subject if each.pk in may_open else "",
            "status": each.status,
            "intent": each.intent,
            "entrance": {"name": each.entrance.name, "kind": each.entrance.kind},
            "agent": each.agent.name if each.agent else "",
            "at": iso(each.created_at),
            "can_open": each.pk in may_open,
        }
        for each in last
    ]


def _of(conversation: Conversation) -> Q:
    """Return the condition for the tickets of a conversation, and of those that were merged into it."""
    return Q(conversation=conversation) | Q(conversation__merged_into=conversation)


def _tickets() -> "QuerySet[Ticket]":
    return Ticket.objects.select_related("type", "agent").order_by("-pk")


def _ticket(ticket: Ticket) -> Shape:
    return {
        "number": ticket.number,
        "url": reverse("desk-ticket", args=[ticket.number]),
        "subject": ticket.subject,
        "status": ticket.status,
        "priority": ticket.priority,
        "type": title_of(ticket.type),
        "agent": ticket.agent.name if ticket.agent else "",
        "at": iso(ticket.created_at),
    }


def merged_shapes(conversation: Conversation) -> list[Shape]:
    """Return the conversations that were merged into one, with their last lines: they are shown before it."""
    found = merged_into(conversation, limit=HISTORY)
    return [
        {
            "id": str(each.pk),
            "subject": each.subject,
            "entrance": {"name": each.entrance.name, "kind": each.entrance.kind},
            "at": iso(each.created_at),
            "lines": thread.shapes_of(thread.newest(each.pk), tenant_id=each.tenant_id),
        }
        for each in found
    ]


def sides_of(conversation: Conversation) -> list[Shape]:
    """Return the conversations with others about one; agents have typed their addresses, so they are whole."""
    found = Conversation.objects.filter(parent=conversation).select_related("identity").order_by("pk")
    return [
        {
            "id": str(each.pk),
            "subject": each.subject,
            "to": each.identity.value,
            "status": each.status,
            "unread": max(0, each.last_seq - each.agent_read_seq),
            "at": iso(each.customer_wrote_at or each.agent_wrote_at or each.created_at),
        }
        for each in found
    ]
