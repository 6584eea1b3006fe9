"""Answers of the FAQ that an agent may give."""

from typing import Any

from routing.bot import suggestions
from routing.intents.vectors import UnknownEncoder
from routing.models import OPEN_STATUSES, Conversation


def answers_for(conversation: Conversation) -> list[dict[str, Any]]:
    """Return the likeliest answers to what the customer wrote last; none where the conversation is over, or nothing can be compared."""
    if conversation.status not in OPEN_STATUSES or conversation.parent_id is not None:
        return []
    try:
        found = suggestions.for_conversation(conversation)
    except UnknownEncoder:
        return []
    return [{"entry": str(each.entry.id), "question": each.entry.question, "answer": each.answer, "score": each.score} for each in found]
