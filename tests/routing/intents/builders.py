"""Intents, utterances and small models for tests."""

import itertools
from functools import cache
from typing import Any

from django.utils import timezone

from accounts.models import Tenant
from routing.intents import artefact, fitting
from routing.intents.text_keys import text_key
from routing.models import Intent, IntentModel, ModelState, Utterance, UtteranceState

_numbers = itertools.count(1)
#: Enough to tell apart what a cup, a train and the weather have to do with each other.
TEXTS: dict[str, list[str]] = {
    "tea": [
        "a cup of tea please", "I would like some green tea", "make me a pot of tea", "black tea with milk", "is there tea left",
        "请给我一杯茶", "我想喝绿茶",
    ],
    "train": [
        "when does the train leave", "a train ticket to Berlin", "the train is late again", "which platform has my train",
        "is this the night train", "火车几点开", "我要买火车票",
    ],
    "weather": [
        "will it rain tomorrow", "how warm is it outside", "is it going to snow", "the weather for the weekend", "do I need an umbrella",
        "明天会下雨吗", "今天天气怎么样",
    ],
}  # fmt: skip
#: What none of them is about.
OUTSIDE = ["who won the election", "how old is the pope", "translate this sentence", "我的电脑坏了"]


def make_intent(tenant: Tenant, name: str = "", **fields: Any) -> Intent:
    """Make an intent."""
    name = name or f"intent_{next(_numbers)}"
    return Intent.objects.create(tenant=tenant, name=name, created_at=timezone.now(), **{"title": name.title(), **fields})


def make_utterance(tenant: Tenant, text: str = "", intent: Intent | None = None, **fields: Any) -> Utterance:
    """Make an accepted utterance; without an intent it is out of scope."""
    text = text or f"text {next(_numbers)}"
    fields = {"state": UtteranceState.ACCEPTED, "language": "en", "created_at": timezone.now(), **fields}
    return Utterance.objects.create(tenant=tenant, text=text, text_key=text_key(text), intent=intent, **fields)


def make_small_set(tenant: Tenant, *, held_out: int = 0) -> dict[str, Intent]:
    """Make three intents with seven utterances each, and some that are out of scope; of each intent so many are held out."""
    intents = {name: make_intent(tenant, name) for name in TEXTS}
    for name, texts in TEXTS.items():
        for place, text in enumerate(texts):
            make_utterance(tenant, text, intents[name], held_out=place < held_out)
    for text in OUTSIDE:
        make_utterance(tenant, text)
    return intents


@cache
def small_model(*names: str) -> bytes:
    """Train a model of some of the intents, of all where none is named."""
    pairs = [(text, name) for name in names or TEXTS for text in TEXTS[name]]
    return artefact.pack(fitting.fit(texts=[text for text, _name in pairs], labels=[name for _text, name in pairs]).model)


def make_version(tenant: Tenant, content: bytes = b"", **fields: Any) -> IntentModel:
    """Make a version that is ready; without content it has none that could be loaded."""
    fields = {"state": ModelState.READY, "number": next(_numbers), "created_at": timezone.now(), **fields}
    sha256 = artefact.digest(content) if content else ""
    return IntentModel.objects.create(tenant=tenant, **{"artefact": content or None, "sha256": sha256, **fields})
