"""What a measurement ran on."""

import importlib.metadata
import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.services import PostgreSQL, Services

PACKAGES = ("django", "celery", "kombu", "psycopg", "granian", "msgspec")


def _first(path: str, start: str) -> str:
    with suppress(OSError):
        for line in Path(path).read_text().splitlines():
            if line.startswith(start):
                return line.partition(":")[2].strip()
    return "?"


def _said(*command: str) -> str:
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip().splitlines()[0]
    return "?"


def describe(services: Services, *, durable: bool) -> dict[str, Any]:
    """Return machine, versions and how durable the database was."""
    postgresql = services["postgresql"]
    assert isinstance(postgresql, PostgreSQL)
    gib = int(_first("/proc/meminfo", "MemTotal").split()[0]) // 1024**2
    return {
        "machine": f"{os.cpu_count()} cores {_first('/proc/cpuinfo', 'model name')}, {gib} GiB, {platform.release()}",
        "load_before": os.getloadavg()[0],
        "commit": _said("git", "rev-parse", "--short", "HEAD"),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "postgresql": _said(str(postgresql.binaries / "postgres"), "--version"),
        "rabbitmq": _said("dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server"),
        "redis": _said("redis-server", "--version"),
        "durability": "fsync and synchronous_commit on" if durable else "fsync off (no power-cut safety)",
    }
