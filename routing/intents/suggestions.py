"""Suggested utterances: corrections by agents, and the texts of customers that the model was least sure of.

Nothing is learned from a suggestion before a person accepts it. Texts are kept without what tells who wrote them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError
from django.utils.translation import gettext_lazy as _

from jobs.registry import job
from posthaste.lib import queues
from posthaste.lib.ids import first_id_at, new_id
from routing.intents.languages import language_of
from routing.intents.text_keys import anonymized, is_held_out, text_key
from routing.models import AuthorKind, Intent, Line, Utterance, UtteranceSource, UtteranceState

log = structlog.get_logger(__name__)
A_DAY = 20  # texts that are suggested for a tenant
MOST_WAITING = 500  # suggestions of a tenant that wait; no more are added before people have looked at some
LINES_READ, OF_A_TENANT = 200_000, 5_000  # newest first; a busy tenant keeps no other from being read
SHORTEST, LONGEST = 4, 300  # characters of a text worth asking about
UNSURE_BELOW = 0.75


class _Unsure(NamedTuple):
    confidence: float
    text: str
    line_id: UUID
    language: str
    guess: str


def suggest_correction(*, tenant_id: int, text: str, intent: str, line_id: UUID | None, author: str, now: datetime) -> bool:
    """Suggest a text for the intent that an agent gave it in place of the recognized one, and return whether that is new.

    An intent that the tenant does not have, or an empty one, suggests that the text is out of scope. The caller writes its audit entry.
    """
    text = anonymized(text).strip()
    if not text:
        return False
    wanted = Intent.objects.filter(tenant_id=tenant_id, name=intent).first()
    key = text_key(text)
    row, is_new = Utterance.objects.get_or_create(
        tenant_id=tenant_id,
        text_key=key,
        defaults={
            "id": new_id(),
            "intent": wanted,
            "text": text,
            "language": language_of(text),
            "held_out": is_held_out(key),
            "state": UtteranceState.SUGGESTED,
            "source": UtteranceSource.CORRECTION,
            "line_id": line_id,
            "created_by": author[:150],
            "created_at": now,
        },
    )
    if is_new or row.state != UtteranceState.SUGGESTED:
        return is_new
    # A person knows better than the model that was unsure.
    Utterance.objects.filter(pk=row.pk, state=UtteranceState.SUGGESTED).update(
        intent=wanted, source=UtteranceSource.CORRECTION, created_by=author[:150]
    )
    return False


@job(
    "routing.collect_unsure_texts",
    title=_("Collect texts to label"),
    purpose=_("Offers the texts of customers that the intent model was least sure of to people, who label them."),
    cron="40 3 * * *",
    timeout=timedelta(minutes=5),
    queue=queues.NOTIFICATION,
)
def collect_unsure_texts(*, now: datetime) -> int:
    """Suggest the texts of the last day that the models were least sure of, and return how many are new. An error stops one tenant only."""
    found: dict[int, list[_Unsure]] = defaultdict(list)
    for tenant_id, one in _unsure(now):
        found[tenant_id].append(one)
    return sum(_tried(tenant_id, sorted(texts), now) for tenant_id, texts in sorted(found.items()))


def _tried(tenant_id: int, texts: list[_Unsure], now: datetime) -> int:
    try:
        return _suggest(tenant_id, texts, now)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the run has failed
    except Exception:
        log.exception("no utterances were suggested", tenant=tenant_id)
        return 0


def _unsure(now: datetime) -> Iterator[tuple[int, _Unsure]]:
    lines = Line.objects.filter(id__gte=first_id_at(now - timedelta(days=1)), author=AuthorKind.CUSTOMER).order_by("-id")
    read = Counter[int]()
    columns = lines.values_list("id", "tenant_id", "text", "recognition")[:LINES_READ]
    for identifier, tenant_id, text, recognition in columns.iterator(chunk_size=2_000):
        read[tenant_id] += 1
        if read[tenant_id] > OF_A_TENANT:
            continue
        if not isinstance(recognition, dict) or not SHORTEST <= len(text) <= LONGEST:
            continue
        confidence = recognition.get("confidence")
        if isinstance(confidence, int | float) and 0 < confidence < UNSURE_BELOW:
            guess = str(recognition.get("intent") or _first(recognition.get("alternatives")))[:80]
            yield tenant_id, _Unsure(float(confidence), text, identifier, str(recognition.get("language") or "")[:16], guess)


def _first(alternatives: Any) -> str:
    """Return the best of the alternatives, however the line has them: names with confidences, in pairs or as mappings."""
    if not isinstance(alternatives, list) or not alternatives:
        return ""
    first = alternatives[0]
    if isinstance(first, dict):
        return str(first.get("intent", ""))
    return str(first[0]) if isinstance(first, list | tuple) and first else ""


def _suggest(tenant_id: int, texts: list[_Unsure], now: datetime) -> int:
    waiting = Utterance.objects.filter(tenant_id=tenant_id, state=UtteranceState.SUGGESTED)
    room = min(A_DAY, MOST_WAITING - waiting.count())
    intents = {intent.name: intent for intent in Intent.objects.filter(tenant_id=tenant_id)}
    rows: dict[str, Utterance] = {}
    for one in texts:
        if len(rows) >= room:
            break
        text = anonymized(one.text).strip()
        key = text_key(text)
        if key in rows or Utterance.objects.filter(tenant_id=tenant_id, text_key=key).exists():
            continue
        rows[key] = Utterance(
            tenant_id=tenant_id,
            intent=intents.get(one.guess),
            text=text,
            text_key=key,
            language=one.language,
            held_out=is_held_out(key),
            state=UtteranceState.SUGGESTED,
            source=UtteranceSource.UNSURE,
            guess=one.guess,
            confidence=one.confidence,
            line_id=one.line_id,
            created_at=now,
        )
    return len(Utterance.objects.bulk_create(rows.values(), ignore_conflicts=True, batch_size=50))
