"""The process that trains a version of an intent model: `python -m deploy.training_process FOLDER`, started by `worker-aux`.

It reads `input.json` and `active.zip` of the folder and writes `model.zip` and `evaluation.json`, or `error.json` with a sentence for
people. How far it is goes to its output, a JSON line each. It has no settings, so no database and no Redis. Its standard input is held by
the worker and ends with it, whatever ended that; then this process ends at once.
"""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import orjson

NICENESS = 10  # messages go first
LEAST_HELD_OUT = 10  # fewer tell nothing about a model
COMPARED = ("accuracy", "accepted_accuracy", "macro_f1", "out_of_scope", "intents")


def main() -> int:
    """Train, and return the exit status."""
    folder = Path(sys.argv[1])
    threading.Thread(target=_end_with_the_worker, name="end-with-the-worker", daemon=True).start()
    os.nice(NICENESS)
    from django.conf import settings

    settings.configure(USE_I18N=False)  # texts are stored in English, and translated for the person who reads them
    from routing.intents import fitting

    try:
        _train(folder, orjson.loads((folder / "input.json").read_bytes()))
    except fitting.CannotTrain as error:
        (folder / "error.json").write_bytes(orjson.dumps({"error": str(error)}))
        return 1
    return 0


def _end_with_the_worker() -> None:
    while os.read(0, 4_096):
        pass
    os._exit(3)


def _train(folder: Path, given: dict[str, Any]) -> None:
    from routing.intents import artefact, evaluation, fitting, recognition
    from routing.intents.labels import OUT_OF_SCOPE

    began = time.monotonic()
    texts, labels = _columns(given["train"], OUT_OF_SCOPE)
    asked, right = _columns(given["held_out"], OUT_OF_SCOPE)
    fitted = fitting.fit(texts=texts, labels=labels, progress=_tell)
    content = artefact.pack(fitted.model)
    sha256 = artefact.digest(content)
    if len(asked) >= LEAST_HELD_OUT:
        _tell(1, 1, "Measuring")
        made = recognition.Recogniser.load(content, expected=sha256)
        found = evaluation.evaluate(labels=right, found=made.classify(asked))
        found |= {"measured_with": "held_out", "compared": _compared(folder, given["active"], asked, right)}
    else:
        found = {**fitted.cross_validation, "measured_with": "cross_validation", "compared": None}
    found |= {"trained_with": len(texts), "held_out": len(asked), "seconds": round(time.monotonic() - began, 1)}
    (folder / "model.zip").write_bytes(content)
    (folder / "evaluation.part").write_bytes(orjson.dumps({"sha256": sha256, "evaluation": found}, option=orjson.OPT_SERIALIZE_NUMPY))
    (folder / "evaluation.part").replace(folder / "evaluation.json")


def _columns(pairs: list[list[str]], otherwise: str) -> tuple[list[str], list[str]]:
    return [text for text, _label in pairs], [label or otherwise for _text, label in pairs]


def _compared(folder: Path, number: int, asked: list[str], right: list[str]) -> dict[str, Any] | None:
    """Measure the active version on the same texts; None if it can't be loaded any more."""
    from routing.intents import artefact, evaluation, recognition

    content = (folder / "active.zip").read_bytes()
    try:
        active = recognition.Recogniser.load(content, expected=artefact.digest(content))
    except artefact.Unusable:
        return None
    found = evaluation.evaluate(labels=right, found=active.classify(asked))
    return {"version": number, **{name: found[name] for name in COMPARED}}


def _tell(done: int, total: int, note: str) -> None:
    sys.stdout.buffer.write(orjson.dumps({"done": done, "total": total, "note": note}) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
