"""What a measurement ran on."""

import importlib.metadata
import os
import platform
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.services import PostgreSQL, Services

MIN_SHARE = 5.0  # % of a core
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


def others(seconds: float = 0.5) -> str:
    """Return the programs that use the processors most and are not ours, with their share of a core: measured over some time."""
    own = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    processes = [process for process in psutil.process_iter(["pid", "name"]) if process.pid not in own]
    for process in processes:
        with suppress(psutil.Error):
            process.cpu_percent()  # from here on
    time.sleep(seconds)
    shares = []
    for process in processes:
        with suppress(psutil.Error):
            if (share := process.cpu_percent()) >= MIN_SHARE:
                shares.append((share, process.info["name"], process.pid))
    return ", ".join(f"{name} ({pid}) {share:.0f} %" for share, name, pid in sorted(shares, reverse=True)[:5]) or "nothing"


def describe(services: Services, *, durable: bool) -> dict[str, Any]:
    """Return machine, versions and how durable the database was."""
    postgresql = services["postgresql"]
    assert isinstance(postgresql, PostgreSQL)
    gib = int(_first("/proc/meminfo", "MemTotal").split()[0]) // 1024**2
    return {
        "machine": f"{os.cpu_count()} cores {_first('/proc/cpuinfo', 'model name')}, {gib} GiB, {platform.release()}",
        "load_before": os.getloadavg()[0],
        "beside_it": others(),
        "commit": _said("git", "rev-parse", "--short", "HEAD"),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "postgresql": _said(str(postgresql.binaries / "postgres"), "--version"),
        "rabbitmq": _said("dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server"),
        "redis": _said("redis-server", "--version"),
        "durability": "fsync and synchronous_commit on" if durable else "fsync off (no power-cut safety)",
    }
