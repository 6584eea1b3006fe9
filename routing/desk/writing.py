"""Write to the customer of a ticket that has no conversation, such as one that was opened by telephone or over the API.

An e-mail begins the conversation of the ticket, from the mailbox of an entrance: the answer comes back into it, and the agent has it from
then on. An SMS is one message, which the ticket's history and a note keep: what a customer answers by SMS comes in nowhere. Both are
messages like replies are, with their state and trace.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services.audit import Actor
from messaging.channels.channel import SMS
from messaging.channels.recipients import normalise_recipient
from messaging.intake.accept import accept_message
from messaging.intake.repeats import Repeatable
from messaging.storage.store import NewRow
from posthaste.lib.blank import is_blank
from posthaste.lib.ids import new_id
from posthaste.lib.problems import Conflict, Invalid
from routing.actions import Action
from routing.assignment import holding
from routing.conversations import replies
from routing.conversations.masking import mask_identity
from routing.customers.values import ERASED
from routing.desk import answering, sides
from routing.models import (
    OPEN_TICKETS,
    Agent,
    Conversation,
    ConversationStatus,
    Entrance,
    EntranceKind,
    Identity,
    IdentityKind,
    Ticket,
    TicketEvent,
)
from routing.tickets import hooks, notes
from routing.tickets.history import Happening, write
from routing.tickets.storing import TicketOver, lock, update

THREAD = "ticket:"
MAX_SMS = 500
KINDS = (IdentityKind.EMAIL, IdentityKind.PHONE)


class NoAddress(Conflict):
    """The customer of the ticket can't be written to; the detail says why, and what to do first."""

    code = "no_address"
    title = gettext_lazy("The customer can't be written to")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the customer of a ticket can be written to; without any, why not, and what to do about it."""

    identities: list[Identity]
    why_not: str = ""

    @property
    def choices(self) -> list[tuple[str, str]]:
        """The ids, and what a page shows of them."""
        return [(str(row.pk), _shown(row)) for row in self.identities]


def _shown(row: Identity) -> str:
    shown = f"{row.get_kind_display()}: {mask_identity(row.kind, row.value)}"
    return shown if row.verified_at is not None else _("{address} (not verified)").format(address=shown)


@dataclass(frozen=True, slots=True)
class Files:
    """Files that go with a text, and under which name they were uploaded; empty: as the agent."""

    ids: Sequence[UUID] = ()
    owner: str = ""


NO_FILES = Files()


def first_subject(ticket: Ticket) -> str:
    """Return the subject of the first e-mail about a ticket, if its author writes no other."""
    number = f" [#{ticket.number}]"
    return f"{ticket.subject[: sides.MAX_SUBJECT - len(number)]}{number}"


def ways_to_write(ticket: Ticket) -> Addresses:
    """Return the customer's e-mail addresses, where there is a mailbox to write from, and phone numbers."""
    customer = ticket.customer
    if customer is None:
        return Addresses([], _("The ticket names no customer. Open a ticket for the customer, and merge this one into it."))
    if customer.erased_at is not None:
        return Addresses([], _("The customer was erased. There is no one to reply to."))
    own = Identity.objects.filter(customer=customer, kind__in=KINDS).exclude(value__startswith=ERASED).order_by("kind", "-last_seen_at")
    found = list(own)
    mailboxes = Entrance.objects.filter(tenant_id=ticket.tenant_id, kind=EntranceKind.EMAIL, is_enabled=True)
    usable = found if mailboxes.exists() else [row for row in found if row.kind == IdentityKind.PHONE]
    if usable:
        return Addresses(usable)
    if found:
        return Addresses([], _("There is no mailbox to write from. Add an entrance of the kind E-mail, or enable the one there is."))
    return Addresses([], _("The customer has neither an e-mail address nor a phone number. Add one to the customer first."))


