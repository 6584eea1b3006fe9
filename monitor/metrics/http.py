"""Metrics of HTTP requests."""

from collections import Counter
from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from posthaste.lib import request_counts
from posthaste.lib.metric_readings import once_a_reading
from posthaste.lib.metrics import Histogram, metric


@once_a_reading
def _so_far() -> "Counter[str]":
    return request_counts.so_far()


@metric(
    "http_requests_total",
    help=_("Answers of the web processes by area (the first part of the path; messages: handed over) and status."),
    kind="counter",
    labels=("area", "status"),
)
def http_requests_total() -> Mapping[tuple[str, ...], float]:
    """Return what all processes have counted in Redis; each area has its usual statuses from the start."""
    found: dict[tuple[str, ...], float] = {(area, status): 0.0 for area in request_counts.ALL_AREAS for status in ("200", "500")}
    for field, number in _so_far().items():
        kind, _colon, rest = field.partition(":")
        if kind == "n":
            area, _colon, status = rest.partition(":")
            found[area, status] = float(number)
    return found


@metric(
    "http_request_seconds",
    help=_("Time until an answer began, by area."),
    kind="histogram",
    unit="seconds",
    labels=("area",),
)
def http_request_seconds() -> Mapping[str, Histogram]:
    """Return what all processes have counted in Redis."""
    counted = _so_far()
    return {area: _histogram(counted, area) for area in request_counts.ALL_AREAS}


def _histogram(counted: "Counter[str]", area: str) -> Histogram:
    seen, counts = 0, []
    for index, bound in enumerate((*request_counts.BOUNDS, float("inf"))):
        seen += counted[f"l:{area}:{index}"]
        counts.append((bound, float(seen)))
    return Histogram(tuple(counts), counted[f"s:{area}"] / 1_000_000)
