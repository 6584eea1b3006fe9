"""Another matter in the same conversation becomes a ticket, which quotes the lines that are about it.

It does not become a second conversation: a customer has one chat, in which the lines have the numbers that both sides know, and what they
write next does not say which matter it is about. A ticket is followed up on its own, and the conversation stays whole.
"""

from collections.abc import Collection
from dataclasses import dataclass

from django.utils.translation import gettext as _

from posthaste.lib.problems import Invalid
from routing.models import AuthorKind, Conversation, Line

MAX_LINES = 100
MAX_DESCRIPTION = 10_000
MAX_SUBJECT = 100


@dataclass(frozen=True, slots=True)
class Matter:
    """What a ticket about some lines begins with."""

    subject: str
    description: str


def matter_of(conversation: Conversation, *, seqs: Collection[int]) -> Matter:
    """Return subject and description of a ticket about the lines with these numbers, which it quotes with their authors.

    Raises:
        Invalid: none of them has a text, or there are too many.
    """
    if len(seqs) > MAX_LINES:
        raise Invalid.field("lines", _("At most {n}.").format(n=MAX_LINES), "too_many")
    rows = Line.objects.filter(conversation=conversation, seq__in=seqs).exclude(author=AuthorKind.SYSTEM).select_related("agent")
    lines = [line for line in rows.order_by("seq") if line.text.strip()]
    if not lines:
        raise Invalid.field("lines", _("None of these lines has a text."), "unknown")
    asked = next((line for line in lines if line.author == AuthorKind.CUSTOMER), lines[0])
    said = "\n\n".join(f"{_author(line, conversation)}: {line.text.strip()}" for line in lines)
    return Matter(subject=" ".join(asked.text.split())[:MAX_SUBJECT], description=said[:MAX_DESCRIPTION])


def _author(line: Line, conversation: Conversation) -> str:
    if line.author == AuthorKind.CUSTOMER:
        return conversation.customer.name or str(_("Customer"))
    return line.agent.name if line.agent else str(line.get_author_display())
