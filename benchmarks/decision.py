"""One decision of the limiter, asked at a steady rate: `REDIS_URL=… python -m benchmarks.decision [--per-second 1000] [--seconds 10]`.

All three layers, from the question to the answer, as a request sees it. Prints milliseconds as JSON.
"""

import argparse
import json
import secrets
import threading
import time

from benchmarks.load import percentile
from posthaste.lib import redis
from posthaste.lib.flow.limiter import Limiter
from posthaste.lib.flow.plan_cache import plan_for
from posthaste.lib.flow.rules import Limits, Rule

THREADS = 4


def decide(per_second: int, seconds: float) -> list[float]:
    """Ask evenly from some threads and return the time of each answer in ms."""
    limiter = Limiter()
    limits = Limits(per_second=1_000_000, at_once=100_000, in_window=100_000_000)
    plan = plan_for([Rule("bench", "accept", "all", limits)], {}, prefix=redis.key("flow", secrets.token_hex(4)))
    for _ in range(200):
        limiter.leave(limiter.enter(plan))
    began = time.perf_counter() + 0.05
    found: list[list[float]] = [[] for _ in range(THREADS)]

    def ask(number: int) -> None:
        for turn in range(number, int(per_second * seconds), THREADS):
            time.sleep(max(0.0, began + turn / per_second - time.perf_counter()))
            asked = time.perf_counter()
            passed = limiter.enter(plan)
            found[number].append(1000 * (time.perf_counter() - asked))
            limiter.leave(passed)

    crowd = [threading.Thread(target=ask, args=(number,)) for number in range(THREADS)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    return [took for part in found for took in part]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-second", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    took = decide(options.per_second, options.seconds)
    print(json.dumps({"number": len(took), "p50_ms": percentile(took, 50), "p99_ms": percentile(took, 99), "max_ms": max(took)}))


if __name__ == "__main__":
    main()
