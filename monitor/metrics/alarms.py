"""Metrics of the built-in alarms."""

from collections import Counter
from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from monitor.alarms import selectors
from monitor.alarms.rules import Severity
from posthaste.lib.metrics import metric

MAX_ALARMS = 1_000


@metric(
    "firing_alarms", help=_("Active alarms that are told: neither silenced nor hidden behind another, by severity."), labels=("severity",)
)
def firing_alarms() -> Mapping[str, float]:
    """Count what the list of alarms shows first."""
    found = Counter(alarm.severity for alarm in selectors.firing(limit=MAX_ALARMS))
    return {severity.value: float(found[severity.value]) for severity in Severity}
