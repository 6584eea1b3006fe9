"""The bot's sentences, in the customer's language."""

from collections.abc import Sequence

from django.utils import translation
from django.utils.translation import gettext as _

from routing.bot.deciding import Decision
from routing.configuration.bot import Bot
from routing.models import BotAction

CHINESE = "zh"
FULL_STOP = "。"


def interface_language(language: str) -> str:
    """Return the language of the interface that is nearest to a customer's."""
    return "zh-hans" if language.startswith(CHINESE) else "en"


def reply_to(decision: Decision, *, answer: str, language: str, settings: Bot, is_first: bool, is_open: bool) -> str:
    """Return what the customer is told; `answer` is that of the entry."""
    with translation.override(interface_language(language)):
        said = _said(decision, answer, language, is_open=is_open)
        greeting = (settings.greeting_zh if language.startswith(CHINESE) else "") or settings.greeting
        if is_first and greeting:
            return greeting if decision.reason == "greeting" else f"{greeting}\n\n{said}"
        return said


def choices_of(decision: Decision, language: str) -> list[str]:
    """Return short texts that the customer may answer with, as buttons of a chat."""
    if decision.action == BotAction.OFFER:
        return [each.question for each in decision.offered]
    if decision.action == BotAction.ANSWER:
        with translation.override(interface_language(language)):
            return [_("Yes"), _("No")]
    return []


def _said(decision: Decision, answer: str, language: str, *, is_open: bool) -> str:
    match decision.action:
        case BotAction.ANSWER:
            return "\n\n".join([answer, _("Did that help? If not, just ask for an agent.")])
        case BotAction.OFFER:
            return _offer([each.question for each in decision.offered])
        case BotAction.COLLECT if decision.detail is not None:
            detail = decision.detail
            question = (detail.question_zh if language.startswith(CHINESE) else "") or detail.question
            return _joined(_("I could not find that in your text."), question) if decision.reason == "again" else question
        case BotAction.HAND_OVER:
            return _handed_over(decision.reason, is_open=is_open)
    return _asked(decision.reason)


def _offer(questions: Sequence[str]) -> str:
    if len(questions) == 1:
        return "\n".join([_("Is this what you want to know?"), f"1. {questions[0]}", _("Write 1, or say it in other words.")])
    listed = [f"{number}. {question}" for number, question in enumerate(questions, 1)]
    return "\n".join([_("Is it one of these?"), *listed, _("Write its number, or say it in other words.")])


def _asked(reason: str) -> str:
    match reason:
        case "greeting":
            return _("Hello! What can I do for you?")
        case "thanks":
            return _("You are welcome. If there is anything else, just write.")
        case "unhelpful":
            return _("I am sorry. Can you say it in other words? You can also ask for an agent.")
    return _("I am not sure what you mean. Can you say it in other words? You can also ask for an agent.")


def _handed_over(reason: str, *, is_open: bool) -> str:
    said = (
        _("A colleague will take care of this. Please wait a moment.")
        if is_open
        else _("A colleague will take care of this. We are closed at the moment; you get an answer when we open again.")
    )
    return _joined(_("Thank you."), said) if reason == "collected" else said


def _joined(first: str, second: str) -> str:
    """Join two sentences; Chinese ones have no space between them."""
    return f"{first}{'' if first.endswith(FULL_STOP) else ' '}{second}"


def summary(decision: Decision, *, asked: Sequence[str], answers: Sequence[str]) -> str:
    """Return what agents read when they take over: why, what the customer wrote, what was answered, and the details."""
    parts = [_("The bot handed over: {reason}").format(reason=reason_in_words(decision.reason))]
    if asked:
        parts.append(_("The customer wrote: {texts}").format(texts=" / ".join(asked)))
    if answers:
        parts.append(_("Answered or offered: {entries}").format(entries=", ".join(answers)))
    parts += [f"{name}: {value}" for name, value in decision.collected.items()]
    return "\n".join(parts)


def reason_in_words(reason: str) -> str:
    """Return why the bot did something, in the reader's language."""
    return {
        "request": _("asked for an agent"),
        "misses": _("several texts without an answer"),
        "no_answer": _("no entry is alike enough"),
        "repeated": _("the same question again"),
        "collected": _("all details are there"),
        "language": _("not a language of the bot"),
        "no_text": _("no text"),
        "failure": _("the bot failed"),
        "late": _("the bot did not answer in time"),
        "idle": _("no reply to a question"),
        "switched_off": _("the bot was switched off"),
        "human": _("an agent has the conversation"),
        "sure": _("sure"),
        "unsure": _("not sure enough"),
        "chosen": _("chosen by the customer"),
        "again": _("not understood"),
        "needed": _("a detail is needed"),
        "greeting": _("greeting"),
        "thanks": _("thanks"),
        "unhelpful": _("the answer did not help"),
    }.get(reason, reason)
