"""One ticket as its visitor sees it: how far it is, what was written to and by them, and what they can still do.

A line that a visitor writes on the page of a ticket arrives like any other, in the ticket's conversation and under the identity that wrote
there, and names the ticket (`ABOUT`): so this one goes on, and not whichever was resolved last.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Prefetch
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from posthaste.lib.blank import is_blank
from posthaste.lib.problems import Conflict, Invalid, NotFound
from posthaste.ui.badges import shown
from routing.configuration import service_levels
from routing.contract import Incoming, SenderName
from routing.conversations import arrivals
from routing.conversations.arrivals import Stored
from routing.customers.values import ERASED
from routing.entrances.portal import flood, frames, sessions
from routing.entrances.portal.writing import CLIENT_ID, MAX_TEXT
from routing.models import (
    OPEN_TICKETS,
    Attachment,
    AuthorKind,
    Conversation,
    EntranceKind,
    Identity,
    IdentityKind,
    Line,
    PortalSession,
    Satisfaction,
    Ticket,
    TicketEvent,
    TicketStatus,
)
from routing.portal import own, requests
from routing.satisfaction import asking, rating
from routing.tickets import addressee, finding, progress
from routing.tickets import fields as definitions
from routing.tickets.family import root_of
from routing.tickets.history import Happening
from routing.tickets.reactions import ABOUT

#: The last lines of a ticket.
MAX_LINES = 200
SHOWN_AUTHORS = (AuthorKind.CUSTOMER, AuthorKind.AGENT, AuthorKind.BOT)
#: Where a visitor's line is as good as one that was written there.
ANSWERED_HERE = (EntranceKind.PORTAL, EntranceKind.EMAIL)


class RequestOver(Conflict):
    """The request is closed and takes no more lines. Send a new one."""

    code = "request_over"
    title = gettext_lazy("The request is closed")


class AnswerElsewhere(Conflict):
    """The request is talked about in another channel. Write there, so that the answer reaches you."""

    code = "answer_elsewhere"
    title = gettext_lazy("The request is answered in another channel")


@dataclass(frozen=True, slots=True)
class Request:
    """A ticket that is shown to a session."""

    ticket: Ticket
    #: The one that goes on in its stead, if it was merged: it tells how far it is, and nothing else of it is shown.
    root: Ticket

    @property
    def status(self) -> TicketStatus:
        """How far it is, as a visitor sees it: spam looks closed."""
        return TicketStatus.CLOSED if self.root.status == TicketStatus.SPAM else TicketStatus(self.root.status)


def find(session: PortalSession, number: int) -> Request:
    """Return a ticket that is shown to a session.

    Raises:
        NotFound: there is none with this number, or it is another's.
    """
    rows = own.tickets(session).select_related("type", "merged_into", "conversation__entrance", "conversation__identity")
    ticket = rows.filter(number=number).first() if number <= finding.MAX_NUMBER else None
    if ticket is None:
        raise NotFound(_("There is no such request."))
    return Request(ticket, root_of(ticket))


def lines_of(session: PortalSession, request: Request) -> list[Line]:
    """Return what was written to and by the visitor about a ticket, in order; of several in one conversation, not what is about another."""
    ticket = request.ticket
    talks = own.conversations(session).filter(pk__in=_conversation_ids(ticket))
    files = Prefetch("attachments", Attachment.objects.defer("content").order_by("pk"))
    rows = Line.objects.filter(conversation__in=list(talks.values_list("pk", flat=True)), author__in=SHOWN_AUTHORS)
    if ticket.opened_by == "recipient":  # by a form: what was said before is about something else
        rows = rows.filter(created_at__gte=ticket.created_at)
    newest = rows.select_related("agent").prefetch_related(files).order_by("-conversation_id", "-seq")[:MAX_LINES]
    return [line for line in reversed(newest) if _is_about(line, ticket)]


def _conversation_ids(ticket: Ticket) -> list[UUID]:
    """Return the conversations in which a ticket was talked about: a line that came after the end of one begins another."""
    changed = TicketEvent.objects.filter(ticket=ticket, kind=Happening.CHANGED).values_list("data", flat=True)
    before = [pair[0] for data in changed if (pair := data.get("changes", {}).get("conversation")) and pair[0]]
    return [*(UUID(pk) for pk in before), *([ticket.conversation_id] if ticket.conversation_id else [])]


def _is_about(line: Line, ticket: Ticket) -> bool:
    if about := line.data.get(ABOUT):
        return bool(about == str(ticket.pk))
    # A form that was filled in is the description of its ticket.
    return "ticket" not in line.data or line.text == ticket.description


def line_shape(line: Line) -> dict[str, Any]:
    """Return a line as the page draws it, as in the chat."""
    frame = frames.line_frame(line)
    return {name: value for name, value in frame.items() if name not in ("type", "choices", "seq", "conversation")}


def summary_of(request: Request, *, chinese: bool) -> dict[str, Any]:
    """Return what a list shows of a ticket."""
    ticket, status = request.ticket, request.status
    return {
        "number": ticket.number,
        "subject": ticket.subject,
        "type": requests.title_of(ticket.type, chinese=chinese),
        "status": status,
        "label": str(status.label),
        "tone": shown(status).tone,
        "changed_at": max(ticket.changed_at, request.root.changed_at).isoformat(),
    }


def shape_of(session: PortalSession, request: Request, *, chinese: bool, now: datetime) -> dict[str, Any]:
    """Return what the page of a ticket shows: how far it is, values, lines, what can be written, the rating."""
    ticket = request.ticket
    public = [one for one in definitions.of_type(ticket.type) if one.is_public]
    values = {one.key: ticket.fields[one.key] for one in public if one.key in ticket.fields}
    return {
        **summary_of(request, chinese=chinese),
        "opened_at": ticket.created_at.isoformat(),
        "resolved_at": request.root.resolved_at.isoformat() if request.root.resolved_at else None,
        "fields": [{"label": str(label), "value": value} for label, value in definitions.shown(public, values)],
        "lines": [line_shape(line) for line in lines_of(session, request)],
        "reply": reply_of(request, now=now),
        "rating": rating_shape(asked_of(request), now=now),
        "may_rate": may_rate(request, now=now),
    }


# --- writing -----------------------------------------------------------------------------------------------------------


def reply_of(request: Request, *, now: datetime) -> dict[str, Any]:
    """Return what a line of the visitor does: `answer` goes on, `reopen` opens it again until a time, `elsewhere` and `over` take none."""
    talk = request.ticket.conversation
    if talk is not None and not _is_answered_here(talk):
        return {"kind": "elsewhere", "until": None}
    if request.root.status in OPEN_TICKETS:
        return {"kind": "answer", "until": None}
    if progress.is_in_time(request.root, now=now):
        resolved_at = request.root.resolved_at or request.root.changed_at
        until = resolved_at + timedelta(days=service_levels.of(request.root.tenant_id).reopen_days)
        return {"kind": "reopen", "until": until.isoformat()}
    return {"kind": "over", "until": None}


def _is_answered_here(talk: Conversation) -> bool:
    return talk.entrance.kind in ANSWERED_HERE and talk.entrance.is_enabled and not talk.identity.value.startswith(ERASED)


def reply(session: PortalSession, request: Request, *, text: str, client_id: str, ip: str, now: datetime) -> Stored:
    """Take in what a visitor writes about a ticket, once for a client id.

    Raises:
        Invalid: the text or the client id is wrong.
        RequestOver, AnswerElsewhere: it takes no more lines, or not from here.
        TooMany: the visitor writes too much.
    """
    _must_be_written(text, client_id)
    talk = request.ticket.conversation
    entrance_id = talk.entrance_id if talk is not None else session.entrance_id
    external_id = f"{session.identity_id.hex}:about:{request.ticket.pk.hex}:{client_id}"
    if known := arrivals.known(entrance_id, external_id):  # also if the ticket was closed since
        return known
    kind = reply_of(request, now=now)["kind"]
    if kind == "over":
        raise RequestOver(_("Send a new request, and name this one in it."))
    if kind == "elsewhere":
        raise AnswerElsewhere(_("Please answer where you wrote to us about it."))
    limits = sessions.settings_of(session.entrance)
    flood.enter_line(limits, entrance_id=session.entrance_id.hex, visitor=session.identity_id.hex, ip=ip)
    writer = talk.identity if talk is not None else _writer(session, request.ticket)
    incoming = Incoming(
        external_id=external_id,
        sender=SenderName(writer.kind, writer.value, verified=writer.kind == IdentityKind.OWN),
        text=text,
        thread=talk.thread if talk is not None else "",
        details={"client_id": client_id, ABOUT: str(request.ticket.pk)},
    )
    return arrivals.store(entrance_id, [incoming], tenant_id=session.tenant_id, now=now)[0]


def _writer(session: PortalSession, ticket: Ticket) -> Identity:
    """Return as which identity a session begins the conversation of a ticket: one that the ticket is addressed to.

    A session that is shown it by an address alone writes under that: to others of its visitor, who only typed it, the ticket is not shown.
    """
    visitor: Identity = session.identity
    if session.proved is None or visitor.verified_at is not None or str(visitor.pk) in addressee.of(ticket):
        return visitor
    return session.proved


def _must_be_written(text: str, client_id: str) -> None:
    errors = []
    if not CLIENT_ID.fullmatch(client_id):
        said = _("1 to 64 letters, digits and _ . - that name this line and no other.")
        errors.append({"field": "client_id", "code": "invalid", "message": said})
    if is_blank(text):
        errors.append({"field": "text", "code": "required", "message": _("Write a text.")})
    if len(text) > MAX_TEXT:
        errors.append({"field": "text", "code": "too_long", "message": _("At most {n} characters.").format(n=MAX_TEXT)})
    if errors:
        raise Invalid(errors=errors)


# --- rating ------------------------------------------------------------------------------------------------------------


def asked_of(request: Request) -> Satisfaction | None:
    """Return the rating of a ticket that is resolved: its own, or that of its conversation, if the chat asks for it since."""
    ticket, talk = request.ticket, request.ticket.conversation
    if talk is None or ticket.resolved_at is None:
        return None
    found = Satisfaction.objects.filter(conversation=talk, resolved_at=ticket.resolved_at).first()
    if found is not None or talk.resolved_at is None or talk.resolved_at < ticket.resolved_at:  # that was about what came before
        return found
    return rating.asked_of(talk)


def may_rate(request: Request, *, now: datetime) -> bool:
    """Return whether the visitor may rate: the ticket is resolved, both sides wrote, and its entrance asks for ratings."""
    ticket, talk = request.ticket, request.ticket.conversation
    if talk is None or ticket.status not in (TicketStatus.RESOLVED, TicketStatus.CLOSED) or ticket.resolved_at is None:
        return False
    if (asked := asked_of(request)) is not None:
        return rating.is_open(asked, now=now)
    both_wrote = talk.customer_wrote_at is not None and talk.agent_wrote_at is not None
    return both_wrote and asking.wants_rating(talk.entrance) and ticket.resolved_at > now - rating.ANSWERED_WITHIN


def rating_shape(asked: Satisfaction | None, *, now: datetime) -> dict[str, Any] | None:
    """Return a rating as the pages take it."""
    if asked is None:
        return None
    is_open = rating.is_open(asked, now=now)
    return {"conversation": str(asked.conversation_id), "score": asked.score, "comment": asked.comment, "open": is_open}


def rate(request: Request, *, score: int, comment: str, now: datetime) -> Satisfaction:
    """Store what a visitor says of a ticket that is resolved.

    Raises:
        NotFound: it is not to be rated.
        Invalid, Conflict: see `rating.rate`.
    """
    if not may_rate(request, now=now):
        raise NotFound(_("No rating is asked for."))
    rating.checked(score, comment)  # before a rating is asked for that stays empty
    asked = asked_of(request) or asking.ask_about(request.ticket, now=now)
    return rating.rate(asked.pk, score=score, comment=comment, now=now)
