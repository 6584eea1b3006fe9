"""The ways of a ticket that people choose: begin, wait, hold, resolve, close, reopen, spam and no spam.

Each locks the row, checks the version that its caller saw, and makes one move of the table.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict, Invalid
from routing.configuration import service_levels
from routing.models import OPEN_TICKETS, Agent, ChecklistItem, Ticket, TicketLink, TicketLinkKind, TicketStatus
from routing.tickets import fields as own_fields
from routing.tickets import places
from routing.tickets.changing import tell_agent
from routing.tickets.family import family_ids
from routing.tickets.storing import lock, must_be
from routing.tickets.transitions import (
    ASSIGNED,
    CLOSED,
    IN_PROGRESS,
    ON_HOLD,
    QUEUED,
    RESOLVED,
    SPAM,
    WAITING,
    MoveRefused,
    move,
    must_be_possible,
)


class NotDone(Conflict):
    """Something of the ticket is not done: items of its checklist, work orders, tickets that block it. Do it, or resolve with `force`."""

    code = "not_done"
    title = gettext_lazy("Something of the ticket is not done")


class TooLate(Conflict):
    """The time in which a resolved ticket is reopened is over. Open a follow-up."""

    code = "reopen_window_over"
    title = gettext_lazy("The ticket can't be reopened any more")


@transaction.atomic
def begin(*, ticket: Ticket, agent: Agent | None = None, version: int | None = None, by: Actor, now: datetime) -> Ticket:
    """Put a ticket in progress: with the agent who has it, or with the one who is named and takes it.

    Raises:
        MoveRefused: it is over, or no agent has it.
        TicketChanged: it was changed since `version`.
        Invalid: the agent is not active.
    """
    row = _locked(ticket, version)
    taker = row.agent if agent is None else agent
    if agent is not None and (not agent.is_active or agent.tenant_id != row.tenant_id):
        raise Invalid.field("agent", _("This agent is not active."), "inactive")
    if row.status == RESOLVED:
        _must_be_in_time(row, now)
    move(row, to=IN_PROGRESS, by=by, now=now, agent=taker, group=places.group_for(taker, kept=row.group, had=row.agent_id))
    return row


def wait(*, ticket: Ticket, version: int | None = None, by: Actor, now: datetime) -> Ticket:
    """Let a ticket wait for the customer: their next text puts it in progress again.

    Raises:
        MoveRefused, TicketChanged: as for `begin`.
    """
    return _moved(ticket, WAITING, version, by, now)


def hold(*, ticket: Ticket, version: int | None = None, by: Actor, now: datetime) -> Ticket:
    """Put a ticket on hold: it waits for something else than the customer, and only people take it up again.

    Raises:
        MoveRefused, TicketChanged: as for `begin`.
    """
    return _moved(ticket, ON_HOLD, version, by, now)


def queue(*, ticket: Ticket, version: int | None = None, by: Actor, now: datetime) -> Ticket:
    """Put a ticket back into the queue of its group: no agent has it.

    Raises:
        MoveRefused, TicketChanged: as for `begin`.
    """
    return _moved(ticket, QUEUED, version, by, now, agent=None)


@transaction.atomic
def resolve(*, ticket: Ticket, force: bool = False, version: int | None = None, by: Actor, now: datetime) -> Ticket:
    """Resolve a ticket. What its type needs then must be filled in; with `force`, other things may be left undone.

    Raises:
        NotDone: items of the checklist, work orders or blocking tickets are open, and it is not forced; the problem lists them.
        Invalid: fields are missing.
        MoveRefused, TicketChanged: as for `begin`.
    """
    row = _locked(ticket, version)
    must_be_possible(row, RESOLVED, agent=row.agent_id)
    own_fields.must_be_complete(own_fields.of_type(row.type), row.fields)
    undone: dict[str, Any] = {**left_undone(row)}
    if any(undone.values()) and not force:
        raise NotDone(
            _("Not done: {what}. Do it first, or resolve it anyway.").format(
                what="; ".join(each for part in undone.values() for each in part)
            ),
            **undone,
        )
    move(row, to=RESOLVED, by=by, now=now)
    return row


def left_undone(ticket: Ticket) -> dict[str, list[str]]:
    """Return what keeps a ticket from being resolved, by kind; also of tickets that were merged into it."""
    ids = family_ids(ticket)
    orders = TicketLink.objects.filter(other__in=ids, kind=TicketLinkKind.WORK_ORDER, ticket__status__in=OPEN_TICKETS)
    blocks = TicketLink.objects.filter(ticket__in=ids, kind=TicketLinkKind.BLOCKED, other__status__in=OPEN_TICKETS)
    blocks = blocks.exclude(other__in=ids)  # what blocked it was merged with it
    return {
        "checklist": list(ChecklistItem.objects.filter(ticket=ticket, done_at=None).values_list("text", flat=True)),
        "work_orders": [f"#{n}" for n in orders.order_by("ticket__number").values_list("ticket__number", flat=True)],
        "blocked_by": [f"#{n}" for n in blocks.order_by("other__number").values_list("other__number", flat=True)],
    }


def close(*, ticket: Ticket, version: int | None = None, by: Actor, now: datetime) -> Ticket:
    """Close a resolved ticket for good, before the job does.

    Raises:
        MoveRefused, TicketChanged: as for `begin`.
    """
    return _moved(ticket, CLOSED, version, by, now)


@transaction.atomic
def reopen(*, ticket: Ticket, version: int | None = None, by: Actor, now: datetime) -> Ticket:
    """Open a resolved ticket again within the window: it goes back to its agent, or into the queue.

    Raises:
        TooLate: the window is over.
        MoveRefused, TicketChanged: as for `begin`.
    """
    row = _locked(ticket, version)
    if row.status != RESOLVED:
        raise MoveRefused(_("Only a resolved ticket is reopened."), current=row.status, possible=[])
    _must_be_in_time(row, now)
    agent = row.agent if row.agent is not None and row.agent.is_active else None
    move(row, to=ASSIGNED if agent else QUEUED, by=by, now=now, agent=agent)
    if agent is not None:
        tell_agent(row, agent, by=by, now=now)
    return row


def is_in_time(ticket: Ticket, *, now: datetime) -> bool:
    """Return whether a resolved ticket is within the window in which it is reopened."""
    window = timedelta(days=service_levels.of(ticket.tenant_id).reopen_days)
    return ticket.status == RESOLVED and (ticket.resolved_at or ticket.changed_at) + window > now


def mark_spam(*, ticket: Ticket, version: int | None = None, by: Actor, now: datetime) -> Ticket:
    """Say that a ticket is spam.

    Raises:
        MoveRefused, TicketChanged: as for `begin`.
    """
    return _moved(ticket, SPAM, version, by, now)


@transaction.atomic
def no_spam(*, ticket: Ticket, version: int | None = None, by: Actor, now: datetime) -> Ticket:
    """Say that a ticket is no spam after all: it goes back to its agent, or into the queue.

    Raises:
        MoveRefused: it is not marked as spam.
        TicketChanged: it was changed since `version`.
    """
    row = _locked(ticket, version)
    if row.status != SPAM:
        raise MoveRefused(_("It is not marked as spam."), current=row.status, possible=[])
    agent = row.agent if row.agent is not None and row.agent.is_active else None
    move(row, to=ASSIGNED if agent else QUEUED, by=by, now=now, agent=agent)
    return row


#: What is asked for by name: at the desk, in the admin and in the API.
ACTIONS: dict[str, Callable[..., Ticket]] = {
    "begin": begin,
    "wait": wait,
    "hold": hold,
    "queue": queue,
    "resolve": resolve,
    "close": close,
    "reopen": reopen,
    "spam": mark_spam,
    "no_spam": no_spam,
}


# --- parts -----------------------------------------------------------------------------------------------------------


def _locked(ticket: Ticket, version: int | None) -> Ticket:
    row = lock(ticket.pk, tenant_id=ticket.tenant_id)
    must_be(row, version)
    return row


@transaction.atomic
def _moved(ticket: Ticket, to: TicketStatus, version: int | None, by: Actor, now: datetime, **more: Any) -> Ticket:
    row = _locked(ticket, version)
    move(row, to=to, by=by, now=now, **more)
    return row


def _must_be_in_time(row: Ticket, now: datetime) -> None:
    if not is_in_time(row, now=now):
        days = service_levels.of(row.tenant_id).reopen_days
        raise TooLate(_("It was resolved more than {n} days ago. Open a follow-up.").format(n=days))
