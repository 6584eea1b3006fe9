"""Whether 200 viewers of the live figures get each second's push in time, and what that costs the sending of a batch.

    python -m benchmarks.live_viewers [--viewers 200] [--stuck 10] [--count 40000] [--rounds 3] [--no-fsync]

Each round sends a batch with viewers and one without, in turn; the rate is that of `end_to_end`. From round to round it differs by a tenth
and more, so the bar is on the CPU that a message costs in all processes and servers, which differs by less; the rates are printed. All
viewers are in a process of its own, which takes its share of the machine too, although it only looks for the time in a frame. A push is
in all hands when the last viewer has it, counted from the time the figures were made. Beside them, some viewers read nothing at all. In
the end Redis is killed and started again: figures have to be marked as old within 3 seconds, and be right again within 5.
"""

import argparse
import asyncio
import json
import re
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import websockets.asyncio.client
from websockets.exceptions import ConnectionClosed

from benchmarks.machine import describe
from benchmarks.ours import Ours
from benchmarks.rig import Program, start_services
from benchmarks.waiting import wait
from benchmarks.webhooks import send
from tests import packages
from tests.integration.customer import Customer
from tests.services import PRODUCTION

MAX_PUSH_SECONDS = 0.5
MIN_SHARE = 0.95  # of the messages for the same CPU
MAX_STALE_SECONDS, MAX_RIGHT_SECONDS = 3.0, 5.0
AS_OF = re.compile(r'"as_of":"([^"]+)"')
SILENT_SECONDS = 2.5  # without a frame for so long the page marks its figures as old


# --- the viewers' process ---------------------------------------------------------------------------------------


class Viewers:
    """Open connections, and for each frame when its first and last viewer had it."""

    def __init__(self, url: str, key: str, log: Path) -> None:
        self.url, self.log = url, log
        self.headers = {"Authorization": f"Bearer {key}"}
        self.open = 0
        self.arrivals: dict[str, list[float]] = defaultdict(list)

    async def look(self) -> None:
        """Look on and note the time of each frame."""
        async with websockets.asyncio.client.connect(self.url, additional_headers=self.headers, compression=None) as socket:
            self.open += 1
            with suppress(ConnectionClosed):
                async for text in socket:
                    # Not parsed: in life that is done on other machines.
                    if isinstance(text, str) and (found := AS_OF.search(text)) and '"status":"live"' in text:
                        self.arrivals[found[1]].append(time.time())
            self.open -= 1

    async def read_nothing(self) -> None:
        """Connect, and take nothing of what comes."""
        async with websockets.asyncio.client.connect(self.url, additional_headers=self.headers, compression=None, max_queue=1) as socket:
            socket.transport.pause_reading()
            await asyncio.sleep(3600)

    async def run(self, number: int, stuck: int) -> None:
        """Keep all of them going, and write each second who has what."""
        tasks = [asyncio.create_task(self.look()) for _ in range(number)] + [asyncio.create_task(self.read_nothing()) for _ in range(stuck)]
        while tasks:
            await asyncio.sleep(1.0)
            found = {
                "open": self.open,
                "pushes": [
                    [as_of, len(times), round(max(times) - datetime.fromisoformat(as_of).timestamp(), 4)]
                    for as_of, times in self.arrivals.items()
                ],
            }
            self.log.with_suffix(".new").write_text(json.dumps(found))
            self.log.with_suffix(".new").replace(self.log)


@contextmanager
def viewers(ours: Ours, customer: Customer, folder: Path, number: int, stuck: int) -> Iterator[Path]:
    """Let viewers look on for the block, and yield the file of what they got."""
    log = folder / f"viewers-{time.monotonic_ns()}.json"
    options = ["--viewers", str(number), "--stuck", str(stuck), "--log", str(log), "--key", customer.http.api_key]
    command = [sys.executable, "-m", "benchmarks.live_viewers", "--url", f"{ours.stack.ws_url}/ws/statistics/", *options]
    program = Program("viewers", command, folder=folder)
    try:
        wait(
            lambda: log.exists() and _read(log)["open"] == number,
            "the viewers did not connect",
            progress=lambda: program.log.stat().st_size,
        )
        yield log
    finally:
        program.stop()


