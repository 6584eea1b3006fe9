"""`manage.py train_intents --csv FILE --evaluate FILE`: trains on one file, asks about another, and prints how good the model is.

Needs no database. The files have the columns `text,category`; `oos` is the category of texts that belong to no intent.
"""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from routing.intents.artefact import digest, pack
from routing.intents.evaluation import evaluate
from routing.intents.fitting import CannotTrain, fit
from routing.intents.labelled import BadFile, Row, read_file
from routing.intents.labels import OUT_OF_SCOPE
from routing.intents.recognition import Recogniser
from routing.intents.timing import milliseconds_a_text
from routing.intents.vectors import UnknownEncoder


class Command(BaseCommand):
    help = "Trains intent recognition on a CSV file (text,category; oos: out of scope) and evaluates it on another one."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--csv", type=Path, required=True, metavar="FILE", help="texts to train with")
        parser.add_argument("--evaluate", type=Path, required=True, metavar="FILE", help="other texts, to see how good the model is")
        parser.add_argument("--json", action="store_true", help="print everything as JSON")
        parser.add_argument("--out", type=Path, metavar="FILE", help="write the model to this file")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            training, asked = read_file(options["csv"]), read_file(options["evaluate"])
            fitted = fit(texts=[row.text for row in training], labels=[row.category for row in training], progress=self._progress)
        except (BadFile, CannotTrain, UnknownEncoder) as error:
            raise CommandError(str(error)) from error
        content = pack(fitted.model)
        recogniser = Recogniser.load(content, expected=digest(content))
        found = recogniser.classify([row.text for row in asked])
        about = fitted.model.about
        report = {
            "model": {"sha256": digest(content), "bytes": len(content), "intents": len(about.labels), "texts": about.texts},
            "rejection": {"threshold": about.rejection.threshold, "gap": about.rejection.gap},
            "unknown_categories": unknown_categories(asked, about.labels),
            "milliseconds_a_text": milliseconds_a_text(recogniser, [row.text for row in asked]),
            "evaluation": evaluate(labels=[row.category for row in asked], found=found),
            "cross_validation": fitted.cross_validation,
        }
        if options["out"]:
            try:
                options["out"].write_bytes(content)
            except OSError as error:
                raise CommandError(f"The model can't be written: {error}") from error
        self.stdout.write(json.dumps(report, ensure_ascii=False, indent=2) if options["json"] else "\n".join(lines(report)))

    def _progress(self, done: int, total: int, note: str) -> None:
        # Beside the result, so that the JSON can be read by a program.
        self.stderr.write(f"{done}/{total} {note}", ending="\r" if sys.stderr.isatty() else "\n")


def unknown_categories(rows: list[Row], labels: list[str]) -> list[str]:
    """Return the categories of an evaluation that the model can't know."""
    return sorted({row.category for row in rows} - {*labels, OUT_OF_SCOPE})


def lines(report: dict[str, Any]) -> list[str]:
    """Return what a person reads."""
    model, found = report["model"], report["evaluation"]
    outside, calibration = found["out_of_scope"], found["calibration"]
    sure = next((point for point in found["coverage"] if point["percent"] == 90), {"accuracy": None})
    shown = [
        f"Trained with {model['texts']} texts of {model['intents']} intents; {model['bytes'] / 1e6:.1f} MB, sha256 {model['sha256'][:16]}…",
        f"Cross-validated accuracy        {percent(report['cross_validation']['forced_accuracy'])}",
        f"Evaluated with {found['texts']} texts:",
        f"  accuracy                      {percent(found['forced_accuracy'])}  (best intent; a rejection is not asked for)",
        f"  accuracy with rejection       {percent(found['accuracy'])}  (what was rejected counts as wrong)",
        f"  accuracy of what was accepted {percent(found['accepted_accuracy'])}",
        f"  accuracy on the surest 90 %   {percent(sure['accuracy'])}",
        f"  macro F1                      {percent(found['macro_f1'])}",
        f"  out-of-scope recall           {percent(outside['recall'])}  ({outside['texts']} texts)",
        f"  rejected though in scope      {percent(outside['false_rejections'])}",
        f"  calibration error             {percent(calibration['error'])}",
        f"  median time of a text         {report['milliseconds_a_text']} ms",
    ]
    if report["unknown_categories"]:
        shown.append(f"Not in the training file, so never recognised: {', '.join(report['unknown_categories'][:20])}")
    if found["confusions"]:
        shown.append("Most frequent confusions:")
        shown += [f"  {pair['intent']} taken for {pair['found'] or 'out of scope'}: {pair['texts']}" for pair in found["confusions"][:10]]
    return shown


def percent(share: float | None) -> str:
    """Return a share for people."""
    return "—" if share is None else f"{100 * share:.2f} %"
