"""What is wrong with labelled texts before a model is trained with them: doubles, contradictions, near-doubles."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from routing.intents import vectors
from routing.intents.labelled import Row
from routing.intents.language import language_of
from routing.intents.ngrams import Floats, normalised

#: Cosine of two sentence vectors from which on they say the same in nearly the same words.
NEAR = 0.88
COMPARED_AT_ONCE = 512
MAX_REPORTED = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """Two rows that say the same, the later one first, and how alike they are (1: equal)."""

    line: int
    other_line: int
    text: str
    other_text: str
    category: str
    other_category: str
    likeness: float = 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in some rows, each list cut at five hundred, and the rows that are left without doubles and contradictions."""

    rows: int
    duplicates: list[Finding] = field(default_factory=list)  # the same text and category: only the first is kept
    contradictions: list[Finding] = field(default_factory=list)  # the same text, another category: none is kept until it is decided
    near_doubles: list[Finding] = field(default_factory=list)  # kept; of another category, one of them is probably wrong
    kept: list[Row] = field(default_factory=list)


def check_rows(rows: Sequence[Row], *, encode: Callable[[Sequence[str]], Floats] | None = vectors.encode) -> Report:
    """Return what is wrong with rows; without `encode`, near-doubles are not looked for."""
    same: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        same[_compared(row.text)].append(row)
    report = Report(rows=len(rows))
    for group in same.values():
        first, *others = group
        if any(row.category != first.category for row in others):
            report.contradictions.extend(_finding(row, first) for row in others if row.category != first.category)
        else:
            report.kept.append(first)
        report.duplicates.extend(_finding(row, first) for row in others if row.category == first.category)
    if encode is not None and len(report.kept) > 1:
        report.near_doubles.extend(_near_doubles(report.kept, encode([row.text for row in report.kept])))
    for found in (report.duplicates, report.contradictions):
        found.sort(key=lambda finding: finding.line)
        del found[MAX_REPORTED:]
    return report


def _compared(text: str) -> str:
    """Return what two texts have in common that differ in case, spaces and punctuation only."""
    folded = normalised(text)
    return "".join(character for character in folded if character.isalnum()) or folded


def _finding(row: Row, other: Row, likeness: float = 1.0) -> Finding:
    return Finding(row.line, other.line, row.text, other.text, row.category, other.category, round(likeness, 4))


def _near_doubles(rows: Sequence[Row], encoded: Floats) -> list[Finding]:
    found: list[tuple[bool, float, int, int]] = []
    languages = [language_of(row.text) for row in rows]
    for start in range(0, len(rows), COMPARED_AT_ONCE):
        alike = encoded[start : start + COMPARED_AT_ONCE] @ encoded.T
        for place, other in zip(*np.nonzero(alike >= NEAR), strict=True):
            # A translation is no double.
            if other < start + place and languages[other] == languages[start + place]:
                differs = rows[start + place].category != rows[other].category
                found.append((not differs, -float(alike[place, other]), start + int(place), int(other)))
    # Pairs of two categories are worth a look first, as one of them is probably wrong.
    return [_finding(rows[later], rows[earlier], -likeness) for _same, likeness, later, earlier in sorted(found)[:MAX_REPORTED]]
