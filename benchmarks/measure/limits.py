"""What flow control costs: one decision at 1,000/s on loopback, and `accept_single` with all three layers on and off.

The rules in force are so wide that they refuse no request: what is measured is asking.
"""

import json
import os
import subprocess
import sys

from benchmarks.bench import Bench
from benchmarks.ours import WIDE_RULES
from benchmarks.result import Comparison, Result
from posthaste.env import ROOT

SECONDS, WARM = 8.0, 2.0
MAX_MS = 1.0  # of a decision, p99
MAX_LOSS = 0.85  # of accept_single without


def measure(bench: Bench) -> Result:
    """Measure in turn, with and without."""
    ours = bench.ours
    customer = ours.customer()
    command = [sys.executable, "-m", "benchmarks.decision", "--seconds", str(bench.seconds(10.0))]
    environment = {**os.environ, "REDIS_URL": ours.redis_url}
    decisions: list[float] = []
    medians: list[float] = []
    on: list[float] = []
    off: list[float] = []
    for _ in range(bench.rounds):
        ours.freeze()
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        ours.thaw()
        told = json.loads(done.stdout)
        decisions.append(told["p99_ms"])
        medians.append(told["p50_ms"])
        for rules, found in ((WIDE_RULES, on), ([], off)):
            ours.stack.configure("flow_rules", rules=rules)
            ours.singles(customer, count=500)
            with bench.accept_only():
                found.append(ours.singles(customer, seconds=bench.seconds(SECONDS), warm=bench.seconds(WARM)).per_second)
    ours.stack.configure("flow_rules", rules=WIDE_RULES)
    return Result(
        [
            Comparison("accepted, three layers on", "1/s", on, "without limits", off, MAX_LOSS),
            Comparison("a decision, p99", "ms", decisions, "", [MAX_MS], 1.0, higher_is_better=False),
            Comparison("a decision, p50", "ms", medians, "", [], higher_is_better=False),
        ]
    )
