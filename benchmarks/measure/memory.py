"""Resident memory of each process after 100,000 messages in two halves, and bytes in Redis a trace.

The first half fills caches and allocators; what the second half adds is growth.
"""

from statistics import mean

import redis

from benchmarks.bench import Bench
from benchmarks.ours import BATCH_ROWS, PREFIX, Ours
from benchmarks.result import Comparison, Result

MIB = 1024 * 1024
SAMPLES = 2_000
NOISE = 0.97  # memory that comes and goes with the allocator


def bytes_a_trace(ours: Ours) -> list[float]:
    """Ask Redis for the memory of some of the traces."""
    with redis.Redis.from_url(ours.redis_url) as client:
        names = []
        for name in client.scan_iter(match=f"{PREFIX}:t:*", count=1_000):
            names.append(name)
            if len(names) == SAMPLES:
                break
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.memory_usage(name, samples=0)
        return [float(value) for value in pipeline.execute() if value]


def measure(bench: Bench) -> Result:
    """Send two halves and look at memory after each; there is one round, as it is about a long run."""
    ours = bench.ours
    half = bench.size(50_000, step=BATCH_ROWS, least=2_000)
    singles = bench.size(5_000, least=500)
    customer = ours.customer()
    ours.clean()
    with redis.Redis.from_url(ours.redis_url) as client:
        client.flushdb()
    seen: list[dict[str, int]] = []
    for _ in range(2):
        ours.batches(customer, half, clients=2)
        ours.singles(customer, count=singles)
        ours.wait_terminal()
        seen.append(ours.resident())
    traces = bytes_a_trace(ours)
    ours.clean()
    total = [sum(sizes.values()) / MIB for sizes in seen]
    comparisons = [
        Comparison("all processes, second half", "MiB", [total[1]], "first half", [total[0]], NOISE, higher_is_better=False),
        Comparison("Redis, a trace", "bytes", [mean(traces)], "", [300.0], 1.0, higher_is_better=False),
    ]
    comparisons += [
        Comparison(f"{name}, second half", "MiB", [size / MIB], "first half", [seen[0][name] / MIB], NOISE, higher_is_better=False)
        for name, size in seen[1].items()
    ]
    return Result(
        comparisons,
        notes=[f"two halves of {half:,} in batches and {singles:,} single; {len(traces):,} traces looked at, their keys included"],
        details={"resident_bytes": seen},
    )
