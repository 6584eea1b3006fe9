"""Ask others by e-mail about a conversation, such as a supplier: a conversation of its own that is never queued, and in no inbox.

It is found again by its thread when they answer, from whichever address; the agent of the conversation that it is about is told.
"""

from datetime import datetime
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.blank import is_blank
from posthaste.lib.control_characters import find_control
from posthaste.lib.ids import new_id
from posthaste.lib.problems import Conflict, Invalid
from routing.actions import Action
from routing.contract import SenderName
from routing.conversations import notices
from routing.customers import identities
from routing.desk import answering
from routing.desk.states import locked
from routing.models import SIDE_THREAD, Agent, Conversation, ConversationStatus, Entrance, EntranceKind, IdentityKind, Line

MAX_SUBJECT = 300
MAX_SIDES = 20


class NoMailbox(Conflict):
    """No entrance of the kind E-mail is enabled, so there is no address to write from. An operator can add one."""

    code = "no_mailbox"
    title = gettext_lazy("There is no address to write from")


@transaction.atomic
def begin_side(
    *, conversation: Conversation, agent: Agent, to: str, subject: str, text: str, client_id: str = "", by: Actor, now: datetime
) -> tuple[Conversation, Line]:
    """Write to another person about a conversation, and return the conversation with them and its first line.

    Sent again under its client id, it is the same one.

    Raises:
        Invalid: the address, the subject or the text is wrong.
        NoMailbox: there is no entrance for e-mail.
        Conflict: there are too many, or the conversation is itself one with others.
    """
    if conversation.parent_id is not None:
        raise Conflict(_("This is a conversation with others already."))
    locked(conversation)  # two requests at once begin one
    thread = f"{SIDE_THREAD}{conversation.pk.hex}:{client_id or new_id().hex}"[:250]
    known = Conversation.objects.filter(parent=conversation, thread=thread).select_related("identity", "entrance").first()
    if known is None:
        _check(conversation, to, subject)
        known = _new(conversation, agent, to=to.strip(), subject=subject.strip(), thread=thread, now=now)
        audit.record(
            by=by, action=Action.CONVERSATION_SIDE, target=conversation.pk, tenant_id=agent.tenant_id, detail={"side": str(known.pk)}
        )
    line = answering.reply(conversation=known, agent=agent, text=text, client_id=client_id, by=by, now=now)
    notices.changed_after_commit(conversation)
    return known, line


def _check(conversation: Conversation, to: str, subject: str) -> None:
    try:
        validate_email(to.strip())
    except ValidationError:
        raise Invalid.field("to", _("Must be an e-mail address.")) from None
    must_be_a_subject(subject)
    if Conversation.objects.filter(parent=conversation).count() >= MAX_SIDES:
        raise Conflict(_("At most {n} conversations with others.").format(n=MAX_SIDES))


def must_be_a_subject(text: str) -> None:
    """Check the subject of an e-mail.

    Raises:
        Invalid: it is empty, too long, or has several lines.
    """
    if is_blank(text) or len(text.strip()) > MAX_SUBJECT or find_control(text.strip()):
        raise Invalid.field("subject", _("Must have 1 to {n} characters, in one line.").format(n=MAX_SUBJECT))


def mailbox(tenant_id: int, *, preferred: UUID | None = None) -> Entrance:
    """Return the entrance whose address agents write from: the preferred one, if it is a mailbox, else the first one.

    Raises:
        NoMailbox: there is none.
    """
    mailboxes = Entrance.objects.filter(tenant_id=tenant_id, kind=EntranceKind.EMAIL, is_enabled=True)
    found = (mailboxes.filter(pk=preferred).first() if preferred else None) or mailboxes.order_by("pk").first()
    if found is None:
        raise NoMailbox(_("Add an entrance of the kind E-mail, or enable the one there is."))
    return found


def _new(conversation: Conversation, agent: Agent, *, to: str, subject: str, thread: str, now: datetime) -> Conversation:
    entrance = mailbox(agent.tenant_id, preferred=conversation.entrance_id)  # the one that the customer wrote to, if it is one
    identity = identities.resolve(SenderName(kind=IdentityKind.EMAIL, value=to), tenant_id=agent.tenant_id, now=now)
    return Conversation.objects.create(
        id=new_id(),
        tenant_id=agent.tenant_id,
        customer_id=identity.customer_id,
        entrance=entrance,
        identity=identity,
        thread=thread,
        subject=subject,
        # No agent holds it, so it takes no place of a capacity; and what is assigned waits in no queue.
        status=ConversationStatus.ASSIGNED,
        parent=conversation,
        created_at=now,
    )
