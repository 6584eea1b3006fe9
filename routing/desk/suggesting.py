"""Answers of the FAQ that an agent may give."""

from typing import Any

from routing.bot import suggestions
from routing.configuration import bot
from routing.intents.vectors import UnknownEncoder
from routing.models import OPEN_STATUSES, Conversation


def answers_for(conversation: Conversation) -> list[dict[str, Any]]:
    """Return the likeliest answers to what the customer wrote last; none where the conversation is over, or none is alike."""
    if conversation.status not in OPEN_STATUSES or conversation.parent_id is not None:
        return []
    try:
        found = suggestions.for_conversation(conversation)
    except UnknownEncoder:
        return []
    least = bot.of(conversation.tenant_id).offer_percent / 100  # what is less alike would not be offered to customers either
    found = [each for each in found if each.score >= least]
    return [{"entry": str(each.entry.id), "question": each.entry.question, "answer": each.answer, "score": each.score} for each in found]
