"""The plot on an alarm's page: the metric's samples as points of an SVG, with its thresholds and what was published."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.alarms.rules import AlarmRule, number
from monitor.alarms.samples import runs

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 28
MAX_POINTS = 400
TICKS = 4
#: What lies between two marks of the vertical axis, times a power of ten.
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
LEAST_STEP = 0.01  # numbers are written with two decimals


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of an axis: where it is, and what it says."""

    at: float
    text: str = ""
    moment: datetime | None = None


@dataclass(frozen=True, slots=True)
class Plot:
    """What the template draws, in units of the SVG."""

    lines: list[str]
    rows: Sequence[tuple[datetime, float]]
    bound: float | None
    clear: float | None
    fired: float | None
    resolved: float | None
    releases: list[Tick]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def draw(
    samples: Sequence[tuple[datetime, float]],
    span: tuple[datetime, datetime],
    rule: AlarmRule | None,
    *,
    fired_at: datetime | None,
    resolved_at: datetime | None,
    releases: Iterable[tuple[datetime, str]] = (),
) -> Plot:
    """Place samples, thresholds and marks in the frame of the plot."""
    start, end = span
    seconds = max(1.0, (end - start).total_seconds())
    bounds = [rule.bound, rule.clears_at] if rule else []
    values = [value for _at, value in samples] + bounds
    marks = _marks(values)
    low, high = marks[0], marks[-1]

    def x(at: datetime) -> float:
        share = min(1.0, max(0.0, (at - start).total_seconds() / seconds))
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    kept = _thinned(samples)
    moments = [start + (end - start) * place / TICKS for place in range(TICKS + 1)]
    return Plot(
        lines=[" ".join(f"{x(at)},{y(value)}" for at, value in run) for run in runs(list(kept))],
        rows=_rows(samples),
        bound=y(rule.bound) if rule else None,
        clear=y(rule.clears_at) if rule and rule.clears_at != rule.bound else None,
        fired=x(fired_at) if fired_at else None,
        resolved=x(resolved_at) if resolved_at else None,
        releases=[Tick(x(at), text, at) for at, text in releases],
        x_ticks=[Tick(x(moment), moment=moment) for moment in moments],
        y_ticks=[Tick(y(value), _brief(value, high)) for value in marks],
    )


def _marks(values: Sequence[float]) -> list[float]:
    """Return round numbers for the vertical axis, from at most the lowest value or zero to at least the highest."""
    low, high = min([0.0, *values]), max([0.0, *values])
    rough = max((high - low) / TICKS, LEAST_STEP) if high > low else 25 * LEAST_STEP
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(each * unit for each in STEPS if each * unit >= rough * 0.999_999)
    first, last = math.floor(low / step + 1e-6), math.ceil(high / step - 1e-6)
    return [round(place * step, 10) for place in range(first, max(last, first + 1) + 1)]


def _brief(value: float, high: float) -> str:
    """Write a mark so that it has room: 100 k for 100,000."""
    for size, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if high >= size:
            return f"{number(value / (1e3 if name == 'k' else size))} {name}" if value else "0"
    return number(value)


def _thinned(samples: Sequence[tuple[datetime, float]]) -> list[tuple[datetime, float]]:
    """Keep the highest sample of each stretch where there are more than the plot has room for."""
    step = -(-len(samples) // MAX_POINTS) or 1
    return [max(samples[at : at + step], key=lambda one: one[1]) for at in range(0, len(samples), step)]


def _rows(samples: Sequence[tuple[datetime, float]]) -> Sequence[tuple[datetime, float]]:
    """Return about twenty samples for the table that says the same as the plot."""
    step = max(1, len(samples) // 20)
    return [*samples[::step]]
