"""What the bot answers, and when it hands over; what an entry of the FAQ needs before it is published."""

import re
from collections.abc import Mapping
from typing import Any, Self

import regex
from django.db.models import TextChoices
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Module, Shape, setting
from routing.configuration.assignment_rules import LANGUAGE, WRONG_LANGUAGE

#: The name of a detail: part of a reply, and of what is kept with the conversation.
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
MAX_PATTERN = 200


class OutsideHours(TextChoices):
    """What the bot does outside business hours."""

    ANSWERS = "answers", gettext_lazy("Answers as always")
    QUEUES = "queues", gettext_lazy("Takes nothing: conversations wait for an agent")


class Detail(Shape):
    """Something that the bot asks for when a customer wants what the intent names, such as the order number."""

    intent: str = setting("", _("Intent"), _("Short name of the intent that needs it."), max_length=80)
    name: str = setting("", _("Name"), _("Such as order_number; agents see it beside the value."), max_length=40)
    question: str = setting("", _("Question"), _("In English, and wherever there is no other."), max_length=300)
    question_zh: str = setting("", _("Question in Chinese"), "", max_length=300)
    pattern: str = setting(
        "", _("Pattern"), _("A regular expression that finds the value in a text. Empty: the whole text."), max_length=MAX_PATTERN
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        hot.filled(self, "intent", "name", "question")
        if not NAME.fullmatch(self.name):
            raise hot.Wrong("name", _("Must be a name of lower-case letters, digits and underscores, such as order_number."))
        try:
            regex.compile(self.pattern)
        except regex.error:
            raise hot.Wrong("pattern", _("Must be a regular expression such as A-[0-9]+.")) from None
        return self

    @classmethod
    def in_brief(cls, values: Mapping[str, Any]) -> str:
        return gettext("{intent}: {name}").format(intent=values.get("intent") or "–", name=values.get("name") or "–")


class Bot(Module):
    """The bot, and the review of the entries that it answers from."""

    is_enabled: bool = setting(False, _("Enabled"), _("New conversations go to the bot first."))
    entrances: list[str] = setting(
        list, _("Entrances"), _("Names of entrances, one per line. Empty: all."), widget="lines", is_unordered=True, max_length=100
    )
    languages: list[str] = setting(
        lambda: ["en", "zh"],
        _("Languages"),
        _("Codes such as en or zh, one per line. Empty: all."),
        widget="lines",
        is_unordered=True,
        max_length=50,
    )
    outside_hours: OutsideHours = setting(OutsideHours.ANSWERS, _("Outside business hours"), "")
    answer_percent: int = setting(
        58, _("Answers from"), _("How alike a text and an entry must be, to answer with it."), unit="%", ge=1, le=100
    )
    offer_percent: int = setting(
        40, _("Offers from"), _("How alike they must be, to offer the entry as one of three to choose from."), unit="%", ge=1, le=100
    )
    gap_percent: int = setting(
        7, _("Distance to the next"), _("An entry that is not so much more alike than the next is only offered."), unit="%", ge=0, le=100
    )
    misses: int = setting(3, _("Misses"), _("After so many texts without an answer an agent takes over."), ge=1, le=10)
    greeting: str = setting(
        "", _("Greeting"), _("Stands before the first answer. In English, and wherever there is no other."), max_length=300
    )
    greeting_zh: str = setting("", _("Greeting in Chinese"), "", max_length=300)
    hand_over_words: list[str] = setting(
        lambda: ["human", "agent", "operator", "real person", "representative", "人工", "真人", "转客服", "转接"],
        _("Words for an agent"),
        _("A short text with one of these goes to an agent at once. One per line."),
        widget="lines",
        is_unordered=True,
        max_length=100,
    )
    hand_over_intents: list[str] = setting(
        lambda: ["human_please", "complaint_service"],
        _("Intents for an agent"),
        _("These always go to an agent, one per line."),
        widget="lines",
        is_unordered=True,
        max_length=100,
    )
    details: list[Detail] = setting(
        list, _("Details to ask for"), _("Asked for one after the other; then an agent takes over and sees them."), max_length=100
    )
    resolve_minutes: int = setting(
        30, _("Resolves after"), _("When the customer writes nothing after an answer. 0: never."), unit="min", ge=0, le=10_080
    )
    hand_over_minutes: int = setting(
        15, _("Hands over after"), _("When the customer does not reply to a question of the bot. 0: never."), unit="min", ge=0, le=10_080
    )
    two_people: bool = setting(
        False, _("Two people publish"), _("An entry of the FAQ is published by another person than the one who wrote it, after a review.")
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        hot.each("languages", self.languages, LANGUAGE.fullmatch, WRONG_LANGUAGE)
        for field in ("entrances", "hand_over_words", "hand_over_intents"):
            hot.each(field, getattr(self, field), str.strip, _("Must not be empty."))
        if self.offer_percent > self.answer_percent:
            raise hot.Wrong("offer_percent", _("Must not be more than what is needed for an answer."))
        asked = (f"{each.intent}: {each.name}" for each in self.details)
        hot.no_two("details", asked, _("{name} is listed twice."))
        return self
