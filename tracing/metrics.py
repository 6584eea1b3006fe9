"""Figures of tracing itself: what it had to leave out, and whether the export keeps up."""

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from posthaste.lib.metric_readings import once_a_reading
from posthaste.lib.metrics import metric
from tracing.services import ended, losses
from tracing.services.losses import Loss


@once_a_reading
def _lost() -> Mapping[str, Loss]:
    return losses.so_far()


@metric(
    "dropped_trace_events_total",
    kind="counter",
    help=_("Events that are missing in traces, because they came faster than Redis took them, or it was away."),
)
def dropped_trace_events() -> float:
    """Read the count of lines that were dropped."""
    return float(_lost()[losses.LINES].number)


@metric(
    "unexported_traces_total",
    kind="counter",
    help=_("Traces that were not sent to the OTLP receiver, because it refused them or was away for too long."),
)
def unexported_traces() -> float:
    """Read the count of traces that were not exported."""
    return float(_lost()[losses.TRACES].number)


@metric(
    "trace_export_lag_seconds",
    title=_("Traces wait for the OTLP receiver"),
    help=_("How long the oldest trace has waited for the OTLP receiver. Absent if traces are not exported."),
    unit="seconds",
)
def trace_export_lag() -> float | None:
    """Look at the oldest entry that the exporter has not removed."""
    return ended.waiting_seconds() if ended.is_exported() else None
