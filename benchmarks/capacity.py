"""How many calls a second a provider takes from so many threads: Little's law, checked by a run.

    python -m benchmarks.capacity [--latency-ms 850] [--sizes 1x100 2x100 1x200 2x425] [--seconds 20] [--no-fsync]

Calls in flight = calls a second × seconds a call, so N threads make at most N / latency calls a second. For each size
(processes x threads) workers run with pools of exactly that size in front of a gateway that takes `--latency-ms` for each call, and
a backlog larger than they can send. Shown are the predicted and the measured rate, the share of the threads' time that went
into calls, CPU a message, memory of a worker process, and the most connections to the database at one look.
"""

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import describe
from benchmarks.ours import BATCH_ROWS, Ours
from benchmarks.rig import Program, cpu_seconds, resident_bytes, start_services
from benchmarks.waiting import wait
from deploy.local.installation import free_port
from tests import packages
from tests.integration.customer import Customer
from tests.integration.stack import Http
from tests.services import PRODUCTION

EVERY = 0.5
HEADER = "    size  predicted   measured   share  CPU/message   worker   memory  connections"
SETTLE_SECONDS = 8.0  # until every thread is at work and the feeder has found its pace


@dataclass(frozen=True, slots=True)
class Size:
    """So many worker processes, each with so many threads."""

    processes: int
    threads: int

    @classmethod
    def parse(cls, text: str) -> "Size":
        """Read `2x100`."""
        processes, _, threads = text.partition("x")
        return cls(int(processes), int(threads))

    @property
    def total(self) -> int:
        return self.processes * self.threads


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run of one size gave."""

    per_second: float
    cpu_ms: float  # of all our processes, a message
    worker_cpu_ms: float
    resident: int  # bytes of one worker process
    connections: int


@contextmanager
def gateway(folder: Path, latency_ms: float) -> Iterator[str]:
    """Run the gateway and return its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "tests.peers.gateway", "--port", str(port), "--latency-ms", str(latency_ms)]
    with Program("gateway", command, folder=folder) as program:
        program.wait_for(lambda: _taken(url) == 0)
        yield url


def _taken(url: str) -> int:
    try:
        return int(Http(url).get("/received", limit=0).json()["taken"])
    except Exception as error:  # noqa: BLE001 - not yet
        raise OSError(str(error)) from None


def start_workers(ours: Ours, processes: int) -> list[str]:
    """Have so many worker processes run and return their names."""
    stack = ours.stack
    names = ["worker", *(f"worker-{n}" for n in range(2, processes + 1))]
    for name in names:
        if not stack.is_running(name):
            stack.start("worker", label=None if name == "worker" else name)
    for name in [name for name in stack.processes if name.startswith("worker-") and name != "worker-aux" and name not in names]:
        stack.end(name)
        del stack.processes[name]
    return names


def run(ours: Ours, customer: Customer, url: str, size: Size, *, latency_ms: float, seconds: float) -> Seen:
    """Measure one size."""
    ours.clean()
    names = start_workers(ours, size.processes)
    ours.limits(min_threads=size.threads, max_threads=size.threads)
    predicted = size.total * 1000 / latency_ms
    ours.batches(customer, int(predicted * (seconds + SETTLE_SECONDS + 10) / BATCH_ROWS + 1) * BATCH_ROWS)
    wait(lambda: ours.pool_threads() == size.total, f"not {size.total} threads", progress=ours.pool_threads, every=EVERY)
    time.sleep(SETTLE_SECONDS)
    pids = [ours.stack.processes[name].pid for name in names]
    began, taken, cpu, worker_cpu, connections = time.monotonic(), _taken(url), ours.cpu(), cpu_seconds(pids), 0
    while time.monotonic() - began < seconds:
        connections = max(connections, int(ours.one("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")))
        time.sleep(EVERY)
    count, took = _taken(url) - taken, time.monotonic() - began
    seen = Seen(
        count / took,
        1000 * (ours.cpu() - cpu) / count,
        1000 * (cpu_seconds(pids) - worker_cpu) / count,
        max(resident_bytes(pid) for pid in pids),
        connections - 1,  # without our own
    )
    ours.connection.execute("UPDATE messaging_message SET status = 'cancelled' WHERE status = 'pending'")
    ours.wait_terminal()
    return seen


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="Little's law, checked by a run.")
    parser.add_argument("--latency-ms", type=float, default=850)
    parser.add_argument("--sizes", nargs="+", type=Size.parse, default=[Size(1, 100), Size(2, 100), Size(1, 200), Size(2, 425)])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--no-fsync", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if missing := packages.ensure(kind.name for kind in PRODUCTION):
        print("This needs " + "; ".join(f"{name} ({reason})" for name, reason in missing.items()), file=sys.stderr)
        return 1
    with start_services(durable=not options.no_fsync) as services, Ours(services, services.folder) as ours:
        about = describe(services, durable=not options.no_fsync)
        print(
            f"Posthaste {about['commit']} on {about['machine']}, load before {about['load_before']:.1f}; {about['durability']}", flush=True
        )
        with gateway(services.folder, options.latency_ms) as url:
            customer = ours.customer("sms", "http", {"url": f"{url}/send", "message_id_path": "id", "timeout_seconds": 10})
            print(HEADER)
            for size in options.sizes:
                seen = run(ours, customer, url, size, latency_ms=options.latency_ms, seconds=options.seconds)
                predicted = size.total * 1000 / options.latency_ms
                print(
                    f"{f'{size.processes} x {size.threads}':>8}  {predicted:>7.0f}/s  {seen.per_second:>7.0f}/s  "
                    f"{100 * seen.per_second / predicted:>4.0f}%  {seen.cpu_ms:>8.2f} ms  {seen.worker_cpu_ms:>4.2f} ms  "
                    f"{seen.resident / 2**20:>4.0f} MiB  {seen.connections}",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
