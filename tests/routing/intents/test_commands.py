"""Models are trained from the command line, without a database."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from routing.intents.artefact import digest
from routing.intents.recognition import Recogniser
from tests.routing.intents.texts import labelled


def written(path: Path, pairs: list[tuple[str, str]]) -> Path:
    path.write_text("text,category\n" + "".join(f'"{text}",{label}\n' for text, label in pairs), encoding="utf-8-sig")
    return path


def test_a_model_is_trained_on_one_file_and_asked_about_another(tmp_path: Path) -> None:
    training = written(tmp_path / "train.csv", list(zip(*labelled(), strict=True)))
    asked = written(
        tmp_path / "ask.csv", [("I'd like my money back", "refund"), ("人工客服", "human"), ("what's the weather", "oos"), ("a", "unknown")]
    )
    said = StringIO()
    call_command("train_intents", csv=training, evaluate=asked, json=True, out=tmp_path / "model.zip", stdout=said, stderr=StringIO())
    report = json.loads(said.getvalue())
    assert report["unknown_categories"] == ["unknown"]
    assert report["evaluation"]["forced_accuracy"] == 0.6667
    assert report["evaluation"]["out_of_scope"]["texts"] == 1
    content = (tmp_path / "model.zip").read_bytes()
    assert report["model"] == {"sha256": digest(content), "bytes": len(content), "intents": 3, "texts": 42}
    assert Recogniser.load(content, expected=digest(content)).classify(["转人工"])[0].intent == "human"
    said = StringIO()
    call_command("train_intents", csv=training, evaluate=asked, stdout=said, stderr=StringIO())
    assert "accuracy on the surest 90 %" in said.getvalue()


def test_bad_files_and_too_few_intents_are_told(tmp_path: Path) -> None:
    good = written(tmp_path / "good.csv", [("a", "b"), ("c", "b")])
    bad = written(tmp_path / "bad.csv", [("", "b")])
    with pytest.raises(CommandError, match="Line 2: The text is empty"):
        call_command("train_intents", csv=bad, evaluate=good, stderr=StringIO())
    with pytest.raises(CommandError, match="at least two intents"):
        call_command("train_intents", csv=good, evaluate=good, stderr=StringIO())
