"""`make bench`: every benchmark with the baseline it is compared to, ours and theirs in turn on the same servers.

    python -m benchmarks.run [NAME ...] [--rounds N] [--scale X | --quick] [--no-fsync] [--output FILE]

Writes `benchmarks/results/latest.json`: `{name: {ours, baseline, limit, ratio, unit, rounds, …}}`. A run of some of the
benchmarks replaces their entries and keeps the others. `--quick` shows in a minute that everything works; its figures mean nothing.
"""

import argparse
import importlib
import json
import signal
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.machine import describe
from benchmarks.ours import Ours
from benchmarks.result import Result
from benchmarks.rig import BASELINE_PYTHON, start_services
from posthaste.env import ROOT
from tests import packages
from tests.services import PRODUCTION

NAMES = (
    "accept_single",
    "accept_batch",
    "end_to_end",
    "email",
    "end_to_end_http",
    "urgent",
    "growth",
    "memory",
    "limits",
    "drill",
    "slow_clients",
)
# These measure ours alone or against itself.
WITHOUT_BASELINE = {"growth", "memory", "limits", "drill", "slow_clients"}
LATEST = ROOT / "benchmarks/results/latest.json"
QUICK_SCALE = 0.02


def write(output: Path, name: str, entry: dict[str, Any]) -> None:
    """Put one entry into the result file."""
    output.parent.mkdir(parents=True, exist_ok=True)
    entries = json.loads(output.read_text()) if output.exists() else {}
    entries[name] = entry
    text = json.dumps({key: entries[key] for key in sorted(entries)}, indent=2, default=str)
    output.write_text(f"{text}\n")


def _measure(name: str, bench: Bench) -> Result:
    result: Result = importlib.import_module(f"benchmarks.measure.{name}").measure(bench)
    return result


def run(options: argparse.Namespace) -> int:
    """Start the servers, run the benchmarks, and stop everything; it gives the exit status."""
    failed = []
    with ExitStack() as stack:
        services = stack.enter_context(start_services(durable=not options.no_fsync))
        about = describe(services, durable=not options.no_fsync)
        print(f"Posthaste {about['commit']} on {about['machine']}")
        print(f"{about['postgresql']}, RabbitMQ {about['rabbitmq']}, {about['redis']}; {about['durability']}")
        if about["load_before"] > 0.7 or about["beside_it"] != "nothing":
            print(f"The load is {about['load_before']:.1f}, and beside this run: {about['beside_it']}. Figures will be too low.")
        if options.scale != 1:
            print(f"Sizes at {options.scale:g} of the full ones: these figures show that it works, not how fast it is.")
        ours = stack.enter_context(Ours(services, services.folder))
        bench = Bench(services, services.folder, ours, options.rounds, options.scale)
        for name in options.names:
            print(f"\n… {name}", flush=True)
            began = time.monotonic()
            try:
                result = _measure(name, bench)
            except Exception as error:
                if options.debug:
                    raise
                failed.append(name)
                print(f"{name} FAILED: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                continue
            print(f"{result.table(name)}\n  ({time.monotonic() - began:.0f} s)", flush=True)
            at = datetime.now(UTC).isoformat(timespec="seconds")
            write(options.output, name, {**result.as_dict(), "scale": options.scale, "at": at, "on": about})
    print(f"\nResults: {options.output}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="Measures ours and its baselines in turn.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes")
    parser.add_argument("--quick", action="store_true", help=f"one round at scale {QUICK_SCALE}: does it work?")
    parser.add_argument("--no-fsync", action="store_true", help="both sides without fsync, for machines with slow disks")
    parser.add_argument("--output", type=Path, default=LATEST)
    parser.add_argument("--debug", action="store_true", help="end at the first failure with its stack")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    options.names = [name for name in NAMES if not options.names or name in options.names]
    if options.quick:
        options.rounds, options.scale = 1, QUICK_SCALE
    # So that what stops us ends as an exception, and everything is stopped in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    missing = packages.ensure(kind.name for kind in PRODUCTION)
    if missing:
        print("The benchmarks need " + "; ".join(f"{name} ({reason})" for name, reason in missing.items()), file=sys.stderr)
        return 1
    if set(options.names) - WITHOUT_BASELINE and not BASELINE_PYTHON.exists():
        print("The baselines' packages are missing: run `make bench`, which installs them into .venv-bench.", file=sys.stderr)
        return 1
    return run(options)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
