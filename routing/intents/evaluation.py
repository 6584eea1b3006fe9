"""How good a model is on texts that it has not seen, as plain data that can be stored and drawn."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from routing.intents.labels import OUT_OF_SCOPE
from routing.intents.recognition import Recognition

BINS = 10
COVERAGES = (10, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95, 100)
MAX_CONFUSIONS = 50


def evaluate(*, labels: Sequence[str], found: Sequence[Recognition]) -> dict[str, Any]:
    """Return the figures of a model: `labels` says what is right (`oos`: no intent of the model), `found` what was recognised.

    `accuracy` counts a text of an intent that was rejected as wrong; `forced_accuracy` is what the best intent alone would reach.
    """
    if len(labels) != len(found) or not labels:
        raise ValueError(f"There are {len(labels)} labels and {len(found)} results.")
    pairs = [(label, result) for label, result in zip(labels, found, strict=True) if label != OUT_OF_SCOPE]
    outside = [result for label, result in zip(labels, found, strict=True) if label == OUT_OF_SCOPE]
    rejected = sum(result.intent is None for _label, result in pairs)
    return {
        "texts": len(labels),
        "in_scope": len(pairs),
        "accuracy": _share(sum(result.intent == label for label, result in pairs), len(pairs)),
        "forced_accuracy": _share(sum(result.best == label for label, result in pairs), len(pairs)),
        "accepted_accuracy": _share(sum(result.intent == label for label, result in pairs), len(pairs) - rejected),
        "macro_f1": _mean([intent["f1"] for intent in _per_intent(labels, found)]),
        "out_of_scope": {
            "texts": len(outside),
            "recall": _share(sum(result.intent is None for result in outside), len(outside)),
            "false_rejections": _share(rejected, len(pairs)),
            "rejections": dict(Counter(result.rejection for result in found if result.rejection)),
        },
        "intents": _per_intent(labels, found),
        "confusions": _confusions(pairs),
        "calibration": _calibration(pairs),
        "coverage": _coverage(pairs),
    }


def _per_intent(labels: Sequence[str], found: Sequence[Recognition]) -> list[dict[str, Any]]:
    there = Counter(label for label in labels if label != OUT_OF_SCOPE)
    given = Counter(result.intent for result in found if result.intent is not None)
    right = Counter(label for label, result in zip(labels, found, strict=True) if result.intent == label)
    intents = []
    for intent in sorted(there | given):
        precision, recall = _share(right[intent], given[intent]) or 0.0, _share(right[intent], there[intent]) or 0.0
        f1 = 2 * precision * recall / (precision + recall) if right[intent] else 0.0
        intents.append({"intent": intent, "texts": there[intent], "precision": precision, "recall": recall, "f1": round(f1, 4)})
    return intents


def _confusions(pairs: Sequence[tuple[str, Recognition]]) -> list[dict[str, Any]]:
    """Return what was taken for what, the most frequent first; `found` is null for what was rejected."""
    counted = Counter((label, result.intent) for label, result in pairs if result.intent != label)
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0][0], item[0][1] or ""))
    return [{"intent": label, "found": found, "texts": number} for (label, found), number in ranked[:MAX_CONFUSIONS]]


def _calibration(pairs: Sequence[tuple[str, Recognition]]) -> dict[str, Any]:
    """Return the expected calibration error and its bins (Guo et al. 2017): how sure the model was, and how often it was right."""
    if not pairs:
        return {"error": None, "bins": []}
    confidence = np.array([result.confidence for _label, result in pairs])
    right = np.array([result.best == label for label, result in pairs])
    bins, error = [], 0.0
    numbers = np.minimum((confidence * BINS).astype(int), BINS - 1)
    for number in range(BINS):
        inside = numbers == number
        texts = int(inside.sum())
        sure, accurate = (float(confidence[inside].mean()), float(right[inside].mean())) if texts else (None, None)
        if sure is not None and accurate is not None:
            error += texts / len(pairs) * abs(sure - accurate)
        bins.append(
            {"from": number / BINS, "to": (number + 1) / BINS, "texts": texts, "confidence": _rounded(sure), "accuracy": _rounded(accurate)}
        )
    return {"error": round(error, 4), "bins": bins}


def _coverage(pairs: Sequence[tuple[str, Recognition]]) -> list[dict[str, Any]]:
    """Return how often the best intent is right among the texts that the model is surest of, and how sure it is of the last of them."""
    ranked = sorted(pairs, key=lambda pair: -pair[1].confidence)
    curve = []
    for percent in COVERAGES if ranked else ():
        surest = ranked[: max(1, round(len(ranked) * percent / 100))]
        right = sum(result.best == label for label, result in surest)
        curve.append({"percent": percent, "accuracy": _share(right, len(surest)), "confidence": _rounded(surest[-1][1].confidence)})
    return curve


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
