"""Figures with their spread, what they are compared to, and how they are shown."""

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(slots=True)
class Comparison:
    """One figure of ours beside one of the baseline's, each as measured in every round."""

    figure: str
    unit: str
    ours: list[float]
    against: str  # the baseline; empty: an absolute bound, which stands in `theirs`
    theirs: list[float]
    target: float = 0.0  # the ratio to reach; 0: only shown
    higher_is_better: bool = True
    is_limit: bool = False  # what the machine could do at best

    @property
    def ratio(self) -> float | None:
        """How many times better than theirs; below 1: worse."""
        ours, theirs = median(self.ours), median(self.theirs) if self.theirs else 0.0
        above, below = (ours, theirs) if self.higher_is_better else (theirs, ours)
        return round(above / below, 3) if below else None

    @property
    def reached(self) -> bool | None:
        return None if not self.target or self.ratio is None else self.ratio >= self.target


@dataclass(slots=True)
class Result:
    """All that a benchmark found; the first comparison is its headline."""

    comparisons: list[Comparison]
    notes: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the entry for the result file."""
        first = self.comparisons[0]
        limits = [c for c in self.comparisons if c.is_limit]
        return {
            "ours": median(first.ours),
            "baseline": median(first.theirs) if first.theirs else None,
            "limit": median(limits[0].theirs) if limits else None,
            "ratio": first.ratio,
            "unit": first.unit,
            "rounds": len(first.ours),
            "comparisons": [{**asdict(c), "ratio": c.ratio, "reached": c.reached} for c in self.comparisons],
            "notes": self.notes,
            "details": self.details,
        }

    def table(self, name: str) -> str:
        """Return the lines that a person reads."""
        rows = [("figure", "ours", "against", "theirs", "ratio", "target", "")]
        for c in self.comparisons:
            target = f"≥ {c.target:g} ×" if c.target else ""
            reached = {True: "reached", False: "NOT REACHED", None: ""}[c.reached]
            ratio = "" if c.ratio is None else f"{c.ratio:.2f} ×"
            rows.append((f"{c.figure} ({c.unit})", spread(c.ours), c.against or "bound", spread(c.theirs), ratio, target, reached))
        widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
        cells = (["", *(cell.ljust(width) for cell, width in zip(row, widths, strict=True))] for row in rows)
        return "\n".join([f"\n{name}", *("  ".join(row).rstrip() for row in cells), *(f"  · {note}" for note in self.notes)])


def spread(values: list[float]) -> str:
    """Return median and range: `1,234 (1,200–1,300)`."""
    if not values:
        return "—"
    low, middle, high = (_short(value) for value in (min(values), median(values), max(values)))
    return middle if low == high else f"{middle} ({low}–{high})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