def _read(log: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(log.read_text())
    return found


# --- Redis is started again --------------------------------------------------------------------------------------


async def _restart(ours: Ours, customer: Customer) -> tuple[float, float]:
    """Kill Redis and start it again; return the seconds until figures were marked as old, and until they were right again."""
    headers = {"Authorization": f"Bearer {customer.http.api_key}"}
    async with websockets.asyncio.client.connect(f"{ours.stack.ws_url}/ws/statistics/", additional_headers=headers) as socket:
        for _ in range(3):
            await socket.recv()
        heard_at = time.monotonic()
        await asyncio.to_thread(ours.services["redis"].kill)
        lost_at = time.monotonic()
        while True:
            try:
                frame = json.loads(await asyncio.wait_for(socket.recv(), heard_at + SILENT_SECONDS - time.monotonic()))
            except TimeoutError:
                break
            if frame["status"] == "away":
                break
            heard_at = time.monotonic()
        stale = time.monotonic() - lost_at
        await asyncio.to_thread(ours.services["redis"].restart)
        back_at = time.monotonic()
        while json.loads(await socket.recv())["status"] != "live":
            pass
        return stale, time.monotonic() - back_at


# --- the measurement ---------------------------------------------------------------------------------------------


def run(ours: Ours, folder: Path, *, number: int, stuck: int, count: int, rounds: int) -> int:
    """Measure, print, and return the exit status."""
    customer = ours.customer()
    rates: dict[bool, list[float]] = {True: [], False: []}
    costs: dict[bool, list[float]] = {True: [], False: []}

    def measured_send(*, is_watched: bool) -> None:
        before = ours.cpu_by_name()
        rates[is_watched].append(send(ours, customer, count))
        spent = {name: seconds - before[name] for name, seconds in ours.cpu_by_name().items()}
        costs[is_watched].append(1000 * sum(spent.values()) / count)
        print(
            f"  {'with viewers' if is_watched else 'without'}: {rates[is_watched][-1]:,.0f} messages/s; CPU ms a message: "
            f"{costs[is_watched][-1]:.3f}, of which the pushing process {1000 * spent['ws'] / count:.3f}",
            flush=True,
        )

    pushes: list[tuple[int, float]] = []
    for turn in range(rounds):
        for is_watched in (True, False) if turn % 2 else (False, True):
            if is_watched:
                with viewers(ours, customer, folder, number, stuck) as log:
                    measured_send(is_watched=True)
                    time.sleep(2.0)  # the viewers write each second
                    pushes += [(got, seconds) for _as_of, got, seconds in _read(log)["pushes"][1:-1]]
            else:
                measured_send(is_watched=False)
            ours.clean()
    stale, right = asyncio.run(_restart(ours, customer))
    whole = [seconds for got, seconds in pushes if got == number]
    times = sorted(whole) or [float("inf")]
    ratio = median(watched / alone for watched, alone in zip(rates[True], rates[False], strict=True))  # each with its neighbour
    share = median(costs[False]) / median(costs[True])
    p99 = times[int(0.99 * (len(times) - 1))]
    with_viewers, without = median(rates[True]), median(rates[False])
    print(f"{number} viewers, {stuck} more that read nothing; {len(pushes)} pushes, of which {len(whole)} reached every viewer")
    print(f"in all hands: p50 {1000 * median(times):.0f} ms, p99 {1000 * p99:.0f} ms, maximum {1000 * times[-1]:.0f} ms")
    print(f"sending: {with_viewers:,.0f}/s with viewers, {without:,.0f}/s without: {ratio:.3f}")
    print(f"messages for the same CPU, all processes and servers: {share:.3f} of those without viewers (bar: at least {MIN_SHARE})")
    print(f"Redis restarted: old after {stale:.2f} s (bar: {MAX_STALE_SECONDS}), right after {right:.2f} s (bar: {MAX_RIGHT_SECONDS})")
    late = sum(seconds > MAX_PUSH_SECONDS for seconds in whole)
    print(f"pushes later than {1000 * MAX_PUSH_SECONDS:.0f} ms: {late} of {len(whole)}")
    is_reached = (
        len(whole) == len(pushes) and late == 0 and share >= MIN_SHARE and stale <= MAX_STALE_SECONDS and right <= MAX_RIGHT_SECONDS
    )
    print("bar reached" if is_reached else "BAR NOT REACHED")
    return 0 if is_reached else 1


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="Live figures in the hands of many viewers.")
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--stuck", type=int, default=10, help="viewers that read nothing")
    parser.add_argument("--count", type=int, default=40_000, help="messages of a batch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-fsync", action="store_true")
    inner = parser.add_argument_group("the viewers' process, which this program starts")
    inner.add_argument("--url", help=argparse.SUPPRESS)
    inner.add_argument("--key", help=argparse.SUPPRESS)
    inner.add_argument("--log", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.url:
        asyncio.run(Viewers(options.url, options.key, options.log).run(options.viewers, options.stuck))
        return 0
    if missing := packages.ensure(kind.name for kind in PRODUCTION):
        print("This needs " + "; ".join(f"{name} ({reason})" for name, reason in missing.items()), file=sys.stderr)
        return 1
    all_with_one_key = {"LIVE_CONNECTIONS": str(options.viewers + options.stuck + 1)}
    with start_services(durable=not options.no_fsync) as services, Ours(services, services.folder, **all_with_one_key) as ours:
        about = describe(services, durable=not options.no_fsync)
        print(f"Posthaste {about['commit']} on {about['machine']}, beside it: {about['beside_it']}; {about['durability']}", flush=True)
        return run(ours, services.folder, number=options.viewers, stuck=options.stuck, count=options.count, rounds=options.rounds)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
