"""Whether this installation is ready: its services, its processes, and how limits are kept."""

from typing import Any

from monitor.health import parts
from posthaste.lib import heartbeat, redis
from posthaste.lib.flow.limiter import limiter


def ready() -> tuple[bool, dict[str, Any]]:
    """Ask every part and return whether all are well, with the details. It takes three seconds at most."""
    found = {part.name: part for part in parts.look((*parts.SERVICES, *parts.PROCESSES))}
    is_shared = found["redis"].is_well and not limiter.is_local
    is_ready = all(part.is_well for part in found.values())
    return is_ready, {
        "status": "ok" if is_ready else "unavailable",
        "parts": {
            part.name: {"state": part.state, "took_ms": part.took_ms, **({"detail": part.detail} if part.detail else {})}
            for part in found.values()
        },
        "limits": "shared" if is_shared else "local: each process keeps to its share of every limit",
        "processes": _processes() if found["redis"].is_well else {},
    }


def _processes() -> dict[str, int]:
    try:
        return heartbeat.alive()
    except redis.Unavailable:  # it has just gone
        return {}
