"""The figures of a model are what they are called."""

from routing.intents.evaluation import evaluate
from routing.intents.recognition import Alternative, Recognition


def recognised(best: str, confidence: float, *, rejection: str = "") -> Recognition:
    ranked = (Alternative(best, confidence), Alternative("other", 0.0))
    return Recognition(None if rejection else best, confidence, ranked, rejection)


def test_figures_count_what_was_right_rejected_and_confused() -> None:
    found = [
        recognised("a", 0.95),
        recognised("b", 0.85),
        recognised("a", 0.3, rejection="threshold"),
        recognised("b", 0.9),
        recognised("a", 0.2, rejection="gap"),
    ]
    figures = evaluate(labels=["a", "a", "a", "b", "oos"], found=found)
    assert (figures["accuracy"], figures["forced_accuracy"], figures["accepted_accuracy"]) == (0.5, 0.75, 0.6667)
    assert figures["out_of_scope"] == {"texts": 1, "recall": 1.0, "false_rejections": 0.25, "rejections": {"threshold": 1, "gap": 1}}
    assert figures["intents"][0] == {"intent": "a", "texts": 3, "precision": 1.0, "recall": 0.3333, "f1": 0.5}
    assert figures["intents"][1] == {"intent": "b", "texts": 1, "precision": 0.5, "recall": 1.0, "f1": 0.6667}
    assert figures["confusions"] == [{"intent": "a", "found": None, "texts": 1}, {"intent": "a", "found": "b", "texts": 1}]
    assert figures["coverage"][-1] == {"percent": 100, "accuracy": 0.75, "confidence": 0.3}
    assert figures["coverage"][0] == {"percent": 10, "accuracy": 1.0, "confidence": 0.95}
    # (|0.3 - 1| + |0.85 - 0| + 2 · |0.925 - 1|) / 4
    assert figures["calibration"]["error"] == 0.425
    assert sum(bin["texts"] for bin in figures["calibration"]["bins"]) == 4


def test_a_set_without_texts_in_scope_has_figures_too() -> None:
    figures = evaluate(labels=["oos"], found=[recognised("a", 0.9)])
    assert figures["accuracy"] is None
    assert figures["out_of_scope"]["recall"] == 0.0
    assert figures["coverage"] == []