@transaction.atomic
def write_to_customer(
    *,
    ticket: Ticket,
    agent: Agent,
    identity_id: UUID | None,
    subject: str,
    text: str,
    client_id: str,
    files: Files = NO_FILES,
    by: Actor,
    now: datetime,
) -> UUID:
    """Write to the customer of a ticket, and return the id of the message; sent again under its client id, it is the same one.

    None for the address is the only one that the customer has.

    Raises:
        Invalid: the address is none of the customer's, or the subject, the text or a file is wrong.
        NoAddress, NoMailbox: there is no address to write to, or to write from.
        TicketOver: the ticket is over.
        Full: the agent has no room for a conversation.
        Conflict: the ticket has a conversation by now.
    """
    row = lock(ticket.pk, tenant_id=ticket.tenant_id)
    if known := _sent_before(row, client_id):
        return known
    if row.status not in OPEN_TICKETS:
        raise TicketOver(_("Ticket #{n} is “{status}”.").format(n=row.number, status=row.get_status_display()))
    if row.conversation_id is not None:
        raise Conflict(_("The ticket has a conversation. Answer there."))
    addresses = ways_to_write(row)
    if addresses.why_not:
        raise NoAddress(addresses.why_not)
    own = addresses.identities
    identity = next((each for each in own if each.pk == identity_id or (identity_id is None and len(own) == 1)), None)
    if identity is None:
        raise Invalid.field("to", _("Choose an address of the customer."), "unknown")
    if identity.kind != IdentityKind.PHONE:
        return _begin(row, agent, identity, subject, text, client_id, files, by=by, now=now)
    if files.ids:
        raise Invalid.field("files", _("An SMS carries no files. Write to an e-mail address."))
    return _send_sms(row, agent, identity, text, client_id, by=by, now=now)


def _sent_before(row: Ticket, client_id: str) -> UUID | None:
    """Return the message that this request has sent, if it came before."""
    if not client_id:
        return None
    events = TicketEvent.objects.filter(ticket=row, kind=Happening.WRITTEN).order_by("-pk")
    return next((UUID(event.data["message"]) for event in events if event.data.get("client_id") == client_id), None)


def _begin(
    row: Ticket, agent: Agent, identity: Identity, subject: str, text: str, client_id: str, files: Files, *, by: Actor, now: datetime
) -> UUID:
    """Begin the ticket's conversation with an e-mail."""
    sides.must_be_a_subject(subject)
    conversation = Conversation.objects.create(
        id=new_id(),
        tenant_id=row.tenant_id,
        customer_id=identity.customer_id,
        entrance=sides.mailbox(row.tenant_id),
        identity=identity,
        # What the customer answers finds it by this; what they write on their own begins another one.
        thread=f"{THREAD}{row.pk.hex}",
        subject=subject.strip(),
        status=ConversationStatus.NEW,
        language=row.customer.language if row.customer else "",
        group=row.group,
        created_at=now,
    )
    holding.claim(conversation=conversation, agent=agent, by=by, now=now)
    update(row, now=now, conversation=conversation)
    line = answering.reply(
        conversation=conversation, agent=agent, text=text, file_ids=files.ids, owner=files.owner, client_id=client_id, by=by, now=now
    )
    assert line.message_id is not None
    _note_written(row, identity, line.message_id, client_id, by=by, now=now)
    hooks.tell_changed(row, ["conversation"], now=now)
    return line.message_id


def _send_sms(row: Ticket, agent: Agent, identity: Identity, text: str, client_id: str, *, by: Actor, now: datetime) -> UUID:
    text = text.replace("\x00", "").strip()
    if is_blank(text) or len(text) > MAX_SMS:
        raise Invalid.field("text", _("Write a text of at most {n} characters.").format(n=MAX_SMS))
    try:
        recipient = normalise_recipient(SMS, identity.value)
    except ValueError as error:
        raise Invalid.field("to", str(error)) from None
    message_id = new_id()
    message = NewRow(
        id=message_id,
        tenant_id=row.tenant_id,
        api_key_id=None,
        batch_id=None,
        channel=SMS,
        recipient=recipient,
        priority=replies.PRIORITY,
        status=replies.PENDING,
        is_sandbox=False,
        template_version_id=None,
        variables={},
        subject="",
        body=text,
        segments=None,
        reference=str(row.pk),
        metadata={"ticket": str(row.pk), "number": row.number},
        created_at=now,
        due_at=now,
        expires_at=None,
    )
    key = f"ticket:{message_id.hex}"
    accept_message(message, repeatable=Repeatable(key, hashlib.sha256(key.encode()).digest()))
    said = _("SMS to {to}: {text}").format(to=mask_identity(identity.kind, identity.value), text=text)
    notes.add_note(ticket=row, text=said, agent=agent, client_id=client_id, by=by, now=now)
    _note_written(row, identity, message_id, client_id, by=by, now=now)
    hooks.tell_answered([row], now=now)
    return message_id


def _note_written(row: Ticket, identity: Identity, message_id: UUID, client_id: str, *, by: Actor, now: datetime) -> None:
    to = f"{identity.get_kind_display()}: {mask_identity(identity.kind, identity.value)}"
    write(row, Happening.WRITTEN, by=by, now=now, action=Action.TICKET_WRITE, item=to, message=message_id, client_id=client_id)
