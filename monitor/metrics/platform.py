"""Metrics of the services beneath the platform, and of its live processes."""

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from monitor.health import report
from posthaste.lib import heartbeat
from posthaste.lib.metrics import metric


@metric("up", help=_("Whether a component that the platform depends on responds: 1 or 0."), labels=("part",))
def up() -> Mapping[str, float]:
    """Ask database, Redis and broker, and wait three seconds at most."""
    _is_well, details = report.report()
    return {part: float(state == "ok") for part, state in details["checks"].items()}


@metric("processes", help=_("Running processes, by kind."), labels=("kind",))
def processes() -> Mapping[str, float]:
    """Count the signs of life."""
    return {kind: float(number) for kind, number in heartbeat.alive().items()}
