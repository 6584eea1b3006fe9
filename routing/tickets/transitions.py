"""The one table of the states of a ticket and the moves between them, and the one function that makes a move.

Nothing else writes `Ticket.status`. Which moves what happens in a conversation brings about is in `routing.tickets.reactions`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services.audit import Actor
from posthaste.lib.problems import Conflict
from routing.actions import Action
from routing.models import OPEN_TICKETS, Ticket, TicketStatus
from routing.tickets import hooks
from routing.tickets.history import Happening, write
from routing.tickets.storing import update

NEW, BOT, QUEUED, ASSIGNED = TicketStatus.NEW, TicketStatus.BOT, TicketStatus.QUEUED, TicketStatus.ASSIGNED
IN_PROGRESS, WAITING, ON_HOLD = TicketStatus.IN_PROGRESS, TicketStatus.WAITING, TicketStatus.ON_HOLD
RESOLVED, CLOSED, MERGED, SPAM = TicketStatus.RESOLVED, TicketStatus.CLOSED, TicketStatus.MERGED, TicketStatus.SPAM
_ENDS = frozenset({RESOLVED, MERGED, SPAM})

#: Which status may follow which.
TABLE: Final[Mapping[TicketStatus, frozenset[TicketStatus]]] = {
    NEW: frozenset({BOT, QUEUED, ASSIGNED, IN_PROGRESS, WAITING, ON_HOLD}) | _ENDS,
    # The bot hands over to people; it puts nothing on hold.
    BOT: frozenset({QUEUED, ASSIGNED, IN_PROGRESS}) | _ENDS,
    QUEUED: frozenset({ASSIGNED, IN_PROGRESS, WAITING, ON_HOLD}) | _ENDS,
    ASSIGNED: frozenset({QUEUED, IN_PROGRESS, WAITING, ON_HOLD}) | _ENDS,
    IN_PROGRESS: frozenset({QUEUED, ASSIGNED, WAITING, ON_HOLD}) | _ENDS,
    WAITING: frozenset({QUEUED, ASSIGNED, IN_PROGRESS, ON_HOLD}) | _ENDS,
    ON_HOLD: frozenset({QUEUED, ASSIGNED, IN_PROGRESS, WAITING}) | _ENDS,
    # Reopened within the window, to the agent or the queue; closed when it is over.
    RESOLVED: frozenset({QUEUED, ASSIGNED, IN_PROGRESS, CLOSED}),
    # For good. What comes later is a follow-up.
    CLOSED: frozenset(),
    # Undone: back to what it was.
    MERGED: frozenset(OPEN_TICKETS),
    # It was no spam.
    SPAM: frozenset({QUEUED, ASSIGNED}),
}
#: Those in which an agent has the ticket.
NEEDS_AGENT = frozenset({ASSIGNED, IN_PROGRESS})
#: Why a state leads nowhere, or not further.
WHAT_TO_DO = {
    CLOSED: gettext_lazy("A closed ticket stays closed. Open a follow-up."),
    MERGED: gettext_lazy("Go on in the ticket that it was merged into, or undo the merge."),
    SPAM: gettext_lazy("Say first that it is no spam."),
}


class MoveRefused(Conflict):
    """The ticket's status does not allow this move. `possible` lists the statuses that can follow now."""

    code = "move_refused"
    title = gettext_lazy("The ticket can't be moved there")


def may_follow(status: str) -> list[TicketStatus]:
    """Return the statuses that may follow one, in the order of the table."""
    following = TABLE[TicketStatus(status)]
    return [one for one in TicketStatus if one in following]


def is_possible(status: str, to: str) -> bool:
    """Return whether a status may follow another."""
    return TicketStatus(to) in TABLE[TicketStatus(status)]


def must_be_possible(ticket: Ticket, to: TicketStatus, *, agent: object) -> None:
    """Check a move before it is made.

    Raises:
        MoveRefused: with what is possible instead.
    """
    now, possible = TicketStatus(ticket.status), may_follow(ticket.status)
    if to not in possible:
        given = {"now": now.label, "to": to.label, "possible": _names(possible)}
        said = _("It is “{now}” and can't become “{to}”. Possible now: {possible}.").format(**given)
        if advice := WHAT_TO_DO.get(now):
            said = str(format_lazy("{} {}", _("It is “{now}”.").format(now=now.label), advice))
        raise MoveRefused(said, current=str(now), possible=[str(one) for one in possible])
    if to in NEEDS_AGENT and agent is None:
        raise MoveRefused(
            _("Only a ticket that an agent has can be “{to}”. Assign it first.").format(to=to.label),
            current=str(now),
            possible=[str(one) for one in possible if one not in NEEDS_AGENT],
        )


def move(ticket: Ticket, *, to: TicketStatus, by: Actor, now: datetime, action: Action | None = Action.TICKET_MOVE, **more: Any) -> None:
    """Move a locked ticket in one guarded UPDATE, write its event, and tell the parts above.

    `more` are other fields that change with it, such as the agent; an event names them too.

    Raises:
        MoveRefused: the table does not have the move; the problem lists what is possible.
        TicketChanged: another was faster.
    """
    if ticket.merged_into_id is not None and "merged_into" not in more:  # only undoing the merge leads out of it
        said = format_lazy("{} {}", _("It is “{now}”.").format(now=TicketStatus(ticket.status).label), WHAT_TO_DO[MERGED])
        raise MoveRefused(str(said), current=ticket.status, possible=[])
    must_be_possible(ticket, to, agent=more.get("agent", ticket.agent_id))
    before = ticket.status
    told = {name: [_told(getattr(ticket, name)), _told(value)] for name, value in more.items() if name in ("agent", "group")}
    ended = {
        RESOLVED: {"resolved_at": now},
        CLOSED: {"closed_at": now},
    }.get(to, {"resolved_at": None, "closed_at": None} if to in OPEN_TICKETS else {"closed_at": now})
    update(ticket, now=now, status=to, **{**ended, **more})
    changes = {"status": [str(before), str(to)], **{name: pair for name, pair in told.items() if pair[0] != pair[1]}}
    write(ticket, Happening.MOVED, by=by, now=now, action=action, to=to, **{"from": before}, changes=changes)
    hooks.tell_moved(ticket, before, now=now)


def _told(value: Any) -> str:
    return "" if value is None else str(value)


def _names(statuses: Iterable[TicketStatus]) -> str:
    return ", ".join(str(one.label) for one in statuses) or _("nothing")
