"""What the bot does about what a customer wrote: a decision from what is known, without asking or writing anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import regex

from routing.bot.phrases import asks_for, folded, is_no, is_yes, number_in
from routing.configuration.bot import Bot, Detail
from routing.models import BotAction

MAX_OFFERS = 3
#: Of a text in which a pattern is looked for, and for how long.
MAX_SEARCHED, SEARCH_SECONDS = 1_000, 0.2
MAX_VALUE = 200
GREETING, THANKS = "greeting", "thanks_goodbye"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry that may answer, and how alike it and the texts are, 0 to 1."""

    id: UUID
    question: str
    score: float


@dataclass(frozen=True, slots=True)
class Before:
    """What the bot did last in this conversation, as its turn tells."""

    action: str = ""
    reason: str = ""
    entry: UUID | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def misses(self) -> int:
        """How many texts had no answer so far."""
        return int(self.data.get("misses", 0))

    @property
    def collected(self) -> dict[str, str]:
        """What the customer has told so far, by name."""
        return dict(self.data.get("collected", {}))

    @property
    def offered(self) -> list[Candidate]:
        """What was offered to choose from."""
        return [Candidate(UUID(each["faq"]), each["question"], each["score"]) for each in self.data.get("offered", ())]


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known: the texts since the bot's last turn, the intent that was surely recognized, and entries, the likeliest first."""

    texts: Sequence[str]
    intent: str = ""
    candidates: Sequence[Candidate] = ()
    before: Before = Before()
    #: Whether the bot is for the language of the texts.
    speaks: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, why, and what the turn keeps for the next one."""

    action: BotAction
    reason: str
    entry: Candidate | None = None
    offered: Sequence[Candidate] = ()
    detail: Detail | None = None
    collected: Mapping[str, str] = field(default_factory=dict)
    misses: int = 0
    #: What the customer thinks of the answer before: helpful, not helpful, or nothing.
    opinion: bool | None = None


def decide(situation: Situation, settings: Bot) -> Decision:
    """Return what to do. In doubt an agent takes over."""
    before = situation.before
    if not settings.is_enabled:
        return _hand_over(before, "switched_off")
    if not situation.texts:
        return _hand_over(before, "no_text")
    newest = situation.texts[-1]
    is_wanted = any(asks_for(settings.hand_over_words, text) for text in situation.texts)
    if situation.intent in settings.hand_over_intents or is_wanted:
        return _hand_over(before, "request")
    if not situation.speaks:
        return _hand_over(before, "language")
    if (asked := _asked_detail(before, settings)) is not None:
        return _told(situation, asked, settings)
    if before.action == BotAction.OFFER and (chosen := _chosen(newest, before.offered)) is not None:
        return Decision(BotAction.ANSWER, "chosen", chosen, collected=before.collected, misses=before.misses)
    if (answer := _opinion(situation, settings)) is not None:
        return answer
    if situation.intent and (missing := _missing(situation, settings)) is not None:
        return missing
    return _from_faq(situation, settings)


def _from_faq(situation: Situation, settings: Bot) -> Decision:
    before, found = situation.before, situation.candidates
    kept: dict[str, Any] = {"collected": before.collected, "misses": before.misses}
    if found and _is_sure(found, settings):
        if before.action == BotAction.ANSWER and before.entry == found[0].id:
            return _hand_over(before, "repeated")  # the same answer again would not help
        return Decision(BotAction.ANSWER, "sure", found[0], **kept)
    offered = [each for each in found[:MAX_OFFERS] if each.score >= settings.offer_percent / 100]
    if offered:
        if before.action != BotAction.OFFER:
            return Decision(BotAction.OFFER, "unsure", offered=offered, **kept)
        return _missed(
            before, settings, or_else=lambda misses: Decision(BotAction.OFFER, "unsure", offered=offered, **{**kept, "misses": misses})
        )
    if situation.intent == GREETING and before.reason != "greeting":
        return Decision(BotAction.ASK, "greeting", **kept)
    if situation.intent == THANKS:
        # Thanks for thanks are answered once: two systems would go on for ever.
        return Decision(BotAction.SILENT if before.reason == "thanks" else BotAction.ASK, "thanks", **kept)
    if situation.intent and situation.intent != GREETING:
        return _hand_over(before, "no_answer")  # it is clear what is wanted, and no entry says it: asking again would not help
    return _missed(before, settings)


def _is_sure(found: Sequence[Candidate], settings: Bot) -> bool:
    """Return whether the first entry is alike enough, and clearly more so than the next."""
    best, following = found[0].score, found[1].score if len(found) > 1 else 0.0
    return best >= settings.answer_percent / 100 and round(best - following, 4) >= settings.gap_percent / 100


def _missed(before: Before, settings: Bot, or_else: Any = None) -> Decision:
    """Return what to do about one more text without an answer."""
    misses = before.misses + 1
    if misses >= settings.misses:
        return _hand_over(before, "misses", misses=misses)
    if or_else is not None:
        found: Decision = or_else(misses)
        return found
    return Decision(BotAction.ASK, "again", collected=before.collected, misses=misses)


def _hand_over(before: Before, reason: str, *, misses: int | None = None, collected: Mapping[str, str] | None = None) -> Decision:
    told = before.collected if collected is None else collected
    return Decision(BotAction.HAND_OVER, reason, collected=told, misses=before.misses if misses is None else misses)


# --- what a customer says of an answer, or chooses ------------------------------------------------------------------


def _chosen(text: str, offered: Sequence[Candidate]) -> Candidate | None:
    number = number_in(text)
    if number is not None:
        return offered[number - 1] if number <= len(offered) else None
    return next((each for each in offered if folded(each.question) == folded(text)), None)


def _opinion(situation: Situation, settings: Bot) -> Decision | None:
    before, newest = situation.before, situation.texts[-1]
    if before.action not in (BotAction.ANSWER, BotAction.OFFER):
        return None
    was_answered = before.action == BotAction.ANSWER
    if is_yes(newest) and was_answered:
        return Decision(BotAction.ASK, "thanks", collected=before.collected, opinion=True)
    if is_no(newest):
        opinion = False if was_answered else None
        misses = before.misses + 1
        if misses >= settings.misses:
            return Decision(BotAction.HAND_OVER, "misses", collected=before.collected, misses=misses, opinion=opinion)
        return Decision(BotAction.ASK, "unhelpful", collected=before.collected, misses=misses, opinion=opinion)
    return None


# --- details that an intent needs -----------------------------------------------------------------------------------


def _asked_detail(before: Before, settings: Bot) -> Detail | None:
    """Return the detail that the bot asked for last, if it is still configured."""
    if before.action != BotAction.COLLECT:
        return None
    wanted = (before.data.get("intent"), before.data.get("detail"))
    return next((each for each in settings.details if (each.intent, each.name) == wanted), None)


def _told(situation: Situation, asked: Detail, settings: Bot) -> Decision:
    """Return what follows when a detail was asked for."""
    before = situation.before
    value = next((found for text in reversed(situation.texts) if (found := value_in(text, asked.pattern))), "")
    if value:
        return _next_detail(situation, asked.intent, {**before.collected, asked.name: value}, settings)
    if situation.candidates and _is_sure(situation.candidates, settings):
        entry = situation.candidates[0]
        return Decision(BotAction.ANSWER, "sure", entry, collected=before.collected, misses=before.misses)
    return _missed(
        before,
        settings,
        or_else=lambda misses: Decision(BotAction.COLLECT, "again", detail=asked, collected=before.collected, misses=misses),
    )


def _missing(situation: Situation, settings: Bot) -> Decision | None:
    """Return the question for what the intent needs and the texts do not tell; None: it needs nothing."""
    wanted = [each for each in settings.details if each.intent == situation.intent]
    if not wanted:
        return None
    collected = situation.before.collected
    for each in wanted:
        found = next((found for text in reversed(situation.texts) if (found := value_in(text, each.pattern))), "") if each.pattern else ""
        if found:
            collected.setdefault(each.name, found)
    return _next_detail(situation, situation.intent, collected, settings)


def _next_detail(situation: Situation, intent: str, collected: Mapping[str, str], settings: Bot) -> Decision:
    for each in settings.details:
        if each.intent == intent and each.name not in collected:
            return Decision(BotAction.COLLECT, "needed", detail=each, collected=collected, misses=situation.before.misses)
    return _hand_over(situation.before, "collected", collected=collected)


def value_in(text: str, pattern: str) -> str:
    """Return what a pattern finds in a text, its first group if it has one; without a pattern the text itself. Empty: nothing."""
    if not pattern:
        return " ".join(text.split())[:MAX_VALUE]
    try:
        found = regex.search(pattern, text[:MAX_SEARCHED], timeout=SEARCH_SECONDS, flags=regex.IGNORECASE)
    except (TimeoutError, regex.error):
        return ""
    if found is None:
        return ""
    return str((found[1] if found.re.groups else found[0]) or "").strip()[:MAX_VALUE]
