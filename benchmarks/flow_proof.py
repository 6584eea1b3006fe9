"""Many processes hammer one rule: never more than the rule in any window, and nearly all of it.

    python -m benchmarks.flow_proof [--processes 20] [--seconds 30] [--stack production|embedded]

The short form is in tests/lib/flow/test_limiter.py. Prints for each rule: questions asked, let in, the largest number in any window
against the rule, and the share of the rule that was used.
"""

import argparse
import json
import subprocess
import sys

from posthaste.env import ROOT
from tests.lib.flow.spans import max_in_any_span
from tests.services import Redis, Services, Valkey

SECOND = 1_000_000
RULES = (
    ({"per_second": 1_000}, 1, 1_000),
    ({"per_second": 100_000, "in_window": 5_000, "window_seconds": 10, "at_once": 10_000}, 10, 5_000),
    ({"per_second": 1_000, "in_window": 20_000, "window_seconds": 30, "at_once": 500}, 1, 1_000),
)


def prove(redis_url: str, processes: int, seconds: float) -> bool:
    """Hammer each rule and return whether all held."""
    held = True
    for limits, window_seconds, most in RULES:
        command = [sys.executable, "-m", "tests.lib.flow.hammer", str(processes), str(seconds), json.dumps(limits)]
        environment = {"REDIS_URL": redis_url, "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        told = json.loads(done.stdout.splitlines()[-1])
        print("".join(f"  said: {line}\n" for line in done.stdout.splitlines()[:-1][:5]), end="")
        taken: list[int] = told["taken"]
        largest = max_in_any_span(taken, window_seconds * SECOND)
        span = (taken[-1] - taken[0]) / SECOND
        windows = int(span / (window_seconds * 1.01)) + 1  # a window's lot comes at once when it may
        used = len(taken) / (most * windows)
        in_limit = largest <= most
        held = held and in_limit and used >= 0.95
        print(
            f"{json.dumps(limits)}: {processes} processes, {seconds:.0f} s: {told['asked']:,} asked ({told['asked'] / seconds:,.0f}/s), "
            f"{len(taken):,} let in; most in any {window_seconds} s: {largest:,} of {most:,}"
            f"{'' if in_limit else ' TOO MANY'}; {100 * used:.1f} % of the rule used",
            flush=True,
        )
    return held


def main() -> int:
    """Start a server, prove, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--stack", choices=("production", "embedded"), default="production")
    options = parser.parse_args()
    with Services((Redis if options.stack == "production" else Valkey,)) as services:
        server = services["redis" if options.stack == "production" else "valkey"]
        return 0 if prove(server.url, options.processes, options.seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
