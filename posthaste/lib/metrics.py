"""The registry of the platform's figures: each is declared beside the function that reads it, in its app's `metrics.py`.

    @metric("orders_open", help=_("Orders that are not delivered yet."), labels=("country",))
    def orders_open() -> Mapping[str, float]:
        return {"cn": 17, "fr": 4}

A reader gives a number, or numbers by label: by the value of the label, or by a tuple of values where there are several. None, or a
number that is None, means that the figure is not known at this moment; it is left out. `GET /metrics` calls the readers at most once a
second a process, so a reader takes milliseconds and bounds what it counts.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import structlog
from django.utils.functional import Promise

log = structlog.get_logger(__name__)

PREFIX = "posthaste_"
NAME = re.compile(r"[a-z][a-z0-9_]*")

Kind = Literal["gauge", "counter"]
Labels = str | tuple[str, ...]
Reading = float | Mapping[str, float | None] | Mapping[tuple[str, ...], float | None] | None
R = TypeVar("R", bound=Callable[[], Reading])


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One figure as it was declared. A gauge goes up and down; a counter only rises, and its name ends in `_total`."""

    name: str  # without the prefix
    kind: Kind
    help: str | Promise
    unit: str  # as the name says it: seconds, bytes, messages
    labels: tuple[str, ...]
    read: Callable[[], Reading]

    @property
    def full_name(self) -> str:
        """The name under which it is published."""
        return PREFIX + self.name

    def samples(self) -> list[tuple[tuple[str, ...], float]]:
        """Read it and return the known numbers, each with the values of its labels.

        Raises:
            Exception: whatever the reader raises.
        """
        reading = self.read()
        if not isinstance(reading, Mapping):
            return [] if reading is None else [((), float(reading))]
        by_labels: Iterable[tuple[Labels, float | None]] = reading.items()
        return [
            (tuple(map(str, values if isinstance(values, tuple) else (values,))), float(number))
            for values, number in by_labels
            if number is not None
        ]


_metrics: dict[str, Metric] = {}


def metric(name: str, *, kind: Kind = "gauge", help: str | Promise, unit: str = "", labels: tuple[str, ...] = ()) -> Callable[[R], R]:
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

    def declare(read: R) -> R:
        if name in _metrics:
            raise ValueError(f"The metric {name} is declared twice.")
        _metrics[name] = Metric(name=name, kind=kind, help=help, unit=unit, labels=labels, read=read)
        return read

    return declare


def metrics() -> list[Metric]:
    """Return all metrics by name."""
    return sorted(_metrics.values(), key=lambda found: found.name)


def read_all() -> Iterator[tuple[Metric, list[tuple[tuple[str, ...], float]] | None]]:
    """Read every metric, one after the other; None stands for one whose reader failed."""
    for found in metrics():
        try:
            samples = found.samples()
            if any(len(values) != len(found.labels) for values, _number in samples):
                raise ValueError(f"{found.name} has the labels {found.labels}, and its reader gave others.")
        except Exception as error:  # noqa: BLE001 - one that fails must not take the others down
            log.warning("metric not read", metric=found.name, error=f"{type(error).__name__}: {error}"[:200])
            yield found, None
        else:
            yield found, samples
