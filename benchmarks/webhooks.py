"""What telling a webhook endpoint of each message costs the sending of a batch, and whether every event arrives, once.

    python -m benchmarks.webhooks [--count 100000] [--rounds 3] [--latency-ms 5] [--no-fsync]

Each round sends one batch of a tenant without an endpoint and one of a tenant with an endpoint, in the same run; the order changes from
round to round. The rate is that of `end_to_end`: from the first request to the last message that ended. The receiver is a process
of its own that checks every signature and writes each event to a file, so it takes its share of the machine too.
"""

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.machine import describe
from benchmarks.ours import BATCH_ROWS, Ours
from benchmarks.rig import Program, start_services
from benchmarks.waiting import wait
from deploy.local.installation import free_port
from tests import packages
from tests.integration.customer import Customer
from tests.services import PRODUCTION

MIN_SHARE = 0.9  # of the rate without an endpoint


@dataclass(frozen=True, slots=True)
class Receiver:
    """The receiver's process and its log."""

    log: Path

    def size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def seen(self) -> Counter[tuple[str, str, str]]:
        """Count the events: id, type, and message or batch."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        found: Counter[tuple[str, str, str]] = Counter()
        for line in lines:
            event, _webhook_id, subject, kind, verdict = line.split()
            if verdict == "taken":
                found[event, kind, subject] += 1
        return found


@contextmanager
def receiver(folder: Path, port: int, secret: str, latency_ms: float) -> Iterator[Receiver]:
    """Run the receiver."""
    log = folder / "events.log"
    command = [sys.executable, "-m", "tests.peers.webhook_receiver", "--port", str(port), "--log", str(log), "--secret", secret]
    program = Program("receiver", [*command, "--latency-ms", str(latency_ms)], folder=folder)
    try:
        yield Receiver(log)
    finally:
        program.stop()


def send(ours: Ours, customer: Customer, count: int) -> float:
    """Send a batch and return its rate."""
    began = ours.batches(customer, count).began_at
    return count / (ours.wait_terminal() - began)


def events_left(ours: Ours) -> int:
    """Count the events that no endpoint was told of yet, and those without a position."""
    waiting = (
        "SELECT count(*) FROM messaging_webhookendpoint e JOIN messaging_event v ON v.tenant_id = e.tenant_id AND v.position > e.cursor"
    )
    return int(ours.one(waiting)) + int(ours.one("SELECT count(*) FROM messaging_recordedevent"))


def _shares(before: dict[str, float], after: dict[str, float], count: int) -> str:
    spent = {name: 1000 * (seconds - before[name]) / count for name, seconds in after.items()}
    return f"{sum(spent.values()):.3f} (" + ", ".join(f"{name} {ms:.3f}" for name, ms in spent.items() if ms >= 0.002) + ")"


def run(ours: Ours, folder: Path, *, count: int, rounds: int, latency_ms: float) -> int:
    """Measure, print, and return the exit status."""
    silent, told = ours.customer(), ours.customer()
    port = free_port()
    endpoint = told.webhook(f"http://127.0.0.1:{port}/hooks")
    without: list[float] = []
    with_endpoint: list[float] = []
    after: list[float] = []
    with receiver(folder, port, endpoint["secret"], latency_ms) as peer:
        for number in range(rounds):
            for is_told in (False, True) if number % 2 == 0 else (True, False):
                ours.clean()
                before = ours.cpu_by_name()
                rate = send(ours, told if is_told else silent, count)
                (with_endpoint if is_told else without).append(rate)
                cost = _shares(before, ours.cpu_by_name(), count)
                if is_told:
                    left = events_left(ours)
                    ended = time.monotonic()
                    wait(lambda: events_left(ours) == 0, "events were not sent", progress=peer.size)
                    after.append(time.monotonic() - ended)
                print(f"  {'with' if is_told else 'without'} an endpoint: {rate:,.0f} messages/s; CPU ms a message: {cost}", flush=True)
                if is_told:
                    told_by_then = count - left
                    print(
                        f"    {told_by_then:,} events were sent meanwhile, the last one {after[-1]:.1f} s later; CPU ms a message in all: "
                        f"{_shares(before, ours.cpu_by_name(), count)}",
                        flush=True,
                    )
        seen = peer.seen()
    sent = Counter(kind for _event, kind, _subject in seen)
    subjects = {subject for _event, kind, subject in seen if kind == "message.sent"}
    twice = sum(times - 1 for times in seen.values())
    unknown = int(ours.one("SELECT count(*) FROM messaging_webhookdelivery WHERE status = 'unknown'"))
    ratio = median(with_endpoint) / median(without)
    complete = len(subjects) == count * rounds == sent["message.sent"]
    exact = twice == 0 or unknown > 0
    print(f"without: {median(without):,.0f}/s; with: {median(with_endpoint):,.0f}/s; ratio {ratio:.3f} (bar: at least {MIN_SHARE})")
    print(f"events: {len(subjects):,} of {count * rounds:,} messages told as sent; by type {dict(sorted(sent.items()))}")
    print(f"arrived twice: {twice} (requests with an unknown outcome: {unknown})")
    print("all arrived, none twice" if complete and exact else "NOT ALL ARRIVED" if not complete else "SOME ARRIVED TWICE")
    print("bar reached" if ratio >= MIN_SHARE else "BAR NOT REACHED")
    return 0 if complete and exact and ratio >= MIN_SHARE else 1


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="What webhooks cost, and whether all events arrive.")
    parser.add_argument("--count", type=int, default=100_000, help="messages of a batch; above 10,000 in requests of so many")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency-ms", type=float, default=5.0, help="of the receiver")
    parser.add_argument("--no-fsync", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    count = options.count // BATCH_ROWS * BATCH_ROWS if options.count > BATCH_ROWS else options.count
    if missing := packages.ensure(kind.name for kind in PRODUCTION):
        print("This needs " + "; ".join(f"{name} ({reason})" for name, reason in missing.items()), file=sys.stderr)
        return 1
    with start_services(durable=not options.no_fsync) as services, Ours(services, services.folder) as ours:
        about = describe(services, durable=not options.no_fsync)
        print(
            f"Posthaste {about['commit']} on {about['machine']}, load before {about['load_before']:.1f}, beside it: {about['beside_it']}; "
            f"{about['durability']}",
            flush=True,
        )
        return run(ours, services.folder, count=count, rounds=options.rounds, latency_ms=options.latency_ms)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
