"""What the bot knows of a conversation before it decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Max

from posthaste.lib.blank import is_blank
from routing.bot.deciding import Before, Candidate, Situation
from routing.bot.gate import speaks
from routing.configuration.bot import Bot
from routing.faq import search
from routing.faq.search import Found
from routing.models import AuthorKind, BotTurn, Conversation, ConversationStatus, Line

#: Texts that are looked at together.
MAX_LINES = 10
CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """A conversation of the bot as it was when it was read."""

    conversation: Conversation
    lines: Sequence[Line]
    last: BotTurn | None
    newest_seq: int

    @property
    def language(self) -> str:
        """The language of the newest text that has one, else the conversation's."""
        told = (str(line.recognition.get("language", "und")) for line in reversed(self.lines))
        return next((each for each in told if each != "und"), self.conversation.language).lower()

    @property
    def before(self) -> Before:
        """What the bot did last; nothing, after it had handed over."""
        if self.last is None or self.last.action == "hand_over" or (self.last.action, self.last.reason) == ("silent", "human"):
            return Before()
        return Before(self.last.action, self.last.reason, self.last.entry_id, self.last.data)


def read(conversation_id: UUID, *, is_waiting: bool = True) -> Seen | None:
    """Return a conversation of the bot with the texts since its last turn; None: it is not the bot's, or does not wait for it."""
    row = Conversation.objects.filter(pk=conversation_id, status=ConversationStatus.BOT).first()
    if row is None or (is_waiting and row.unanswered_since is None):
        return None
    last = last_turn(row.pk)
    by_agents = Line.objects.filter(conversation=row, author=AuthorKind.AGENT).aggregate(seq=Max("seq"))["seq"] or 0
    behind = max(last.seq if last else 0, by_agents)
    own = Line.objects.filter(conversation=row, author=AuthorKind.CUSTOMER, seq__gt=behind).order_by("-seq")
    newest = newest_text(row.pk)  # before the lines: what comes in between is seen when the turn is written
    return Seen(row, [line for line in reversed(own[:MAX_LINES]) if line.seq <= newest], last, newest)


def last_turn(conversation_id: UUID) -> BotTurn | None:
    """Return what the bot did last in a conversation."""
    return BotTurn.objects.filter(conversation_id=conversation_id).order_by("-seq").first()


def newest_text(conversation_id: UUID) -> int:
    """Return the number of the customer's last line."""
    return Line.objects.filter(conversation_id=conversation_id, author=AuthorKind.CUSTOMER).aggregate(seq=Max("seq"))["seq"] or 0


def situation_of(seen: Seen, settings: Bot) -> Situation:
    """Return what the decision needs.

    Raises:
        UnknownEncoder: the sentence encoder's files are missing.
    """
    texts = [line.text for line in seen.lines if not is_blank(line.text)]
    language = seen.language
    can_speak = not language or speaks(settings.languages, language)
    found: list[Found] = []
    if texts and can_speak and settings.is_enabled:
        intents = intents_of(seen.lines)
        found = search.find(seen.conversation.tenant_id, texts, language, CANDIDATES, intents=intents, is_for_bot=True)
    candidates = [Candidate(each.entry.id, each.entry.question, each.score) for each in found]
    surely = next((str(name) for line in reversed(seen.lines) if (name := line.recognition.get("intent"))), "")
    return Situation(texts, surely, candidates, seen.before, can_speak)


def intents_of(lines: Sequence[Line]) -> Mapping[str, float] | None:
    """Return how likely each intent is in the likeliest of some texts; None: nothing was recognized."""
    likely: dict[str, float] = {}
    for line in lines:
        for name, confidence in line.recognition.get("alternatives", ()):
            likely[str(name)] = max(likely.get(str(name), 0.0), float(confidence))
    return likely or None
