"""The starting set as rows of a tenant: intents, utterances and a trained model for customer service, in English and Chinese.

`starting.py` makes the model; it loads what trains, so only the files that it writes are read here.
"""

import csv
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from django.db import transaction
from django.db.models import Max

from accounts.services import audit
from accounts.services.audit import Actor
from routing.actions import Action
from routing.intents.editing import OUT_OF_SCOPE, title_of
from routing.intents.text_keys import text_key
from routing.intents.utterances import STEP, known
from routing.models import Intent, IntentModel, ModelState, Utterance, UtteranceSource, UtteranceState

FOLDER = Path(__file__).parent / "starting_set"
MODEL = FOLDER / "model.zip"
ABOUT = FOLDER / "model.json"
INTENTS = FOLDER / "intents.json"
HELD_OUT = "held_out"


class Example(NamedTuple):
    """A text of the starting set."""

    text: str
    intent: str
    language: str
    is_held_out: bool


class Loaded(NamedTuple):
    """What was new to a tenant."""

    intents: int
    utterances: int
    version: int  # of the starting model among the tenant's; 0 if nothing was new


@cache
def content() -> bytes:
    """Return the starting model."""
    return MODEL.read_bytes()


@cache
def sha256() -> str:
    """Return the hash that the starting model is known by."""
    return str(_about()["sha256"])


def evaluation() -> dict[str, Any]:
    """Return how the starting model did on the held-out part."""
    about = _about()
    every: dict[str, Any] = about["evaluation"]["all"]
    return {**every, "measured_with": "held_out", "compared": None, "held_out": every["texts"]}


@cache
def _about() -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(ABOUT.read_bytes())
    return found


def examples() -> Iterator[Example]:
    """Yield the texts of the starting set."""
    for path in sorted(FOLDER.glob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                yield Example(row["text"].strip(), row["category"], row["language"], row["part"] == HELD_OUT)


@transaction.atomic
def load_starting_set(*, tenant_id: int, by: Actor, now: datetime) -> Loaded:
    """Give a tenant the intents, utterances and the model of the starting set, as far as it lacks them.

    What is there stays as it is: changed titles, other intents of the same texts, another active version. The starting model becomes the
    active one only where the tenant has no version yet.
    """
    every = list(examples())
    names = sorted({example.intent for example in every} - {OUT_OF_SCOPE})
    before = Intent.objects.filter(tenant_id=tenant_id).count()
    described = {one["name"]: one for one in orjson.loads(INTENTS.read_bytes())}
    rows = [_intent(tenant_id, name, described.get(name, {}), now) for name in names]
    Intent.objects.bulk_create(rows, ignore_conflicts=True, batch_size=50)
    intents = {intent.name: intent for intent in Intent.objects.filter(tenant_id=tenant_id, name__in=names)}
    made = Intent.objects.filter(tenant_id=tenant_id).count() - before
    added = _add(tenant_id, every, intents, by, now)
    version = _add_model(tenant_id, by, now)
    if made or added or version:
        detail = {"intents": made, "utterances": added, "version": version}
        audit.record(by=by, action=Action.UTTERANCES_IMPORT, target="starting set", tenant_id=tenant_id, detail=detail)
    return Loaded(made, added, version)


def _intent(tenant_id: int, name: str, described: dict[str, dict[str, str]], now: datetime) -> Intent:
    titles, descriptions = described.get("title", {}), described.get("description", {})
    return Intent(
        tenant_id=tenant_id,
        name=name,
        title=titles.get("en") or title_of(name),
        title_zh=titles.get("zh", ""),
        description=descriptions.get("en", "")[:500],
        created_at=now,
    )


def _add(tenant_id: int, every: list[Example], intents: dict[str, Intent], by: Actor, now: datetime) -> int:
    by_key = {text_key(example.text): example for example in reversed(every)}
    there = known(tenant_id=tenant_id, keys=by_key)
    rows = [
        Utterance(
            tenant_id=tenant_id,
            intent=intents.get(example.intent),
            text=example.text,
            text_key=key,
            language=example.language,
            held_out=example.is_held_out,
            state=UtteranceState.ACCEPTED,
            source=UtteranceSource.STARTING_SET,
            created_by=str(by)[:150],
            created_at=now,
        )
        for key, example in reversed(by_key.items())
        if key not in there
    ]
    for start in range(0, len(rows), STEP):
        Utterance.objects.bulk_create(rows[start : start + STEP], ignore_conflicts=True, batch_size=50)
    return len(rows)


def _add_model(tenant_id: int, by: Actor, now: datetime) -> int:
    """Store the starting model as a version of the tenant, and return its number; 0 if it is one already."""
    versions = IntentModel.objects.filter(tenant_id=tenant_id)
    if versions.filter(sha256=sha256()).exists():
        return 0
    number = (versions.aggregate(most=Max("number"))["most"] or 0) + 1
    IntentModel.objects.create(
        tenant_id=tenant_id,
        number=number,
        state=ModelState.READY,
        is_active=number == 1,
        artefact=content(),
        sha256=sha256(),
        evaluation=evaluation(),
        created_by=str(by)[:150],
        created_at=now,
        finished_at=now,
        activated_at=now if number == 1 else None,
    )
    return number
