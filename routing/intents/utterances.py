"""Utterances as people add, label and delete them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.ids import new_id
from posthaste.lib.problems import Conflict, Invalid
from routing.actions import Action
from routing.intents.editing import OUT_OF_SCOPE
from routing.intents.languages import language_of
from routing.intents.text_keys import MAX_CHARACTERS, is_held_out, text_key
from routing.models import Intent, Utterance, UtteranceSource, UtteranceState

MAX_AT_ONCE = 1_000
MOST = 50_000  # of a tenant; a model is trained on them in memory
#: What people decide about a text.
DECISIONS = [(state.value, state.label) for state in (UtteranceState.ACCEPTED, UtteranceState.REJECTED)]
STEP = 400  # rows a statement: SQLite takes no more values than that at once


@dataclass(frozen=True, slots=True)
class NewUtterance:
    """A text and the name of its intent; empty, or `oos`: out of scope. Where nothing else is said, the text decides if it is held out."""

    text: str
    intent: str = ""
    language: str = ""
    held_out: bool | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """How many texts are new, and how many were there already with the same intent."""

    added: int
    present: int


def known(*, tenant_id: int, keys: Collection[str]) -> dict[str, Utterance]:
    """Return the tenant's utterances with these keys."""
    found: dict[str, Utterance] = {}
    every = sorted(keys)
    for start in range(0, len(every), STEP):
        rows = Utterance.objects.filter(tenant_id=tenant_id, text_key__in=every[start : start + STEP])
        found |= {row.text_key: row for row in rows}
    return found


def add_utterances(
    *,
    tenant_id: int,
    entries: Sequence[NewUtterance],
    source: UtteranceSource = UtteranceSource.STAFF,
    by: Actor,
    now: datetime,
    action: Action = Action.UTTERANCES_CHANGE,
) -> Added:
    """Store accepted utterances. A text that was only suggested, or was rejected, is accepted with the intent that it has here.

    Raises:
        Conflict: there would be too many.
        Invalid: naming each text that is wrong, or has another intent already; nothing was added.
    """
    with transaction.atomic():
        intents = {intent.name: intent for intent in Intent.objects.filter(tenant_id=tenant_id)}
        by_key = _checked(entries, intents)
        there = known(tenant_id=tenant_id, keys=by_key)
        errors = []
        accepted: list[Utterance] = []
        fresh: list[Utterance] = []
        for key, (index, entry) in by_key.items():
            intent = intents.get(_name_of(entry))
            row = there.get(key)
            if row is None:
                fresh.append(_row(tenant_id, key, entry, intent, source, by, now))
            elif row.state != UtteranceState.ACCEPTED:
                row.intent, row.state = intent, UtteranceState.ACCEPTED
                accepted.append(row)
            elif row.intent_id != (intent.pk if intent else None):
                errors.append(
                    _error(index, "text", _("This text has the intent {name} already.").format(name=_shown(row)), "contradiction")
                )
        if errors:
            raise Invalid(errors=errors)
        if fresh and Utterance.objects.filter(tenant_id=tenant_id).count() + len(fresh) > MOST:
            raise Conflict(_("A tenant has at most {n} utterances. Delete some that are not needed.").format(n=MOST))
        # Another request may have added one first, which the count below does not include.
        for start in range(0, len(fresh), STEP):
            Utterance.objects.bulk_create(fresh[start : start + STEP], ignore_conflicts=True, batch_size=50)
        Utterance.objects.bulk_update(accepted, ["intent", "state"], batch_size=50)
        added = len(accepted) + sum(
            Utterance.objects.filter(pk__in=[row.pk for row in fresh[start : start + STEP]]).count() for start in range(0, len(fresh), STEP)
        )
        if added:
            audit.record(by=by, action=action, target=_target(added), tenant_id=tenant_id, detail={"added": added, "source": str(source)})
    return Added(added, len(entries) - added)


def label_utterances(*, tenant_id: int, ids: Collection[UUID], intent: Intent | None, by: Actor) -> int:
    """Accept utterances as an intent's, or without one as out of scope, and return the number of those that are still there."""
    return _change(
        tenant_id, ids, {"intent": intent, "state": UtteranceState.ACCEPTED}, by, {"labelled": intent.name if intent else OUT_OF_SCOPE}
    )


@transaction.atomic
def accept_utterances(*, tenant_id: int, ids: Collection[UUID], name: str = "", by: Actor) -> int:
    """Accept utterances as the intent of a name (`oos`: out of scope), or without one each as it is suggested. Return their number.

    Raises:
        Invalid: the tenant has no such intent.
    """
    if name and name != OUT_OF_SCOPE:
        intent = Intent.objects.filter(tenant_id=tenant_id, name=name).first()
        if intent is None:
            raise Invalid.field("intent", _("There is no intent with this name. Create it first."), "unknown")
        return label_utterances(tenant_id=tenant_id, ids=ids, intent=intent, by=by)
    if name:
        return label_utterances(tenant_id=tenant_id, ids=ids, intent=None, by=by)
    return _change(tenant_id, ids, {"state": UtteranceState.ACCEPTED}, by, {"labelled": "as suggested"})


