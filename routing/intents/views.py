"""The two views of a text that a model pools, trained: n-grams with a linear SVM, sentence vectors with a kernel head."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC

from routing.intents.artefact import Array
from routing.intents.ngrams import Floats, Vectoriser
from routing.intents.recognition import kernel

Integers = npt.NDArray[np.int64]

WIDTH = 1.0  # of the kernel
RIDGE = 0.1
#: Up to here every text is compared with; the exact solution needs 4 bytes × its square.
MAX_EXACT = 10_500
#: Of more texts, so many are compared with.
REFERENCES = 4_000
PENALTY = 1.0
TOLERANCE = 0.03
#: Weights below this share of the largest of their n-gram become zero, which packs well.
NEGLIGIBLE = 0.02
JITTER = 1e-3  # keeps the kernel of texts that are nearly equal positive definite in single precision
FULL_SCALE = 127  # of a signed byte
#: Steps of a coordinate of a reference vector, to each side. Finer ones only fill the file.
STEPS = 40


@dataclass(frozen=True, slots=True)
class Views:
    """What was trained, as the arrays of a model."""

    vocabularies: tuple[list[str], list[str]]
    arrays: dict[str, Array]
    reference_scale: float


def train(*, texts: Sequence[str], targets: Integers, encoded: Floats, intents: int, seed: int) -> Views:
    """Return both views; `targets` has the number of the intent of each text, -1 for a text that has none."""
    vectoriser = Vectoriser.fitted(texts)
    rows = vectoriser.rows(texts)
    matrix = csr_matrix((rows.weights, rows.columns, rows.starts), shape=(len(texts), vectoriser.width))
    weights, offsets = _margins(matrix, targets, intents, seed)
    packed, scales = _in_bytes(weights)
    references, reference_scale, reference_weights = _similarities(encoded, targets, intents, seed)
    words, characters = vectoriser.vocabularies
    arrays: dict[str, Array] = {
        "idf": vectoriser.idf,
        "margin_weights": packed,
        "margin_scales": scales,
        "margin_offsets": offsets,
        "references": references,
        "reference_weights": reference_weights,
    }
    return Views((words, characters), arrays, reference_scale)


def _margins(matrix: Any, targets: Integers, intents: int, seed: int) -> tuple[Floats, Floats]:
    """Return weights (n-grams by intents) and offsets of one SVM an intent, against all others."""
    present = np.unique(targets)
    weights = np.zeros((matrix.shape[1], intents), np.float32)
    offsets = np.full(intents, -1, np.float32)  # of an intent of which this part has no text
    if len(present) < 2:
        return weights, offsets
    machine = LinearSVC(C=PENALTY, tol=TOLERANCE, random_state=seed).fit(matrix, targets)
    coefficients, intercepts = machine.coef_, machine.intercept_
    if len(present) == 2:  # one machine tells two apart
        coefficients, intercepts = np.concatenate([-coefficients, coefficients]), np.concatenate([-intercepts, intercepts])
    known = present >= 0
    weights[:, present[known]] = coefficients[known].T
    offsets[present[known]] = intercepts[known]
    return weights, offsets


def _in_bytes(weights: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Return weights as bytes with a scale for each n-gram."""
    largest = np.abs(weights).max(axis=1)
    scales = np.where(largest > 0, largest / FULL_SCALE, 1).astype(np.float32)
    packed = np.rint(weights / scales[:, None])
    packed[np.abs(packed) < NEGLIGIBLE * FULL_SCALE] = 0
    return packed.astype(np.int8), scales


def _similarities(
    encoded: Floats, targets: Integers, intents: int, seed: int
) -> tuple[npt.NDArray[np.int8], float, npt.NDArray[np.float16]]:
    """Return reference vectors as bytes, their scale and their weights for each intent.

    Kernel ridge regression on whether a text has the intent, with the Nyström approximation where there are more texts
    than references (Williams and Seeger 2001).
    """
    chosen = np.arange(len(encoded))
    is_exact = len(chosen) <= MAX_EXACT
    if not is_exact:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, REFERENCES, replace=False))
    scale = float(np.abs(encoded).max()) / STEPS
    references = np.rint(encoded[chosen] / scale).astype(np.int8)
    # What the weights are fitted to is what is compared later: the rounded vectors.
    rounded = references.astype(np.float32) * np.float32(scale)
    wanted = np.zeros((len(encoded), intents), np.float32)
    wanted[np.flatnonzero(targets >= 0), targets[targets >= 0]] = 1
    among = kernel(rounded, rounded, WIDTH)
    if is_exact:
        weights = _solved(among, RIDGE, wanted)
    else:
        among[np.diag_indices(len(among))] += JITTER
        root = cholesky(among.T, lower=True, overwrite_a=True, check_finite=False)
        features = solve_triangular(root, kernel(encoded, rounded, WIDTH).T, lower=True, overwrite_b=True, check_finite=False)
        inner = _solved(features @ features.T, RIDGE, features @ wanted)
        weights = solve_triangular(root, inner, trans="T", lower=True, check_finite=False)
    return references, scale, weights.astype(np.float16)


def _solved(matrix: Floats, ridge: float, wanted: Floats) -> Floats:
    """Return x of (matrix + ridge) · x = wanted; the symmetric matrix is overwritten."""
    matrix[np.diag_indices(len(matrix))] += ridge
    # Transposed it needs no copy.
    found: Floats = cho_solve(cho_factor(matrix.T, lower=True, overwrite_a=True, check_finite=False), wanted, check_finite=False)
    return found
