"""Answer the customer of a ticket: in its conversation, or by e-mail or SMS where it has none."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext as _

from accounts.services.audit import Actor
from posthaste.lib.problems import Invalid
from routing.conversations.family import root_of
from routing.desk import answering, writing
from routing.desk.writing import NO_FILES, Files
from routing.models import OPEN_TICKETS, Agent, Ticket, TicketStatus
from routing.tickets.storing import TicketOver


@dataclass(frozen=True, slots=True)
class TicketReply:
    """What is written to the customer. Without an agent it is a system's, which only a conversation takes.

    Where the ticket has no conversation, `to` is the identity that is written to, and `subject` that of an e-mail.
    """

    text: str
    agent: Agent | None = None
    files: Files = NO_FILES
    client_id: str = ""
    seen_seq: int | None = None
    to: UUID | None = None
    subject: str = ""


def reply(*, ticket: Ticket, new: TicketReply, by: Actor, now: datetime) -> UUID:
    """Answer the customer of a ticket, and return the id of the message; sent again under its client id, it is the same one.

    If its conversation was merged into another one, the answer goes to the identity that wrote there.

    Raises:
        Invalid: something in it is wrong or missing.
        TicketOver: the ticket is over.
        Conflict: as for `replies.reply` and `writing.write_to_customer`.
    """
    if ticket.conversation is None:
        return _written(ticket, new, by=by, now=now)
    if new.to is not None or new.subject:
        field = "to" if new.to is not None else "subject"
        raise Invalid.field(field, _("The ticket has a conversation: the reply goes to the identity that wrote there."), "not_allowed")
    # The ticket is not locked: a reply locks its conversation first, then tickets.
    if ticket.status not in (*OPEN_TICKETS, TicketStatus.RESOLVED):
        raise TicketOver(_("Ticket #{n} is “{status}”.").format(n=ticket.number, status=ticket.get_status_display()))
    line = answering.reply(
        conversation=root_of(ticket.conversation),
        agent=new.agent,
        owner=new.files.owner,
        text=new.text,
        file_ids=new.files.ids,
        client_id=new.client_id,
        seen_seq=new.seen_seq,
        by=by,
        now=now,
    )
    assert line.message_id is not None
    return line.message_id


def _written(ticket: Ticket, new: TicketReply, *, by: Actor, now: datetime) -> UUID:
    """Write to a customer who has no conversation about the ticket; the agent has it from then on."""
    if new.agent is None:
        raise Invalid.field(
            "agent", _("Name the agent who writes: the ticket has no conversation, and the agent gets the new one."), "required"
        )
    if new.seen_seq is not None:
        raise Invalid.field("seen_seq", _("The ticket has no conversation, so there is no line to have seen."), "not_allowed")
    return writing.write_to_customer(
        ticket=ticket,
        agent=new.agent,
        identity_id=new.to,
        subject=new.subject or writing.first_subject(ticket),
        text=new.text,
        client_id=new.client_id,
        files=new.files,
        by=by,
        now=now,
    )
