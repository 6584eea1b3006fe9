"""Answers that an agent may give, from the same entries that the bot answers with."""

from typing import TYPE_CHECKING, NamedTuple

from routing.bot.reading import MAX_LINES, intents_of
from routing.faq import search
from routing.faq.rendering import text_of
from routing.models import AuthorKind, Conversation, Line

if TYPE_CHECKING:
    from routing.faq.index import Entry

#: What is less alike is noise.
LEAST = 0.3


class Suggestion(NamedTuple):
    """An entry, its answer as a text for any channel, and how alike it and what the customer wrote are."""

    entry: "Entry"
    answer: str
    score: float


def for_conversation(conversation: Conversation, limit: int = 3) -> list[Suggestion]:
    """Return answers to what the customer wrote last, the likeliest first.

    Raises:
        UnknownEncoder: the sentence encoder's files are missing.
    """
    own = list(Line.objects.filter(conversation=conversation).order_by("-seq")[:MAX_LINES])
    newest: list[Line] = []
    for line in own:
        if line.author == AuthorKind.CUSTOMER:
            newest.append(line)
        elif newest and line.author in (AuthorKind.AGENT, AuthorKind.BOT):
            break
    if not newest:
        return []
    told = (str(line.recognition.get("language", "und")) for line in newest)
    language = next((each for each in told if each != "und"), conversation.language)
    texts = [line.text for line in reversed(newest)]
    found = search.find(conversation.tenant_id, texts, language, limit, intents=intents_of(newest))
    return [Suggestion(each.entry, text_of(each.entry.answer), each.score) for each in found if each.score >= LEAST]
