"""The promotion drill: limits are raised by one publish each while the load goes on, and must act within a second.

Rate: 64 clients hand over as much as they can while a tenant's rule goes from 1,000 to 2,000 a second; what was accepted in each second
around the publish is counted in the database. Pool: a backlog towards a provider that takes 400 ms keeps it at its 100 threads until
the limits go from 10–100 to 30–200; measured are the seconds until it is larger, and how small it becomes when there is nothing to do.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.bench import Bench
from benchmarks.measure.end_to_end_http import gateway, provider_config
from benchmarks.ours import BATCH_ROWS, WIDE_RULES
from benchmarks.result import Comparison, Result
from benchmarks.waiting import wait

RULES = 1_000, 2_000  # a second, before and after
SECONDS_BEFORE, SECONDS_AFTER = 4, 4
ACCEPTED = """SELECT floor(extract(epoch FROM created_at) - %(at)s)::int, count(*) FROM messaging_message
WHERE created_at > to_timestamp(%(at)s) - interval '3 seconds' GROUP BY 1"""
SLOW_MS = 400
POOLS = {"min_threads": 10, "max_threads": 100}, {"min_threads": 30, "max_threads": 200}


def _rate(bench: Bench) -> list[int]:
    """Return what was accepted in each second, from the third before the publish was answered to the fourth after it."""
    ours, (before, after) = bench.ours, RULES
    customer = ours.customer()
    ours.stack.configure("flow_rules", rules=[{**WIDE_RULES[0], "per_second": before}])
    try:
        with bench.accept_only(), ThreadPoolExecutor(1) as beside:
            load = beside.submit(ours.singles, customer, seconds=SECONDS_BEFORE + SECONDS_AFTER + 1, may_be_refused=True)
            time.sleep(SECONDS_BEFORE)
            ours.stack.publish("flow_rules", rules=[{**WIDE_RULES[0], "per_second": after}])
            at = time.time()
            load.result()
            counts: dict[int, int] = dict(ours.connection.execute(ACCEPTED, {"at": at}).fetchall())
    finally:
        ours.stack.configure("flow_rules", rules=WIDE_RULES)
    return [counts.get(second, 0) for second in range(-3, SECONDS_AFTER)]


def _wait_for_pool(bench: Bench, least: int, most: int) -> float:
    """Wait until the pool's size is within the bounds and return the time."""
    size = bench.ours.pool_threads
    wait(lambda: least <= size() <= most, f"the pool does not get {least} to {most} threads", progress=size, every=0.01)
    return time.monotonic()


def _pool(bench: Bench, url: str) -> tuple[float, float]:
    """Return the seconds until the pool passed its old limit, and its smallest size in the two seconds after it settled."""
    ours, (before, after) = bench.ours, POOLS
    customer = ours.customer(kind="http", config=provider_config(url))
    ours.limits(queue_capacity=200, cooldown_seconds=0.5, **before)
    try:
        ours.batches(customer, BATCH_ROWS)
        _wait_for_pool(bench, before["max_threads"], before["max_threads"])
        time.sleep(2)  # it would have taken four more steps
        _wait_for_pool(bench, before["max_threads"], before["max_threads"])
        ours.stack.publish("thread_pools", **after)
        published = time.monotonic()
        passed = _wait_for_pool(bench, before["max_threads"] + 1, after["max_threads"]) - published
        _wait_for_pool(bench, after["max_threads"], after["max_threads"])
        ours.wait_terminal()
        _wait_for_pool(bench, 0, after["min_threads"])
        until, smallest = time.monotonic() + 2, after["min_threads"]
        while time.monotonic() < until:
            smallest = min(smallest, ours.pool_threads())
        return passed, smallest
    finally:
        ours.limits(queue_capacity=10_000, cooldown_seconds=2.0, **before)
        ours.clean()


def measure(bench: Bench) -> Result:
    """Hold both halves of the drill in each round."""
    rates = [_rate(bench) for _ in range(bench.rounds)]
    program, url = gateway(bench, latency_ms=SLOW_MS)
    try:
        pools = [_pool(bench, url) for _ in range(bench.rounds)]
    finally:
        program.stop()
    before, after = RULES
    passed, smallest = [pool[0] for pool in pools], [pool[1] for pool in pools]
    return Result(
        [
            Comparison(
                "accepted in the first second of the new rule", "1/s", [float(r[3]) for r in rates], "the rule", [float(after)], 0.9
            ),
            Comparison(
                "accepted in the last second of the old rule", "1/s", [float(r[2]) for r in rates], "the rule", [float(before)], 0.9
            ),
            Comparison("until the pool passed its old limit", "s", passed, "", [1.0], 1.0, higher_is_better=False),
            Comparison("smallest pool at rest", "threads", smallest, "", [float(POOLS[1]["min_threads"])], 1.0),
        ],
        notes=[f"accepted in each second, three before the publish and four after it: {', '.join(f'{n:,}' for n in r)}" for r in rates],
    )