def reject_utterances(*, tenant_id: int, ids: Collection[UUID], by: Actor) -> int:
    """Reject utterances: nothing is learned from them, and they are not suggested again. Return their number."""
    return _change(tenant_id, ids, {"state": UtteranceState.REJECTED}, by, {"rejected": True})


def set_held_out(*, tenant_id: int, ids: Collection[UUID], held_out: bool, by: Actor) -> int:
    """Use utterances to measure models, or to train them, and return their number."""
    return _change(tenant_id, ids, {"held_out": held_out}, by, {"held_out": held_out})


@transaction.atomic
def delete_utterances(*, tenant_id: int, ids: Collection[UUID], by: Actor) -> int:
    """Delete utterances and return the number of those that were still there."""
    every = sorted(ids)
    number = sum(
        Utterance.objects.filter(tenant_id=tenant_id, pk__in=every[start : start + STEP]).delete()[0]
        for start in range(0, len(every), STEP)
    )
    if number:
        audit.record(by=by, action=Action.UTTERANCES_CHANGE, target=_target(number), tenant_id=tenant_id, detail={"deleted": number})
    return number


def forget_lines(line_ids: Collection[UUID]) -> int:
    """Delete the suggestions taken from lines that are erased, and return their number; the caller writes its audit entry.

    What a person has accepted stays, without the line that it came from.
    """
    removed, every = 0, sorted(line_ids)
    for start in range(0, len(every), STEP):
        rows = Utterance.objects.filter(line_id__in=every[start : start + STEP])
        removed += rows.filter(state=UtteranceState.SUGGESTED).delete()[0]
        rows.update(line_id=None)
    return removed


@transaction.atomic
def _change(tenant_id: int, ids: Collection[UUID], values: Mapping[str, object], by: Actor, detail: dict[str, object]) -> int:
    every = sorted(ids)
    number = sum(
        Utterance.objects.filter(tenant_id=tenant_id, pk__in=every[start : start + STEP]).update(**values)
        for start in range(0, len(every), STEP)
    )
    if number:
        told = {"changed": number, **detail}
        audit.record(by=by, action=Action.UTTERANCES_CHANGE, target=_target(number), tenant_id=tenant_id, detail=told)
    return number


def _checked(entries: Sequence[NewUtterance], intents: Mapping[str, Intent]) -> dict[str, tuple[int, NewUtterance]]:
    """Return the entries by their keys, each text once.

    Raises:
        Invalid: naming each that is wrong.
    """
    errors = []
    found: dict[str, tuple[int, NewUtterance]] = {}
    for index, entry in enumerate(entries):
        text = entry.text.strip()
        if not text or "\0" in text:
            errors.append(_error(index, "text", _("Enter a text."), "blank"))
        elif len(text) > MAX_CHARACTERS:
            errors.append(_error(index, "text", _("At most {n} characters.").format(n=MAX_CHARACTERS), "max_length"))
        elif (name := _name_of(entry)) and name not in intents:
            errors.append(_error(index, "intent", _("There is no intent with this name. Create it first."), "unknown"))
        else:
            other = found.setdefault(text_key(text), (index, entry))[1]
            if _name_of(other) != name:
                told = _("The same text has the intent {name} in this request.").format(name=_name_of(other) or OUT_OF_SCOPE)
                errors.append(_error(index, "text", told, "contradiction"))
    if errors:
        raise Invalid(errors=errors)
    return found


def _row(
    tenant_id: int, key: str, entry: NewUtterance, intent: Intent | None, source: UtteranceSource, by: Actor, now: datetime
) -> Utterance:
    text = entry.text.strip()
    return Utterance(
        id=new_id(),
        tenant_id=tenant_id,
        intent=intent,
        text=text,
        text_key=key,
        language=(entry.language or language_of(text))[:16],
        held_out=is_held_out(key) if entry.held_out is None else entry.held_out,
        state=UtteranceState.ACCEPTED,
        source=source,
        created_by=str(by)[:150],
        created_at=now,
    )


def _name_of(entry: NewUtterance) -> str:
    return "" if entry.intent == OUT_OF_SCOPE else entry.intent


def _shown(row: Utterance) -> str:
    return row.intent.name if row.intent else OUT_OF_SCOPE


def _error(index: int, field: str, message: str, code: str) -> dict[str, str]:
    return {"field": f"utterances[{index}].{field}", "code": code, "message": message}


def _target(number: int) -> str:
    return "1 utterance" if number == 1 else f"{number} utterances"
