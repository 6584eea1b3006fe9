"""What an installation costs that has nothing to do: processor time, memory, and what a start takes.

    python -m benchmarks.idle [--seconds 30] [--settle 15] [--output FILE]

Starts the installation as `make run` does, on ports and in a folder of its own. Each process is shown with the share of a core that it
uses while idle, its private memory (USS: what would be free if it ended), and what its start took until its first sign of life: seconds,
and processor time. Another program on the machine multiplies the seconds; processor time it lengthens by up to a third. The baseline
are the figures of BEFORE, measured by this program on the same machine, with nothing beside it, before the processes were made lean;
the ratio says how many times less is used now.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import redis

from benchmarks.machine import others
from benchmarks.result import Comparison, Result
from benchmarks.rig import Program
from deploy.local.installation import free_port

MIB = 1024 * 1024
#: What each process is recognised by. The first that fits counts; a server's own processes are told from their parent, the supervisor's
#: child that only waits for it.
MARKS = {
    "make run": "deploy.local",
    "supervisord": "supervisor.supervisord",
    "tether": "parent_death.py",
    "web": "posthaste.rsgi",
    "ws": "posthaste.asgi",
    "send": "send@",
    "aux": "aux@",
    "beat": " beat",
    "valkey": "valkey-server",
}
PRODUCT = ("web worker", "ws worker", "send", "aux", "beat")
#: Aims: a core's share of everything together in per cent, MiB of the largest process, seconds of the slowest one.
MAX_CPU_PERCENT, MAX_PRIVATE_MIB, MAX_START_SECONDS = 2.0, 90.0, 3.0
BEFORE = {
    "cpu_percent": 5.196,
    "private_mib": 130.125,
    "private_mib_of_all": 793.289,
    "start_seconds": 5.767,
    "start_cpu_seconds": 1.78,
    "start_cpu_seconds_of_all": 9.57,
    "aux: cpu_percent": 1.499,
    "aux: private_mib": 130.125,
    "aux: start_cpu_seconds": 1.78,
    "beat: cpu_percent": 1.499,
    "beat: private_mib": 125.383,
    "beat: start_cpu_seconds": 1.68,
    "send: cpu_percent": 0.699,
    "send: private_mib": 126.406,
    "send: start_cpu_seconds": 1.77,
    "valkey: cpu_percent": 0.649,
    "valkey: private_mib": 2.531,
    "web worker: cpu_percent": 0.45,
    "web worker: private_mib": 115.195,
    "web worker: start_cpu_seconds": 1.45,
    "ws worker: cpu_percent": 0.2,
    "ws worker: private_mib": 107.875,
    "ws worker: start_cpu_seconds": 1.45,
}


@dataclass(slots=True)
class Seen:
    """A process of the installation."""

    name: str
    process: psutil.Process
    start_seconds: float | None = None  # from its begin to its first sign of life; None: it gives none
    start_cpu: float | None = None
    cpu_percent: float = 0.0
    private_mib: float = 0.0


def cpu_seconds(process: psutil.Process) -> float:
    """Return the processor time that a process has used so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def name_of(process: psutil.Process) -> str:
    """Return what a process does; workers of a server are told from its main process."""
    words = " ".join(process.cmdline())
    name = next((name for name, mark in MARKS.items() if mark in words), process.name())
    if name in ("web", "ws"):
        parent = process.parent()
        return f"{name} worker" if parent and "parent_death.py" not in " ".join(parent.cmdline()) else f"{name} main"
    return name


