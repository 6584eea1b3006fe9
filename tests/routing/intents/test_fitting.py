"""Models are trained from few texts, in both languages, and can be given up on the way."""

import msgspec
import numpy as np
import pytest

from routing.intents import vectors
from routing.intents.artefact import Rejection
from routing.intents.fitting import CannotTrain, fit
from routing.intents.recognition import GAP, THRESHOLD, recognitions
from tests.routing.intents.texts import fitted, labelled, loaded, packed


def test_a_few_texts_of_each_intent_are_enough_to_recognise_others_like_them() -> None:
    asked = {
        "I would like a refund": "refund",
        "把钱退我": "refund",
        "could you send the invoice": "invoice",
        "开发票": "invoice",
        "真人客服": "human",
    }
    assert {text: result.best for text, result in zip(asked, loaded().classify(list(asked)), strict=True)} == asked


def test_the_same_texts_give_the_same_model() -> None:
    texts, labels = labelled()
    again = fit(texts=texts, labels=labels, encoded=vectors.encode(texts))
    assert loaded(again.model).about == loaded().about
    assert len(packed()) < 300_000


def test_training_tells_how_far_it_is_and_ends_when_it_is_told_to() -> None:
    told: list[tuple[int, int]] = []

    class Cancelled(Exception):
        pass

    def progress(done: int, total: int, note: str) -> None:
        told.append((done, total))
        assert note
        if done == 3:
            raise Cancelled

    texts, labels = labelled()
    with pytest.raises(Cancelled):
        fit(texts=texts, labels=labels, progress=progress)
    assert told == [(0, 7), (1, 7), (2, 7), (3, 7)]


@pytest.mark.parametrize("intents", [("refund",), ("oos",), ("refund", "oos")])
def test_fewer_than_two_intents_are_refused_with_a_reason(intents: tuple[str, ...]) -> None:
    texts, labels = labelled(*intents)
    with pytest.raises(CannotTrain, match="at least two intents"):
        fit(texts=texts, labels=labels)


def test_two_intents_with_one_text_each_can_be_told_apart() -> None:
    found = loaded(fit(texts=["I want a refund", "转人工"], labels=["refund", "human"]).model).classify(["refund", "人工"], alternatives=9)
    assert [result.best for result in found] == ["refund", "human"]
    assert [len(result.alternatives) for result in found] == [2, 2]


def test_confidences_are_probabilities_of_which_the_rest_is_out_of_scope() -> None:
    for result in loaded().classify(["refund me", "转人工", "tell me a joke about the weather", "\ud800", "\x00"], alternatives=99):
        likely = [alternative.confidence for alternative in result.alternatives]
        assert likely == sorted(likely, reverse=True)
        assert 0 <= sum(likely) <= 1.0001


def test_a_blank_text_has_no_intent() -> None:
    assert [result.intent for result in loaded().classify(["", " \n\u3000"])] == [None, None]


def test_texts_are_rejected_below_the_threshold_and_where_two_intents_are_close() -> None:
    about = fitted().model.about
    model = msgspec.structs.replace(about, rejection=Rejection(threshold=0.5, gap=0.3))
    sure = np.array([[0.9, 0.05, 0.05], [0.4, 0.05, 0.05], [0.5, 0.45, 0.05], [0.5, 0.1, 0.1]], np.float32)
    found = recognitions(sure, about=model, alternatives=3)
    assert [result.rejection for result in found] == ["", THRESHOLD, GAP, ""]
    assert [result.intent is None for result in found] == [False, True, True, False]


def test_what_is_out_of_scope_is_mostly_rejected_in_cross_validation() -> None:
    found = fitted().cross_validation
    assert found["out_of_scope"]["recall"] >= 0.7
    assert found["accuracy"] >= 0.7
