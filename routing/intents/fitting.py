"""Train a model from labelled texts.

Both views are trained on parts of the texts and asked about the rest, so that how they are pooled, how sure the model may be
and what it rejects rest on texts that the views have not seen. Then both are trained on all.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import threadpoolctl
from django.utils.translation import gettext as _

from routing.intents import vectors
from routing.intents.artefact import FORMAT, MAX_LABELS, About, Model, Rejection
from routing.intents.calibration import choose_rejection, fit_pool, fit_scope
from routing.intents.evaluation import evaluate
from routing.intents.labels import OUT_OF_SCOPE
from routing.intents.language import language_of
from routing.intents.ngrams import Floats
from routing.intents.recognition import Recogniser, Scores, confidences, recognitions
from routing.intents.views import WIDTH, Views, train

FOLDS = 4
ENCODED_AT_ONCE = 512
NOTHING = Rejection(threshold=0.0, gap=0.0)

Integers = npt.NDArray[np.int64]
Progress = Callable[[int, int, str], None]


class CannotTrain(Exception):
    """The texts can't be trained with; the message tells what to do."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A new model, and how good it is on texts that its parts had not seen."""

    model: Model
    cross_validation: dict[str, Any]


def no_progress(_done: int, _total: int, _note: str) -> None:
    """Tell no one."""


class _Steps:
    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def next(self, note: str) -> None:
        self._progress(self._done, self._total, note)
        self._done += 1


def fit(
    *, texts: Sequence[str], labels: Sequence[str], progress: Progress = no_progress, encoded: Floats | None = None, seed: int = 0
) -> Fitted:
    """Return a model of these texts; those labelled `oos` belong to no intent. The same input gives the same model.

    `progress` is called between steps with what is done, how much there is and what comes next; what it raises ends the training.
    `encoded` has the sentence vectors where they are known.

    Raises:
        CannotTrain: the texts have fewer than two intents, or too many.
    """
    names = sorted(set(labels) - {OUT_OF_SCOPE})
    _check(texts, labels, names)
    batches = range(0, len(texts), ENCODED_AT_ONCE) if encoded is None else range(0)
    steps = _Steps(progress, total=len(batches) + FOLDS + 2)
    if encoded is None:
        parts = []
        for first in batches:
            steps.next(_("Reading the texts"))
            parts.append(vectors.encode(texts[first : first + ENCODED_AT_ONCE]))
        encoded = np.concatenate(parts)
    # The libraries of SciPy have threads of their own.
    with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
        return _fit(list(texts), labels, names, encoded, steps, seed)


def _check(texts: Sequence[str], labels: Sequence[str], names: Sequence[str]) -> None:
    if len(texts) != len(labels):
        raise ValueError(f"There are {len(texts)} texts and {len(labels)} labels.")
    if len(names) < 2:
        raise CannotTrain(_("There must be texts of at least two intents; there are {number}.").format(number=len(names)))
    if len(names) > MAX_LABELS:
        raise CannotTrain(_("There are {number} intents; at most {most} can be told apart.").format(number=len(names), most=MAX_LABELS))


def _fit(texts: list[str], labels: Sequence[str], names: list[str], encoded: Floats, steps: _Steps, seed: int) -> Fitted:
    numbers = {name: number for number, name in enumerate(names)}
    targets = np.array([numbers.get(label, -1) for label in labels], np.int64)
    shape = (len(texts), len(names))
    scores = Scores(np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    folds = _folds(targets, seed)
    for fold in range(FOLDS):
        steps.next(_("Cross-validation, part {part} of {parts}").format(part=fold + 1, parts=FOLDS))
        seen, asked = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if not len(seen) or not len(asked):
            continue
        views = train(texts=[texts[row] for row in seen], targets=targets[seen], encoded=encoded[seen], intents=len(names), seed=seed)
        found = Recogniser(_model(views, names)).scores([texts[row] for row in asked], encoded=encoded[asked])
        scores.margins[asked], scores.similarities[asked] = found.margins, found.similarities
    steps.next(_("Calibration"))
    pool = fit_pool(scores, targets)
    scope = fit_scope(scores, targets, pool)
    sure = confidences(scores, pool=pool, scope=scope)
    rejection = choose_rejection(sure, targets)
    steps.next(_("Training with all texts"))
    views = train(texts=texts, targets=targets, encoded=encoded, intents=len(names), seed=seed)
    languages = dict(Counter(map(language_of, texts)).most_common())
    model = _model(views, names, pool=pool, scope=scope, rejection=rejection, languages=languages, texts=len(texts))
    return Fitted(model, evaluate(labels=labels, found=recognitions(sure, about=model.about, alternatives=2)))


def _folds(targets: Integers, seed: int) -> Integers:
    """Return the part of each text, such that every part has its share of each intent."""
    shuffled = np.random.default_rng(seed).permutation(len(targets))
    by_intent = shuffled[np.argsort(targets[shuffled], kind="stable")]
    folds = np.empty(len(targets), np.int64)
    folds[by_intent] = np.arange(len(targets)) % FOLDS
    return folds


def _model(
    views: Views,
    names: list[str],
    *,
    pool: Sequence[float] = (1.0, 1.0),
    scope: Sequence[float] = (),
    rejection: Rejection = NOTHING,
    languages: dict[str, int] | None = None,
    texts: int = 0,
) -> Model:
    about = About(
        format=FORMAT,
        encoder=vectors.ENCODER,
        labels=names,
        pool=list(pool),
        width=WIDTH,
        reference_scale=views.reference_scale,
        scope=list(scope),
        rejection=rejection,
        languages=languages or {},
        texts=texts,
    )
    return Model(about, views.vocabularies, views.arrays)
