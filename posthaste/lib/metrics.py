"""The registry of the platform's figures: each is declared beside the function that reads it, in its app's `metrics.py`.

    @metric("orders_open", help=_("Orders that are not delivered yet."), labels=("country",))
    def orders_open() -> Mapping[str, float]:
        return {"cn": 17, "fr": 4}

A reader gives a number, or numbers by label: by the value of the label, or by a tuple of values where there are several. None, or a
number that is None, means that the figure is not known at this moment; an empty mapping means that there is nothing. A reader takes
milliseconds and bounds what it counts. `posthaste.lib.metric_readings` calls the readers.

Metrics with a `title` are what alarms can watch. Where the values of a label are not bounded by the installation (tenants' providers,
hosts of containers that come and go), `fold` makes one number of them for `/metrics`; alarms see each.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from django.utils.functional import Promise

PREFIX = "posthaste_"
NAME = re.compile(r"[a-z][a-z0-9_]*")

Kind = Literal["gauge", "counter", "histogram"]
Labels = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many observations lay at or below each bound, rising; the last bound is infinite. `total` is the sum of all values."""

    counts: tuple[tuple[float, float], ...]
    total: float


Number = float | Histogram
Reading = Number | Mapping[str, float | None] | Mapping[tuple[str, ...], float | None] | Mapping[str, Histogram] | None
Samples = list[tuple[tuple[str, ...], Number]]
Fold = Callable[[Iterable[float]], float | None]
R = TypeVar("R", bound=Callable[[], Reading])


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One figure as it was declared. A gauge goes up and down; a counter only rises, and its name ends in `_total`."""

    name: str  # without the prefix
    kind: Kind
    help: str | Promise
    title: str | Promise  # for people who choose or read an alarm; empty: not for alarms
    unit: str  # as the name says it: seconds, bytes, messages
    labels: tuple[str, ...]
    fold: Fold | None
    keep_seconds: float  # so long an answer serves, because reading takes long
    is_vital: bool  # read before all others, which may take the time that there is
    read: Callable[[], Reading]

    @property
    def full_name(self) -> str:
        """The name under which it is published."""
        return PREFIX + self.name

    def samples(self) -> Samples | None:
        """Read it and return the known numbers, each with the values of its labels; None where it is not known at all.

        Raises:
            Exception: whatever the reader raises.
        """
        reading = self.read()
        if reading is None:
            return None
        if not isinstance(reading, Mapping):
            return [((), reading if isinstance(reading, Histogram) else float(reading))]
        by_labels: Iterable[tuple[Labels, Number | None]] = reading.items()
        found = [
            (
                tuple(map(str, values if isinstance(values, tuple) else (values,))),
                number if isinstance(number, Histogram) else float(number),
            )
            for values, number in by_labels
            if number is not None
        ]
        return found if found or not reading else None

    def folded(self, samples: Samples) -> Samples:
        """Return one number instead of one for each value of the labels, where the declaration says how."""
        if self.fold is None:
            return samples
        numbers = [number for _values, number in samples if not isinstance(number, Histogram)]
        whole = self.fold(numbers)
        return [] if whole is None else [((), whole)]


_metrics: dict[str, Metric] = {}


def largest(numbers: Iterable[float]) -> float:
    """Fold: the largest number, 0 where there is none."""
    return max(numbers, default=0.0)


def smallest(numbers: Iterable[float]) -> float | None:
    """Fold: the smallest number; no number where there is none."""
    return min(numbers, default=None)


def metric(
    name: str,
    *,
    kind: Kind = "gauge",
    help: str | Promise,
    title: str | Promise = "",
    unit: str = "",
    labels: tuple[str, ...] = (),
    fold: Fold | None = None,
    keep_seconds: float = 0.0,
    is_vital: bool = False,
) -> Callable[[R], R]:
    """Declare the function below as the reader of a figure. A unit stands at the end of the name, as Prometheus wants it.

    Raises:
        ValueError: the name or a label is not well formed, the name says nothing of the unit, or it is taken.
    """
    if not NAME.fullmatch(name) or name.startswith(PREFIX):
        raise ValueError(f"A metric's name has lower-case letters, digits and _, without the prefix {PREFIX}; {name!r} does not fit.")
    if len({*labels}) < len(labels) or not all(NAME.fullmatch(label) for label in labels):
        raise ValueError(f"The labels of a metric are different names of lower-case letters, digits and _; those of {name} are {labels}.")
    stem = name.removesuffix("_total")
    if (kind == "counter") != name.endswith("_total"):
        raise ValueError(f"The name of a counter, and only of a counter, ends in _total; {name!r} is declared as a {kind}.")
    if unit and not stem.endswith(unit):
        raise ValueError(f"The name of the metric {name!r} must end in its unit, {unit}.")
    if kind != "gauge" and (title or fold):
        raise ValueError(f"Only gauges are for alarms and can be folded; {name!r} is declared as a {kind}.")

    def declare(read: R) -> R:
        if name in _metrics:
            raise ValueError(f"The metric {name} is declared twice.")
        _metrics[name] = Metric(
            name=name,
            kind=kind,
            help=help,
            title=title,
            unit=unit,
            labels=labels,
            fold=fold,
            keep_seconds=keep_seconds,
            is_vital=is_vital,
            read=read,
        )
        return read

    return declare


def metrics() -> list[Metric]:
    """Return all metrics by name."""
    return sorted(_metrics.values(), key=lambda found: found.name)
