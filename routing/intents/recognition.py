"""Which intent a text has, by a trained model.

Two views of a text are pooled: margins of a linear SVM over its n-grams, which know the words, and scores of a kernel head
over its sentence vector, which knows the meaning. Logarithmic pooling, softmax(Σ wᵢ·log pᵢ), is a softmax over the weighted
sum of both scores, because the norms of pᵢ are the same for all intents (Heskes 1998). A logistic function of the
scores tells whether the text is about any intent at all; the confidence of an intent is the product of both.

Needs NumPy and the sentence encoder only: nothing of what trains is loaded.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from routing.intents import vectors
from routing.intents.artefact import About, Model, unpack
from routing.intents.ngrams import Floats, Vectoriser

THRESHOLD, GAP = "threshold", "gap"
#: Texts whose scores are held at the same time.
BATCH = 256


@dataclass(frozen=True, slots=True)
class Alternative:
    """An intent and how likely it is."""

    intent: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Recognition:
    """What was recognised. `intent` is None where the text counts as out of scope, and `rejection` says why."""

    intent: str | None
    confidence: float  # of the best intent, also where it was rejected
    alternatives: tuple[Alternative, ...]  # the likeliest first; the best intent is the first of them
    rejection: str = ""  # "threshold", "gap"

    @property
    def best(self) -> str:
        """Return the likeliest intent, rejected or not."""
        return self.alternatives[0].intent

    @property
    def gap(self) -> float:
        """Return how far the best is before the next."""
        return self.confidence - self.alternatives[1].confidence


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of texts (rows) for the intents of a model (columns)."""

    margins: Floats
    similarities: Floats

    def of(self, rows: np.ndarray) -> "Scores":
        """Return the scores of some of the texts."""
        return Scores(self.margins[rows], self.similarities[rows])


def kernel(texts: Floats, references: Floats, width: float) -> Floats:
    """Return exp(-width · distance²) of vectors of unit length."""
    found: Floats = texts @ references.T
    found -= 1
    found *= 2 * width
    return np.exp(found, out=found)


def pooled(scores: Scores, pool: Sequence[float]) -> Floats:
    """Return the probability of each intent, given that the text has one of them."""
    logits = pool[0] * scores.margins + pool[1] * scores.similarities
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    found: Floats = logits / logits.sum(axis=1, keepdims=True)
    return found


def scope_features(scores: Scores, pool: Sequence[float]) -> Floats:
    """Return what tells whether a text has an intent.

    Best margin, best similarity, best and second-best pooled score, and the sum of all similarities: the kernel head's
    answer to whether the text has any intent, because each of them was fitted to 0 and 1.
    """
    logits = pool[0] * scores.margins + pool[1] * scores.similarities
    best = np.sort(logits, axis=1)[:, -2:]
    features = [scores.margins.max(axis=1), scores.similarities.max(axis=1), best[:, 1], best[:, 0], scores.similarities.sum(axis=1)]
    return np.stack(features, axis=1).astype(np.float32)


def confidences(scores: Scores, *, pool: Sequence[float], scope: Sequence[float]) -> Floats:
    """Return how likely each intent is; what is missing to 1 is the probability that the text has none of them."""
    found = pooled(scores, pool)
    if scope:
        inside = scope[0] + scope_features(scores, pool) @ np.array(scope[1:], np.float32)
        found *= (1 / (1 + np.exp(-np.clip(inside, -30, 30))))[:, None]
    return found


class Recogniser:
    """A model that is loaded; it may be used by many threads at once."""

    def __init__(self, model: Model) -> None:
        self.about: About = model.about
        arrays = model.arrays
        self._vectoriser = Vectoriser(model.vocabularies, arrays["idf"].astype(np.float32))
        self._margin_weights = arrays["margin_weights"]  # stay small in memory: a text needs some hundred rows of it
        self._margin_scales = arrays["margin_scales"].astype(np.float32)
        self._margin_offsets = arrays["margin_offsets"].astype(np.float32)
        self._references = arrays["references"].astype(np.float32) * np.float32(model.about.reference_scale)
        self._reference_weights = arrays["reference_weights"].astype(np.float32)

    @classmethod
    def load(cls, content: bytes, *, expected: str) -> "Recogniser":
        """Return the model in these bytes, whose hash is `expected`.

        Raises:
            Unusable: the bytes are others, or no model that this version knows.
        """
        return cls(unpack(content, expected=expected))

    @staticmethod
    def warm() -> None:
        """Load the sentence encoder now, so that the first text is as fast as the next."""
        vectors.warm()

    def classify(self, texts: Sequence[str], *, alternatives: int = 3) -> list[Recognition]:
        """Return what was recognised in each text, with the likeliest intents (at least two)."""
        found: list[Recognition] = []
        for first in range(0, len(texts), BATCH):
            batch = texts[first : first + BATCH]
            sure = confidences(self.scores(batch), pool=self.about.pool, scope=self.about.scope)
            sure[[not text.strip() for text in batch]] = 0
            found += recognitions(sure, about=self.about, alternatives=alternatives)
        return found

    def scores(self, texts: Sequence[str], *, encoded: Floats | None = None) -> Scores:
        """Return the scores of some texts; `encoded` has their sentence vectors where they are known."""
        if encoded is None:
            encoded = vectors.encode(texts)
        similarities = kernel(encoded, self._references, self.about.width) @ self._reference_weights
        return Scores(self._margins(texts), similarities)

    def _margins(self, texts: Sequence[str]) -> Floats:
        rows = self._vectoriser.rows(texts)
        found = np.empty((len(texts), len(self.about.labels)), np.float32)
        for number, (start, end) in enumerate(zip(rows.starts, rows.starts[1:], strict=False)):
            columns = rows.columns[start:end]
            scaled = rows.weights[start:end] * self._margin_scales[columns]
            np.matmul(scaled, self._margin_weights[columns].astype(np.float32), out=found[number])
        return found + self._margin_offsets


def recognitions(sure: Floats, *, about: About, alternatives: int) -> list[Recognition]:
    """Return what confidences (rows: texts, columns: labels) mean."""
    number = max(2, min(alternatives, len(about.labels)))
    ranked = np.argsort(-sure, axis=1, kind="stable")[:, :number]
    found = []
    for row, columns in zip(sure, ranked, strict=True):
        likeliest = tuple(Alternative(about.labels[column], float(row[column])) for column in columns)
        best, second = likeliest[0], likeliest[1]
        rejection = ""
        if best.confidence < about.rejection.threshold or not best.confidence:
            rejection = THRESHOLD
        elif best.confidence - second.confidence < about.rejection.gap:
            rejection = GAP
        found.append(Recognition(None if rejection else best.intent, best.confidence, likeliest, rejection))
    return found
