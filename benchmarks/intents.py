"""`make bench-intents INTENT_DATA=FOLDER`: how good and how fast intent recognition is, each figure beside its bar.

    python -m benchmarks.intents FOLDER [--folds 5] [--only banking77|clinc150] [--output FILE]

The folder has `banking77_train.csv`, `clinc150_train.csv` and `clinc150_val.csv` (columns `text,category`; `oos`: out of scope).
Both sets are cross-validated: each part is asked of a model that was trained with the others. What is out of scope is asked of
the validation file. Accuracies are those of the best intent; with rejection, a text that was rejected counts as wrong.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import django
import numpy as np
import threadpoolctl

from routing.intents import vectors
from routing.intents.artefact import digest, pack
from routing.intents.evaluation import evaluate
from routing.intents.fitting import fit
from routing.intents.labelled import BadFile, Row, read_file
from routing.intents.ngrams import Floats
from routing.intents.recognition import Recogniser, Recognition
from routing.intents.timing import milliseconds_a_text

SETS = ("banking77", "clinc150")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure, and the bar that it has to reach."""

    name: str
    value: float
    unit: str = "%"
    bar: float | None = None
    is_most: bool = False  # the bar is an upper one

    @property
    def verdict(self) -> str:
        if self.bar is None:
            return ""
        return "reached" if (self.value <= self.bar if self.is_most else self.value >= self.bar) else "NOT REACHED"

    def line(self) -> str:
        """Return the row of the table."""
        bar = "" if self.bar is None else f"{'≤' if self.is_most else '≥'} {self.bar:g} {self.unit}"
        return f"  {self.name:<52} {self.value:>9.2f} {self.unit:<7} {bar:<12} {self.verdict}".rstrip()


def trained(rows: list[Row], encoded: Floats) -> Recogniser:
    """Return a model of these rows as it is after packing and loading, as in production."""
    content = pack(fit(texts=[row.text for row in rows], labels=[row.category for row in rows], encoded=encoded).model)
    print(f"    trained with {len(rows):,} texts, {len(content) / 1e6:.1f} MB", flush=True)
    return Recogniser.load(content, expected=digest(content))


def cross_validated(rows: list[Row], encoded: Floats, folds: int) -> list[Recognition]:
    """Return what is recognised in each row by a model that was trained with the other parts."""
    order = np.random.default_rng(2026).permutation(len(rows))
    categories = np.array([rows[row].category for row in order])
    part = np.empty(len(rows), np.int64)
    part[order[np.argsort(categories, kind="stable")]] = np.arange(len(rows)) % folds
    found: dict[int, Recognition] = {}
    for fold in range(folds):
        seen, asked = np.flatnonzero(part != fold), np.flatnonzero(part == fold)
        recogniser = trained([rows[row] for row in seen], encoded[seen])
        found.update(zip(asked.tolist(), recogniser.classify([rows[row].text for row in asked]), strict=True))
    return [found[row] for row in range(len(rows))]


def quality(name: str, folder: Path, folds: int) -> Iterator[Figure]:
    """Yield how good the recognition of a set is."""
    rows = read_file(folder / f"{name}_train.csv")
    encoded = vectors.encode([row.text for row in rows])
    found = evaluate(labels=[row.category for row in rows], found=cross_validated(rows, encoded, folds))
    bar = {"banking77": 93.0, "clinc150": 95.0}[name]
    yield Figure(f"{name}: accuracy, {folds} folds", 100 * found["forced_accuracy"], bar=bar)
    yield Figure(f"{name}: accuracy with rejection, {folds} folds", 100 * found["accuracy"], bar=95.0 if name == "clinc150" else None)
    yield Figure(f"{name}: accuracy on the surest 90 %", 100 * _surest(found), bar=97.0)
    yield Figure(f"{name}: calibration error", 100 * found["calibration"]["error"])
    if name == "clinc150":
        asked = read_file(folder / "clinc150_val.csv")
        recogniser = trained(rows, encoded)
        checked = evaluate(labels=[row.category for row in asked], found=recogniser.classify([row.text for row in asked]))
        yield Figure(f"{name}: out-of-scope recall, validation file", 100 * checked["out_of_scope"]["recall"], bar=80.0)
        yield Figure(f"{name}: accuracy, validation file", 100 * checked["forced_accuracy"])
        yield Figure(f"{name}: accuracy with rejection, validation file", 100 * checked["accuracy"])
        yield Figure(f"{name}: accuracy on the surest 90 %, validation file", 100 * _surest(checked), bar=97.0)
        yield from speed(recogniser, [row.text for row in asked])


def _surest(found: dict[str, Any]) -> float:
    return float(next(point["accuracy"] for point in found["coverage"] if point["percent"] == 90))


def speed(recogniser: Recogniser, texts: list[str]) -> Iterator[Figure]:
    """Yield how fast one process is, on one core."""
    yield Figure("median time of a text, one at a time", milliseconds_a_text(recogniser, texts), "ms", 10.0, is_most=True)
    began, used = time.perf_counter(), time.process_time()
    recogniser.classify(texts[:1000])
    took, used = time.perf_counter() - began, time.process_time() - used
    yield Figure("texts a second of a process, in batches", len(texts[:1000]) / took, "texts/s", 100.0)
    yield Figure("processor time of a text, in batches", 1000 * used / len(texts[:1000]), "ms")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files are")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--only", choices=SETS, help="one set; clinc150 also measures the speed")
    parser.add_argument("--output", type=Path, help="also write the figures to this JSON file")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")
    django.setup()  # for the texts of progress and errors
    threadpoolctl.threadpool_limits(limits=1)
    print(f"Intent recognition, {options.folds} folds, one thread; load {os.getloadavg()[0]:.1f}", flush=True)
    figures: list[Figure] = []
    try:
        for name in SETS if options.only is None else (options.only,):
            print(f"\n{name}", flush=True)
            for figure in quality(name, options.folder, options.folds):
                figures.append(figure)
                print(figure.line(), flush=True)
    except BadFile as error:
        print(f"{error}\nGive the folder of the data: make bench-intents INTENT_DATA=FOLDER", file=sys.stderr)
        return 1
    print("\n" + "\n".join(figure.line() for figure in figures))
    if options.output:
        options.output.write_text(json.dumps([{**asdict(figure), "verdict": figure.verdict} for figure in figures], indent=2) + "\n")
    return any(figure.verdict == "NOT REACHED" for figure in figures)


if __name__ == "__main__":
    sys.exit(main())
