"""What `benchmarks.faq` measures: the search of the FAQ on texts of which the right entry is known. Django is set up by then."""

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from posthaste.lib.ids import new_id
from routing.configuration.bot import Bot
from routing.faq.index import Entry, Index
from routing.faq.published import Published
from routing.intents import starting_rows, vectors
from routing.intents.recognition import Recogniser

HERE = Path(__file__).parent
DEMO = HERE.parent / "routing" / "demo" / "faq.csv"
BAR = 95.0  # of the precision of answers, in percent
PARTS = 5


class Asked(NamedTuple):
    """A text and the address of the entry that answers it; empty: none does."""

    slug: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one threshold, in percent."""

    threshold: int
    precision: float
    recall: float
    coverage: float

    def line(self, mark: str = "") -> str:
        return f"  {self.threshold:>9} {self.precision:>10.1f} {self.recall:>8.1f} {self.coverage:>9.1f}  {mark}".rstrip()


def read() -> tuple[dict[str, dict[str, tuple[str, list[str]]]], list[Asked]]:
    """Return the intent and the texts of each entry by address and language, and the texts that are asked."""
    entries: dict[str, dict[str, tuple[str, list[str]]]] = {}
    asked: list[Asked] = []
    with DEMO.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            texts = [row["question"], *row["phrasings"].splitlines()]
            entries.setdefault(row["slug"], {})[row["language"]] = (row["intent"], texts)
    with (HERE / "faq_texts.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["kind"] == "entry":
                own = entries.setdefault(row["slug"], {})
                own.setdefault(row["language"], (row["intent"], []))[1].append(row["text"])
            else:
                asked.append(Asked(row["slug"], row["language"], row["text"]))
    return entries, asked


def index_of(entries: dict[str, dict[str, tuple[str, list[str]]]]) -> Index:
    """Return the index that the product would have of these entries."""
    groups: list[dict[str, Entry]] = []
    texts: list[str] = []
    starts: list[int] = []
    for slug, own in entries.items():
        starts.append(len(texts))
        group: dict[str, Entry] = {}
        for language, (intent, said) in own.items():
            texts += said
            group[language] = Entry(new_id(), slug, language, "", intent, True, Published(said[0], tuple(said[1:]), ""))
        groups.append(group)
    return Index(1, groups, vectors.encode(texts), np.array(starts, int))


def scores_of(index: Index, asked: Sequence[Asked], *, with_intents: bool) -> "np.ndarray":
    """Return the scores of all entries (columns) for all texts (rows)."""
    recogniser = Recogniser.load(starting_rows.content(), expected=starting_rows.sha256())
    found = recogniser.classify([one.text for one in asked])
    intents = [{each.intent: each.confidence for each in one.alternatives} for one in found]
    return np.array([index.scores([one.text], known if with_intents else None) for one, known in zip(asked, intents, strict=True)])


def figures(index: Index, asked: Sequence[Asked], scores: "np.ndarray", *, gap: int, thresholds: Sequence[int]) -> Iterator[Row]:
    """Yield the figures of each threshold."""
    slugs = [next(iter(group.values())).slug for group in index.groups]
    in_order = np.sort(scores, axis=1)
    is_clear = in_order[:, -1] - in_order[:, -2] >= gap / 100
    is_right = np.array([slugs[best] == one.slug for best, one in zip(scores.argmax(axis=1), asked, strict=True)])
    has_entry = np.array([bool(one.slug) for one in asked])
    for threshold in thresholds:
        answered = is_clear & (in_order[:, -1] >= threshold / 100)
        right = float((answered & is_right).sum())
        yield Row(
            threshold,
            100 * right / max(1, int(answered.sum())),
            100 * right / max(1, int(has_entry.sum())),
            100 * float(answered.mean()),
        )


def held_out(index: Index, asked: Sequence[Asked], scores: "np.ndarray", *, thresholds: Sequence[int], gaps: Sequence[int]) -> Row:
    """Return the figures of texts for which threshold and gap were chosen by the other texts: those of most recall within the bar.

    The threshold of the row is the mean of those that were chosen. Every fifth text is a part.
    """
    answered = right = chosen = 0
    places = np.arange(len(asked))
    for part in range(PARTS):
        is_held = places % PARTS == part
        others, own = ([asked[place] for place in np.flatnonzero(mask).tolist()] for mask in (~is_held, is_held))
        rows = [(gap, row) for gap in gaps for row in figures(index, others, scores[~is_held], gap=gap, thresholds=thresholds)]
        gap, best = max((each for each in rows if each[1].precision >= BAR), key=lambda each: each[1].recall, default=rows[-1])
        row = next(figures(index, own, scores[is_held], gap=gap, thresholds=[best.threshold]))
        chosen += best.threshold
        answered += round(row.coverage * len(own) / 100)
        right += round(row.recall * sum(bool(one.slug) for one in own) / 100)
    texts = sum(bool(one.slug) for one in asked)
    return Row(round(chosen / PARTS), 100 * right / max(1, answered), 100 * right / texts, 100 * answered / len(asked))


def offers(index: Index, asked: Sequence[Asked], scores: "np.ndarray", *, thresholds: Sequence[int]) -> Iterator[Row]:
    """Yield, of each threshold, how often the right entry is among up to three offers, and for how many texts any is offered."""
    slugs = [next(iter(group.values())).slug for group in index.groups]
    for threshold in thresholds:
        made = right = texts = 0
        for one, own in zip(asked, scores, strict=True):
            best = [slugs[place] for place in own.argsort()[::-1][:3] if own[place] >= threshold / 100]
            made += bool(best)
            right += one.slug in best
            texts += bool(one.slug)
        yield Row(threshold, 100 * right / max(1, made), 100 * right / max(1, texts), 100 * made / len(asked))


def main(arguments: Sequence[str]) -> int:
    """Print the figures; 1: the configured defaults do not reach the bar."""
    settings = Bot()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faq", description="How surely the search of the FAQ finds the right entry.")
    parser.add_argument("--gap", type=int, default=settings.gap_percent, help="distance to the next entry, in percent")
    parser.add_argument("--without-intents", action="store_true", help="leave out what the starting model recognizes")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    given = parser.parse_args(arguments)
    entries, asked = read()
    index = index_of(entries)
    scores = scores_of(index, asked, with_intents=not given.without_intents)
    outside = sum(not one.slug for one in asked)
    print(f"{len(entries)} entries in two languages, {len(asked) - outside} texts that have one, {outside} that have none")
    report: dict[str, Any] = {"gap": given.gap, "answers": {}, "offers": []}
    reached = 0.0
    for name, languages in (("all", ("en", "zh")), ("English", ("en",)), ("Chinese", ("zh",))):
        own = [place for place, one in enumerate(asked) if one.language in languages]
        rows = list(figures(index, [asked[place] for place in own], scores[own], gap=given.gap, thresholds=range(40, 81, 2)))
        print(f"\nAnswers, {name}, {given.gap} % before the next\n  {'threshold':>9} {'precision':>10} {'recall':>8} {'coverage':>9}")
        for row in rows:
            is_default = row.threshold == settings.answer_percent
            print(row.line("default" if is_default else ""))
            if is_default and name == "all":
                reached = row.precision
        report["answers"][name] = [vars_of(row) for row in rows]
    print(f"\nOffers of up to three, all\n  {'threshold':>9} {'precision':>10} {'recall':>8} {'coverage':>9}")
    for row in offers(index, asked, scores, thresholds=range(26, 61, 2)):
        print(row.line("default" if row.threshold == settings.offer_percent else ""))
        report["offers"].append(vars_of(row))
    row = held_out(index, asked, scores, thresholds=range(40, 81, 2), gaps=range(16))
    report["held_out"] = vars_of(row)
    print(f"\nAnswers where threshold and gap were chosen by the other texts, {PARTS} parts")
    print(f"  {'':>9} {'precision':>10} {'recall':>8} {'coverage':>9}\n{row.line()}")
    print(f"\nPrecision of answers by default {reached:.1f} % (bar {BAR:g} %): {'reached' if reached >= BAR else 'NOT REACHED'}")
    if given.output:
        given.output.write_text(json.dumps(report, indent=1) + "\n")
    return 0 if reached >= BAR else 1


def vars_of(row: Row) -> dict[str, float]:
    """Return a row as JSON has it."""
    return {
        "threshold": row.threshold,
        "precision": round(row.precision, 2),
        "recall": round(row.recall, 2),
        "coverage": round(row.coverage, 2),
    }
