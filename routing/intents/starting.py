"""The model that Posthaste begins with, trained with texts that were written for it.

`starting_set/` has the texts (`<language>.csv`), what the intents are called (`intents.json`), the trained model (`model.zip`)
and how good it is (`model.json`, which also has the hash of the model).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routing.intents.artefact import digest, pack
from routing.intents.evaluation import evaluate
from routing.intents.fitting import Progress, fit, no_progress
from routing.intents.labelled import Row, read_file
from routing.intents.recognition import Recogniser

FOLDER = Path(__file__).parent / "starting_set"
MODEL, EVALUATION = "model.zip", "model.json"
TRAIN, HELD_OUT = "train", "held_out"


@dataclass(frozen=True, slots=True)
class Built:
    """A starting model, and how good it is on the texts that were held out: by language, and `all`."""

    content: bytes
    evaluations: dict[str, Any]
    cross_validation: dict[str, Any]

    def about(self) -> dict[str, Any]:
        """Return what `model.json` says."""
        return {
            "sha256": digest(self.content),
            "bytes": len(self.content),
            "evaluation": self.evaluations,
            "cross_validation": self.cross_validation,
        }


def texts(folder: Path = FOLDER) -> list[Row]:
    """Return the texts of the starting set in all languages.

    Raises:
        BadFile: a file is not as it should be.
    """
    return [row for path in sorted(folder.glob("*.csv")) for row in read_file(path)]


def build(*, folder: Path = FOLDER, progress: Progress = no_progress) -> Built:
    """Return a model trained with the texts of the part `train`, evaluated on those that were held out."""
    rows = texts(folder)
    training = [row for row in rows if row.part == TRAIN]
    held_out = [row for row in rows if row.part == HELD_OUT]
    fitted = fit(texts=[row.text for row in training], labels=[row.category for row in training], progress=progress)
    content = pack(fitted.model)
    recogniser = Recogniser.load(content, expected=digest(content))
    return Built(content, evaluations(recogniser, held_out), fitted.cross_validation)


def evaluations(recogniser: Recogniser, rows: list[Row]) -> dict[str, Any]:
    """Return how good a model is on some rows: on those of each language, and on `all`."""
    found = recogniser.classify([row.text for row in rows])
    pairs = list(zip(rows, found, strict=True))
    parts = {"all": pairs} | {
        language: [pair for pair in pairs if pair[0].language == language] for language in sorted({r.language for r in rows})
    }
    return {
        name: evaluate(labels=[row.category for row, _result in part], found=[result for _row, result in part])
        for name, part in parts.items()
    }


def write(built: Built, *, folder: Path = FOLDER) -> None:
    """Write the model and how good it is."""
    (folder / MODEL).write_bytes(built.content)
    (folder / EVALUATION).write_text(json.dumps(built.about(), ensure_ascii=False, indent=1) + "\n")


def about(folder: Path = FOLDER) -> dict[str, Any]:
    """Return the hash of the shipped model and how good it is."""
    found: dict[str, Any] = json.loads((folder / EVALUATION).read_text())
    return found


def content(folder: Path = FOLDER) -> bytes:
    """Return the shipped model."""
    return (folder / MODEL).read_bytes()


def load(folder: Path = FOLDER) -> Recogniser:
    """Return the shipped model, ready to use.

    Raises:
        Unusable: its file was changed.
    """
    return Recogniser.load(content(folder), expected=about(folder)["sha256"])
