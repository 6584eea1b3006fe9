"""Which conversation a message belongs to, and how a reply is put behind the message that it answers (RFC 5322, section 3.6.4)."""

import re
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from messaging.channels.channel import EMAIL
from routing.contract import EntranceRow, Incoming
from routing.conversations.carriers import Outgoing
from routing.models import AuthorKind, Conversation, Line

#: A reply's Message-ID begins with the id of its message: see messaging.channels.email.
OUR_ID = re.compile(r"([0-9a-f]{32})@")
RE = re.compile(r"(re|aw|sv|antw|回复|答复|回覆)\s?[:：]", re.IGNORECASE)
MAX_REFERENCES = 20


def placed(entrance: EntranceRow, incoming: Sequence[Incoming]) -> list[Incoming]:
    """Return messages with their thread: that of our reply where they mention one, else that of the first message they mention.

    A mail program may leave out all but the last reference, and ours has no message of the customer as its own id.
    """
    ids = {message_id: one for one in incoming for message_id in _ours(one)}
    if not ids:
        return list(incoming)
    known = dict(
        Line.objects.filter(message_id__in=ids, conversation__entrance_id=entrance.id).values_list("message_id", "conversation__thread")
    )
    return [replace(one, thread=next((known[found] for found in _ours(one) if found in known), one.thread)) for one in incoming]


def _ours(incoming: Incoming) -> list[UUID]:
    mentioned = incoming.details.get("references", ())
    return [UUID(found[1]) for name in reversed(mentioned) if (found := OUR_ID.match(name))]


def carry(conversation: Conversation, line: Line, text: str) -> Outgoing:
    """Return the e-mail that carries a reply, in the thread of the customer's last message."""
    details = conversation.details
    subject = str(details.get("subject") or conversation.subject)
    answered = str(details.get("message_id") or "")
    before = [name for name in details.get("references", ()) if name != answered]
    references = [*before[:1], *before[1:][-(MAX_REFERENCES - 2) :], *([answered] if answered else [])]
    headers = {
        "in_reply_to": answered,
        "references": references,
        "reply_to": str(conversation.entrance.settings.get("address", "")),
        "by_hand": line.author == AuthorKind.AGENT,
    }
    return Outgoing(
        channel=EMAIL,
        recipient=conversation.identity.value,
        body=text or "…",
        subject=subject if RE.match(subject) or not answered else f"Re: {subject}".strip(),
        metadata={"mail": headers},
    )
