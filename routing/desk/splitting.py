"""Another matter in the same conversation becomes a ticket, which quotes the lines that are about it.

It does not become a second conversation: a customer has one chat, in which the lines have the numbers that both sides know, and what they
write next does not say which matter it is about. A ticket is followed up on its own, and the conversation stays whole.
"""

from typing import Any

from django.utils.translation import gettext as _

from posthaste.lib.problems import Invalid
from routing.models import AuthorKind, Conversation, Line

MAX_LINES = 100
MAX_DESCRIPTION = 10_000
MAX_SUBJECT = 100


def matter_of(conversation: Conversation, *, first: int) -> dict[str, Any]:
    """Return subject and description of a ticket about the lines from a number on, and what else is known of it.

    Raises:
        Invalid: there is no line from there on.
    """
    rows = Line.objects.filter(conversation=conversation, seq__gte=first).exclude(author=AuthorKind.SYSTEM).select_related("agent")
    lines = list(rows.order_by("seq")[:MAX_LINES])
    if not lines:
        raise Invalid.field("seq", _("There is no line from this number on."), "unknown")
    asked = next((line for line in lines if line.author == AuthorKind.CUSTOMER and line.text.strip()), lines[0])
    said = "\n\n".join(f"{_author(line, conversation)}: {line.text.strip()}" for line in lines if line.text.strip())
    return {
        "subject": " ".join(asked.text.split())[:MAX_SUBJECT] or conversation.subject,
        "description": said[:MAX_DESCRIPTION],
        "customer": str(conversation.customer_id),
        "conversation": str(conversation.pk),
        "intent": str(asked.recognition.get("intent") or conversation.intent),
        "first_seq": lines[0].seq,
        "last_seq": lines[-1].seq,
    }


def _author(line: Line, conversation: Conversation) -> str:
    if line.author == AuthorKind.CUSTOMER:
        return conversation.customer.name or str(_("Customer"))
    return line.agent.name if line.agent else str(line.get_author_display())
