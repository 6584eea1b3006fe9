"""Proof of the locks: many processes raise one number by reading and writing it, each time under the lock; not one may be lost.

    python -m benchmarks.locks_proof [--processes 50] [--each 200]

Needs a Redis (REDIS_URL). Exit status 0: the number is exact, the tokens rose, and no two were inside at once.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass

from posthaste.env import ROOT
from posthaste.lib import locks, redis
from posthaste.lib.ids import new_id

WAIT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of it."""

    number: int
    expected: int
    tokens: list[int]  # in the order in which the lock was held
    max_inside: int
    fewest: float  # of all processes, the one that was served slowest: seconds for all its turns
    most: float
    seconds: float

    @property
    def is_exact(self) -> bool:
        """Whether nothing was lost and no holder overtaken."""
        return self.number == self.expected and self.tokens == sorted(set(self.tokens)) and self.max_inside == 1


def work(name: str, each: int) -> None:
    """Raise the number so many times, as one of the processes: read it, and write one more."""
    client, inside = redis.client(), 0
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    for _ in range(each):
        with locks.simple(name, wait_seconds=WAIT_SECONDS) as lock:
            inside = max(inside, client.incr(redis.key(name, "inside")))
            number = int(client.get(redis.key(name, "number")) or 0)
            client.rpush(redis.key(name, "tokens"), lock.fencing_token)
            client.set(redis.key(name, "number"), number + 1)
            client.decr(redis.key(name, "inside"))
    print(json.dumps([inside, time.monotonic() - began]), flush=True)


def prove(*, processes: int, each: int) -> Proof:
    """Let so many processes raise the number at the same time."""
    name = f"proof-{new_id().hex}"
    command = [sys.executable, "-m", "benchmarks.locks_proof", "--work", name, "--each", str(each)]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) for _ in range(processes)
    ]
    try:
        for process in running:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        began = time.monotonic()
        for process in running:
            assert process.stdin
            process.stdin.write("go\n")
        told = [json.loads(process.communicate()[0]) for process in running]
    finally:
        for process in running:
            process.kill()
    took, client = time.monotonic() - began, redis.client()
    keys = [redis.key(name, part) for part in ("number", "tokens", "inside")]
    proof = Proof(
        number=int(client.get(keys[0]) or 0),
        expected=processes * each,
        tokens=[int(token) for token in client.lrange(keys[1], 0, -1)],
        max_inside=max(inside for inside, _seconds in told),
        fewest=min(seconds for _inside, seconds in told),
        most=max(seconds for _inside, seconds in told),
        seconds=took,
    )
    client.delete(*keys)
    return proof


def main() -> int:
    """Run the proof and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=50)
    parser.add_argument("--each", type=int, default=200)
    parser.add_argument("--work", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.each)
        return 0
    proof = prove(processes=options.processes, each=options.each)
    print(
        f"{proof.number:,} of {proof.expected:,}, {'exact' if proof.is_exact else 'NOT EXACT'}; at most {proof.max_inside} inside; "
        f"{proof.expected / proof.seconds:,.0f} turns a second; processes took {proof.fewest:.1f} to {proof.most:.1f} s"
    )
    return 0 if proof.is_exact else 1


if __name__ == "__main__":
    sys.exit(main())
