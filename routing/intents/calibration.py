"""How the scores of a model become probabilities, and which of them are rejected: fitted to texts that the scores had not seen.

The numbers of the intents are in `right`; -1 stands for a text that has none.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from routing.intents.artefact import Rejection
from routing.intents.ngrams import Floats
from routing.intents.recognition import Scores, scope_features

Integers = npt.NDArray[np.int64]

#: Where a search begins: softmax(3 · margin), and the kernel's scores, which are about 0 or 1 where they are sure.
START = (3.0, 9.0)
LEAST, MOST = 0.05, 60.0
#: With fewer examples, nothing is learnt about what is out of scope.
MIN_OUT_OF_SCOPE = 10
#: Which share of what customers write is taken to be out of scope, however many examples of it there are.
OUT_OF_SCOPE_SHARE = 0.05
SCOPE_PENALTY = 150.0
THRESHOLDS = np.linspace(0.02, 0.98, 97)
GAPS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
#: Without examples of what is out of scope: this share of the right answers may be rejected, for the threshold and for the gap.
MAX_LOST = 0.002


def fit_pool(scores: Scores, right: Integers) -> list[float]:
    """Return the weights of margins and similarities that make the log-loss smallest.

    Their common factor is the temperature, so the probabilities are calibrated by the same fit (Guo et al. 2017).
    """
    known = np.flatnonzero(right >= 0)
    part, wanted = scores.of(known), right[known]
    each = np.arange(len(known))

    def loss(weights: Floats) -> tuple[float, npt.NDArray[np.float64]]:
        first, second = part.margins.astype(np.float64), part.similarities.astype(np.float64)
        logs = log_softmax(weights[0] * first + weights[1] * second, axis=1)
        chances = np.exp(logs)
        slopes = [float(((chances * view).sum(axis=1) - view[each, wanted]).mean()) for view in (first, second)]
        return -float(logs[each, wanted].mean()), np.array(slopes)

    found = minimize(loss, START, jac=True, method="L-BFGS-B", bounds=[(LEAST, MOST)] * 2)
    return [float(weight) for weight in found.x]


def fit_scope(scores: Scores, right: Integers, pool: list[float]) -> list[float]:
    """Return the coefficients of the logistic function that tells texts of an intent from others, none where there are too few others."""
    outside = right < 0
    if outside.sum() < MIN_OUT_OF_SCOPE:
        return []
    features = scope_features(scores, pool).astype(np.float64)
    middle, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    # Strongly regularised: the texts that are out of scope tomorrow are about something else than those that are known.
    machine = LogisticRegression(C=SCOPE_PENALTY / len(right), class_weight="balanced", max_iter=500)
    fitted = machine.fit((features - middle) / spread, ~outside)
    slopes = fitted.coef_[0] / spread
    # Fitted as if every second text were out of scope.
    prior = float(np.log((1 - OUT_OF_SCOPE_SHARE) / OUT_OF_SCOPE_SHARE))
    return [float(fitted.intercept_[0] - slopes @ middle) + prior, *map(float, slopes)]


def choose_rejection(sure: Floats, right: Integers) -> Rejection:
    """Return the threshold and the gap under which a text counts as out of scope.

    With examples of such texts: those with which most texts are answered or rejected rightly. Without: the highest that cost
    next to nothing.
    """
    ranked = np.sort(sure, axis=1)
    best, gap = ranked[:, -1], ranked[:, -1] - ranked[:, -2]
    inside, is_right = right >= 0, sure.argmax(axis=1) == right
    outside = ~inside
    if outside.sum() < MIN_OUT_OF_SCOPE:
        return Rejection(threshold=_lost(best[is_right]), gap=_lost(gap[is_right]))

    def worth(threshold: float, least_gap: float) -> float:
        accepted = (best >= threshold) & (gap >= least_gap)
        answered, rejected = (accepted & is_right)[inside].mean(), (~accepted)[outside].mean()
        return float((1 - OUT_OF_SCOPE_SHARE) * answered + OUT_OF_SCOPE_SHARE * rejected)

    found = max((worth(threshold, least_gap), -least_gap, -threshold) for threshold in THRESHOLDS for least_gap in GAPS)
    return Rejection(threshold=round(-float(found[2]), 4), gap=-float(found[1]))


def _lost(values: npt.NDArray[Any]) -> float:
    return round(float(np.quantile(values, MAX_LOST)), 4) if len(values) else 0.0
