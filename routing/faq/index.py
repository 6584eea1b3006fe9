"""The published entries of tenants in the memory of this process, with the vectors of their texts. Loads numpy.

Each process asks the database at most twice a second, and only while texts come, whether a tenant's entries have changed.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np

from posthaste.lib.process_state import on_reset
from routing.faq.published import Published, entries, revision, texts_of
from routing.intents.encoder import DIMENSIONS, ENCODER
from routing.intents.ngrams import Floats
from routing.intents.vectors import encode
from routing.models import FaqEntry, FaqVectors

LOOK_SECONDS = 0.5
MAX_TENANTS = 100
#: How much the text that fits best counts; the rest is the second-best one's part.
BEST = 0.75
#: How much it counts that the recognized intent is the entry's, from half of it less to half of it more.
INTENT = 0.1


@dataclass(frozen=True, slots=True)
class Entry:
    """A published entry as the search returns it."""

    id: UUID
    slug: str
    language: str
    category: str
    intent: str
    is_for_bot: bool
    published: Published

    @property
    def question(self) -> str:
        return self.published.question

    @property
    def answer(self) -> str:
        return self.published.answer


@dataclass(frozen=True, slots=True)
class Index:
    """Entries grouped by their address: what is said in one language finds the entry in the others too."""

    revision: int
    #: By address, in the order of the groups of rows.
    groups: Sequence[Mapping[str, Entry]]
    #: Rows of unit length, those of a group together, and where each group begins.
    rows: Floats
    starts: "np.ndarray"

    def scores(self, texts: Sequence[str], intents: Mapping[str, float] | None) -> Floats:
        """Return how alike each group is to the texts, of which the one that fits it best counts."""
        alike: Floats = (encode(texts) @ self.rows.T).max(axis=0)
        best = np.maximum.reduceat(alike, self.starts)
        ends = np.append(self.starts[1:], len(alike))
        # The best of each group is taken away once, so that a second text of the same likeness stays.
        for start, end in zip(self.starts, ends, strict=True):
            if end - start > 1:
                alike[start + int(alike[start:end].argmax())] = -1.0
        second = np.maximum.reduceat(alike, self.starts)
        found: Floats = np.where(ends - self.starts > 1, BEST * best + (1 - BEST) * second, best)
        if intents is not None:
            found = found + np.array([self._of_intent(group, intents) for group in self.groups], found.dtype)
        return found

    @staticmethod
    def _of_intent(group: Mapping[str, Entry], intents: Mapping[str, float]) -> float:
        own = {entry.intent for entry in group.values() if entry.intent}
        return INTENT * (max(intents.get(name, 0.0) for name in own) - 0.5) if own else 0.0


@dataclass(slots=True)
class _Place:
    lock: threading.Lock = field(default_factory=threading.Lock)
    index: Index | None = None
    look_at: float = 0.0


class Indexes:
    """The indexes in this process. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._places: OrderedDict[int, _Place] = OrderedDict()

    def of(self, tenant_id: int) -> Index | None:
        """Return the tenant's index; None if nothing is published."""
        with self._lock:
            place = self._places.setdefault(tenant_id, _Place())
            self._places.move_to_end(tenant_id)
            while len(self._places) > MAX_TENANTS:
                self._places.popitem(last=False)
        if self._clock() >= place.look_at:
            with place.lock:
                if self._clock() >= place.look_at:
                    number = revision(tenant_id)  # before the entries, so that a change in between is seen next time
                    if place.index is None or place.index.revision != number:
                        place.index = load(tenant_id, number)
                    place.look_at = self._clock() + LOOK_SECONDS
        return place.index if place.index is not None and place.index.groups else None

    def forget(self) -> None:
        """Forget all indexes."""
        with self._lock:
            self._places.clear()


indexes = Indexes()
on_reset(indexes.forget)


def load(tenant_id: int, number: int) -> Index:
    """Read a tenant's published entries with their vectors. What has none yet is left out until a worker has computed them."""
    stored = dict(FaqVectors.objects.filter(tenant_id=tenant_id, encoder=ENCODER).values_list("entry", "content"))
    by_slug: dict[str, list[FaqEntry]] = {}
    for row in entries(tenant_id):
        if row.pk in stored:
            by_slug.setdefault(row.slug, []).append(row)
    groups, parts, starts, place = [], [], [], 0
    for own in by_slug.values():
        found = np.concatenate([np.frombuffer(bytes(stored[row.pk]), "<f2").reshape(-1, DIMENSIONS) for row in own]).astype(np.float32)
        groups.append({row.language: entry_of(row) for row in own})
        parts.append(found)
        starts.append(place)
        place += len(found)
    rows = np.concatenate(parts) if parts else np.zeros((0, DIMENSIONS), np.float32)
    return Index(number, groups, rows, np.array(starts, int))


def entry_of(row: FaqEntry) -> Entry:
    """Return a published entry as the search returns it."""
    return Entry(row.pk, row.slug, row.language, row.category, row.intent, row.is_for_bot, texts_of(row))
