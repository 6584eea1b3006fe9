"""Replies of agents and systems: the line and the message that carries it are one transaction.

The message goes to the identity that wrote, by the channel of the entrance, with the trace of every other message. A reply that is sent
again under its client id is the same line.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import audit
from accounts.services.audit import Actor
from messaging.intake.accept import accept_message
from messaging.intake.repeats import Repeatable
from messaging.storage.store import NewRow
from messaging.suppression import suppressions
from posthaste.lib.blank import is_blank
from posthaste.lib.ids import new_id
from posthaste.lib.problems import Conflict, Invalid, NotFound
from routing.actions import Action
from routing.conversations import attachments, carriers, file_links, hooks, lines
from routing.customers.values import ERASED
from routing.models import Agent, AuthorKind, Conversation, ConversationStatus, Identity, Line

MAX_TEXT = 20_000
#: A customer waits for it, and said something first: of the delivery rules only the suppression list applies from this priority on, so
#: neither quiet hours nor the rule against the same text twice hold up an "OK".
PRIORITY = 9
PENDING = "pending"


class AnsweredMeanwhile(Conflict):
    """Another agent or bot has replied after the line that you saw last. Read what was written, then decide."""

    code = "answered_meanwhile"
    title = gettext_lazy("Answered in the meantime")


@dataclass(frozen=True, slots=True)
class Author:
    """Who replies: an agent, or a system, which is a bot. Their uploads are kept under `owner`."""

    agent: Agent | None = None
    owner: str = ""

    @property
    def kind(self) -> AuthorKind:
        """What the line says of its author."""
        return AuthorKind.AGENT if self.agent else AuthorKind.BOT


@transaction.atomic
def reply(
    *,
    conversation: Conversation,
    author: Author,
    text: str,
    file_ids: Sequence[UUID] = (),
    client_id: str = "",
    seen_seq: int | None = None,
    data: Mapping[str, Any] | None = None,
    by: Actor,
    now: datetime,
) -> Line:
    """Write a reply and hand it to messaging; return its line, the same one if the client id was used before.

    `seen_seq` is the last line that its author has seen: if another agent or bot replied after it, this one is refused, so that no two
    answer the same question. `data` is kept with the line, for agents: which entry of the FAQ it came from.

    Raises:
        Invalid: it is empty or too long, or a file is not there.
        AnsweredMeanwhile: another reply came first.
        Conflict: the conversation is closed, or its customer was erased.
        NotFound: the conversation was deleted.
    """
    try:
        locked = lines.lock(conversation.pk)
    except Conversation.DoesNotExist:
        raise NotFound from None
    if client_id and (known := Line.objects.filter(conversation=locked, author=author.kind, client_id=client_id).first()):
        return known
    if len(text) > MAX_TEXT:
        raise Invalid.field("text", _("At most {n} characters.").format(n=MAX_TEXT), "too_long")
    if is_blank(text) and not file_ids:
        raise Invalid.field("text", _("Write a text or add a file."), "required")
    if locked.status in (ConversationStatus.CLOSED, ConversationStatus.SPAM):
        raise Conflict(_("The conversation is closed. A new one begins when the customer writes again."))
    # Asked after the lock, for which an erasure that is going on is waited.
    if Identity.objects.filter(pk=locked.identity_id, value__startswith=ERASED).exists():
        raise Conflict(_("The customer was erased. There is no one to reply to."))
    if seen_seq is not None and _is_answered(locked, author, seen_seq):
        raise AnsweredMeanwhile
    files = attachments.owned(file_ids, tenant_id=locked.tenant_id, owner=author.owner)
    message_id = new_id()
    text = text.replace("\x00", "")
    line, _made = lines.append(
        locked,
        author=author.kind,
        agent=author.agent,
        text=text,
        client_id=client_id,
        message_id=message_id,
        data=dict(data or {}),
        now=now,
    )
    attachments.give(files, line=line, owner=author.owner)
    _hand_over(locked, line, message_id, by=by, now=now)
    hooks.tell_replied(locked, line, now=now)
    audit.record(
        by=by,
        action=Action.CONVERSATION_REPLY,
        target=locked.pk,
        tenant_id=locked.tenant_id,
        detail={"line": str(line.pk), "message": str(message_id), "characters": len(text), "files": len(files)},
    )
    return line


def _is_answered(conversation: Conversation, author: Author, seen_seq: int) -> bool:
    """Return whether another than this author has replied after a line."""
    newer = Line.objects.filter(conversation=conversation, seq__gt=seen_seq, author__in=(AuthorKind.AGENT, AuthorKind.BOT))
    return any(
        agent_id is None or author.agent is None or agent_id != author.agent.pk for agent_id in newer.values_list("agent", flat=True)
    )


def _hand_over(conversation: Conversation, line: Line, message_id: UUID, *, by: Actor, now: datetime) -> None:
    """Give messaging the message that carries a line; it joins the transaction, and is published after its commit."""
    text = line.text if carriers.sends_files(conversation) else file_links.with_links(conversation, line, by=by, now=now)
    outgoing = carriers.compose(conversation, line, text)
    row = NewRow(
        id=message_id,
        tenant_id=conversation.tenant_id,
        api_key_id=None,
        batch_id=None,
        channel=outgoing.channel,
        recipient=outgoing.recipient,
        priority=PRIORITY,
        status=PENDING,
        is_sandbox=False,
        template_version_id=None,
        variables={},
        subject=outgoing.subject,
        body=outgoing.body,
        segments=None,
        reference=str(conversation.pk),
        metadata={
            **outgoing.metadata,
            "conversation": str(conversation.pk),
            "line": str(line.pk),
            "entrance": str(conversation.entrance_id),
        },
        created_at=now,
        due_at=now,
        expires_at=None,
        category=suppressions.ANSWER if conversation.customer_wrote_at else "",
    )
    accept_message(row, repeatable=Repeatable(f"line:{line.pk.hex}", hashlib.sha256(line.pk.bytes).digest()))
