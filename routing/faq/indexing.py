"""The sentence vectors of published entries: computed after they are published, by a worker, and stored.

What if the process dies: vectors of an entry are stored whole or not at all, and the job looks for entries without them.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.registry import Blocking, job
from messaging.queueing.publish import BrokerAway, broker_is_up, send_task
from posthaste.lib import queues
from posthaste.lib.resting import Resting
from routing.faq.published import IS_PUBLISHED, note_change, texts_of
from routing.intents.encoder import DIMENSIONS, ENCODER
from routing.models import FaqEntry, FaqVectors

log = structlog.get_logger(__name__)
TASK = "routing.index_faq"
#: Entries whose vectors are stored together.
BATCH = 20
#: Entries of one run; another one goes on.
MOST = 2_000
_resting = Resting("find_faq_vectors")


def kick() -> None:
    """Ask a worker to compute what is missing. Losing the kick does no harm: the job looks too."""
    try:
        if broker_is_up():
            send_task(TASK, expires=60.0)
    except BrokerAway:
        log.info("FAQ entries are indexed later")


def missing() -> "QuerySet[FaqEntry]":
    """Return the published entries whose vectors are not stored, or were made by another encoder."""
    return FaqEntry.objects.filter(IS_PUBLISHED).exclude(vectors__encoder=ENCODER)


def index_missing() -> int:
    """Compute and store the vectors that are missing, and return of how many entries. One that fails rests, and holds up no other."""
    from routing.intents.vectors import encode, warm  # loads numpy, which only processes that search need

    now, done, behind = timezone.now(), 0, None
    resting = _resting.ids(now=now)
    while done < MOST:
        rows = missing().exclude(pk__in=resting).order_by("pk")
        found = list((rows if behind is None else rows.filter(pk__gt=behind))[:BATCH])
        if not found:
            return done
        warm()  # here, as files that are missing are no fault of the entries
        behind = found[-1].pk
        done += _index(found, encode, now=now)
    kick()
    return done


def _index(found: Sequence[FaqEntry], encode: Callable[[list[str]], Any], *, now: datetime) -> int:
    """Compute and store vectors of entries together; if that fails, of each alone."""
    try:
        return _store(found, _encoded(found, encode), ENCODER)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the job comes again
    except Exception:
        log.exception("FAQ entries were not indexed", entries=[str(row.pk) for row in found])
        if len(found) > 1:
            return sum(_index([row], encode, now=now) for row in found)
        _resting.failed(found[0].pk, now=now)
        return 0


def _encoded(found: Sequence[FaqEntry], encode: Callable[[list[str]], Any]) -> dict[UUID, bytes]:
    texts = [[kept.question, *kept.phrasings] for kept in map(texts_of, found)]
    made = encode([text for own in texts for text in own]).astype("<f2").reshape(-1, DIMENSIONS)
    start, blobs = 0, {}
    for row, own in zip(found, texts, strict=True):
        blobs[row.pk] = made[start : start + len(own)].tobytes()
        start += len(own)
    return blobs


@transaction.atomic
def _store(encoded: Sequence[FaqEntry], blobs: dict[UUID, bytes], encoder: str) -> int:
    """Store vectors of the entries that have not been published again meanwhile."""
    now = {row.pk: row for row in FaqEntry.objects.select_for_update().filter(pk__in=list(blobs)).order_by("pk")}
    same = [row for row in encoded if row.pk in now and now[row.pk].published == row.published]
    FaqVectors.objects.filter(pk__in=[row.pk for row in same]).delete()
    FaqVectors.objects.bulk_create([FaqVectors(entry=row, tenant_id=row.tenant_id, encoder=encoder, content=blobs[row.pk]) for row in same])
    for tenant_id in sorted({row.tenant_id for row in same}):
        note_change(tenant_id)
    return len(same)


def is_any_missing() -> bool:
    """Return whether the vectors of a published entry are missing."""
    return missing().exists()


@job(
    "routing.find_faq_vectors",
    title=_("Index the FAQ"),
    purpose=_("Computes what the search of published FAQ entries needs, where a worker was killed or the broker lost its task."),
    every=timedelta(seconds=30),
    timeout=timedelta(minutes=5),
    blocking=Blocking.DISCARD,
    queue=queues.AI,
    is_needed=is_any_missing,
)
def find_faq_vectors() -> None:
    """Compute the vectors that are missing."""
    index_missing()