class Installation:
    """An installation that was started as `make run` does it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.port, self.ws_port = free_port(), free_port()
        environment = {"DATA_DIR": str(self.data), "PORT": str(self.port), "WS_PORT": str(self.ws_port), "LOG_LEVEL": "warning"}
        self.program = Program("make-run", [sys.executable, "-m", "deploy.local"], folder=folder, environment=environment)
        self.seen: dict[int, Seen] = {}
        self._counted: set[int] = set()

    def processes(self) -> list[psutil.Process]:
        """Return all processes of the installation."""
        root = psutil.Process(self.program.pid)
        return [root, *root.children(recursive=True)]

    def watch_start(self) -> None:
        """Wait until everything works, and note meanwhile when each process gives its first sign of life."""
        self.program.wait_for(lambda: self._note() and "is ready" in self.program.log.read_text(errors="replace"))
        for process in self.processes():
            self.seen.setdefault(process.pid, Seen(name_of(process), process))

    def _note(self) -> bool:
        """Note the processes that have just given their first sign of life."""
        with suppress(redis.RedisError, OSError, ValueError, psutil.Error):
            port = int((self.data / "valkey" / "port").read_text())
            with redis.Redis(port=port, socket_timeout=1) as client:
                alive = [int(name.decode().rpartition(":")[2]) for name in client.scan_iter(match="ph:alive:*", count=1_000)]
            for pid in set(alive) - set(self.seen):
                process = psutil.Process(pid)
                name = name_of(process)
                begun, cpu = process.create_time(), cpu_seconds(process)
                # A server's process begins in its main process, which may have loaded what all of them use: counted once.
                if name.endswith(" worker") and (main := process.parent()) is not None:
                    begun = main.create_time()
                    cpu += 0.0 if main.pid in self._counted else cpu_seconds(main)
                    self._counted.add(main.pid)
                self.seen[pid] = Seen(name, process, time.time() - begun, cpu)
        return True

    def measure(self, seconds: float) -> list[Seen]:
        """Watch the installation do nothing, and return its processes."""
        before = {process.pid: cpu_seconds(process) for process in self.processes()}
        began = time.monotonic()
        time.sleep(seconds)
        for pid, found in self.seen.items():
            found.cpu_percent = 100 * (cpu_seconds(found.process) - before[pid]) / (time.monotonic() - began)
            found.private_mib = found.process.memory_full_info().uss / MIB
        if ended := set(self.seen) ^ {process.pid for process in self.processes()}:
            sys.exit(f"processes came or went while nothing was to be done: {sorted(ended)}")
        return sorted(self.seen.values(), key=lambda each: (each.name not in PRODUCT, each.name))


@contextmanager
def running() -> Iterator[Installation]:
    """Start an installation and stop it in the end."""
    with tempfile.TemporaryDirectory(prefix="posthaste-idle-") as folder:
        installation = Installation(Path(folder))
        try:
            yield installation
        finally:
            installation.program.process.terminate()
            with suppress(Exception):
                installation.program.process.wait(70)
            installation.program.stop()


def figures(seen: list[Seen]) -> dict[str, float]:
    """Sum up: processor of all together, the largest and the slowest process of the product, and their parts."""
    product = [each for each in seen if each.name in PRODUCT]
    found = {
        "cpu_percent": sum(each.cpu_percent for each in seen),
        "private_mib": max(each.private_mib for each in product),
        "private_mib_of_all": sum(each.private_mib for each in seen),
        "start_seconds": max(each.start_seconds or 0.0 for each in product),
        "start_cpu_seconds": max(each.start_cpu or 0.0 for each in product),
        "start_cpu_seconds_of_all": sum(each.start_cpu or 0.0 for each in product),
    }
    for name in sorted({each.name for each in seen}):
        same = [each for each in seen if each.name == name]
        found[f"{name}: cpu_percent"] = sum(each.cpu_percent for each in same)
        found[f"{name}: private_mib"] = max(each.private_mib for each in same)
        if same[0].start_cpu is not None:
            found[f"{name}: start_cpu_seconds"] = max(each.start_cpu or 0.0 for each in same)
    return {name: round(value, 3) for name, value in found.items()}


def lines(seen: list[Seen]) -> str:
    """Return a table of the processes."""
    rows = [f"{'process':<14}{'% of a core':>12}{'private MiB':>13}{'start s':>9}{'start CPU s':>13}"]
    for each in seen:
        start = "" if each.start_seconds is None else f"{each.start_seconds:>9.1f}{each.start_cpu:>13.2f}"
        rows.append(f"{each.name:<14}{each.cpu_percent:>12.2f}{each.private_mib:>13.1f}{start}")
    return "\n".join(rows)


def compare(found: dict[str, float]) -> Result:
    """Compare with the figures before, and with the aims."""

    def one(figure: str, unit: str, name: str, aim: float = 0.0) -> list[Comparison]:
        against = [Comparison(figure, unit, [found[name]], "before", [BEFORE[name]], higher_is_better=False)] if name in BEFORE else []
        bound = [Comparison(figure, unit, [found[name]], "", [aim], 1.0, higher_is_better=False)] if aim else []
        return against + bound

    return Result(
        [
            *one("all, idle", "% of a core", "cpu_percent", MAX_CPU_PERCENT),
            *one("largest process", "private MiB", "private_mib", MAX_PRIVATE_MIB),
            *one("all processes", "private MiB", "private_mib_of_all"),
            *one("slowest start", "s", "start_seconds", MAX_START_SECONDS),
            *one("slowest start", "CPU s", "start_cpu_seconds"),
            *one("all starts", "CPU s", "start_cpu_seconds_of_all"),
            *(
                comparison
                for name in PRODUCT
                for figure, unit in (("cpu_percent", "% of a core"), ("private_mib", "private MiB"), ("start_cpu_seconds", "start CPU s"))
                for comparison in one(name, unit, f"{name}: {figure}")
            ),
        ]
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measures what an idle installation costs.")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to watch it do nothing")
    parser.add_argument("--settle", type=float, default=15.0, help="how long to leave it alone before that")
    parser.add_argument("--output", type=Path, help="write the figures there, as JSON")
    options = parser.parse_args()
    beside = others()
    with running() as installation:
        installation.watch_start()
        time.sleep(options.settle)
        seen = installation.measure(options.seconds)
    found = figures(seen)
    print(lines(seen))
    print(compare(found).table("idle"))
    if beside != "nothing":
        print(f"  · beside it ran: {beside}; seconds are then far too long, processor time is up to a third")
    if options.output:
        about: dict[str, Any] = {"figures": found, "beside_it": beside}
        options.output.write_text(json.dumps(about, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
