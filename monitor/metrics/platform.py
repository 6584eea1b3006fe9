"""Metrics of the services beneath the platform, and of its live processes."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from monitor.health import parts
from posthaste.lib import heartbeat, redis
from posthaste.lib.heartbeat import Process
from posthaste.lib.metric_readings import found_away, once_a_reading
from posthaste.lib.metrics import largest, metric


@once_a_reading
def _processes() -> list[Process]:
    return heartbeat.processes()


@once_a_reading
def _redis_memory() -> Mapping[str, Any]:
    return dict(redis.client().info("memory"))


@metric(
    "up",
    title=_("Component responds (1) or not (0)"),
    help=_("Whether a component that the platform depends on responds: 1 or 0."),
    labels=("part",),
    is_vital=True,
)
def up() -> Mapping[str, float]:
    """Ask database, Redis and broker, and wait as long as the health report does."""
    found = parts.look(parts.SERVICES)
    found_away({part.name for part in found if not part.is_well})
    return {part.name: float(part.is_well) for part in found}


@metric("processes", title=_("Running processes"), help=_("Running processes, by kind."), labels=("kind",))
def processes() -> Mapping[str, float]:
    """Count the signs of life."""
    counts = dict.fromkeys(heartbeat.KINDS, 0.0)
    for process in _processes():
        counts[process.kind] = counts.get(process.kind, 0.0) + 1
    return counts


@metric(
    "process_memory_bytes",
    help=_("Resident memory of all processes of a kind. What processes share because one forked the other is counted in each."),
    unit="bytes",
    labels=("kind",),
)
def process_memory_bytes() -> Mapping[str, float]:
    """Add up what the processes told."""
    return _by_kind(sum)


@metric(
    "process_memory_max_bytes",
    title=_("Resident memory of the largest process, bytes"),
    help=_("Resident memory of the largest process of a kind."),
    unit="bytes",
    labels=("kind",),
)
def process_memory_max_bytes() -> Mapping[str, float]:
    """Compare what the processes told."""
    return _by_kind(max)


def _by_kind(fold: Any) -> Mapping[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    for process in _processes():
        found[process.kind].append(float(process.memory_bytes))
    return {kind: float(fold(found[kind])) if kind in found else 0.0 for kind in {*heartbeat.KINDS, *found}}


@metric(
    "disk_used_percent",
    title=_("Disk space used, per cent"),
    help=_("Used space of the file system that DATA_DIR is on, of the host where most is used."),
    unit="percent",
    labels=("host",),
    fold=largest,
)
def disk_used_percent() -> Mapping[str, float] | None:
    """Return what the processes of each host told; nothing is known where none lives."""
    return {process.host: process.disk_used_percent for process in _processes()} or None


@metric(
    "redis_memory_bytes",
    help=_("Memory that Redis uses for data, and the maximum it may use; 0: no maximum."),
    unit="bytes",
    labels=("of",),
)
def redis_memory_bytes() -> Mapping[str, float]:
    """Ask Redis."""
    found = _redis_memory()
    return {"used": float(found["used_memory"]), "maximum": float(found.get("maxmemory", 0))}


@metric(
    "redis_memory_used_percent",
    title=_("Use of Redis's maximum memory, per cent"),
    help=_("Memory that Redis uses for data, as a percentage of its maximum; 0 where it has none."),
    unit="percent",
)
def redis_memory_used_percent() -> float:
    """Compare the two."""
    found = _redis_memory()
    most = float(found.get("maxmemory", 0))
    return round(100.0 * float(found["used_memory"]) / most, 1) if most else 0.0
