"""`accept_single` beside 200 clients without a key that send a byte of their bodies now and then, and without them."""

from benchmarks.bench import Bench
from benchmarks.result import Comparison, Result
from tests.peers.slow_clients import SlowClients

SECONDS, WARM = 8.0, 2.0
CLIENTS = 200
MAX_LOSS = 0.85


def measure(bench: Bench) -> Result:
    """Measure in turn, beside them and alone."""
    ours = bench.ours
    customer = ours.customer()
    beside: list[float] = []
    alone: list[float] = []
    p99: list[float] = []
    p99_alone: list[float] = []
    ended = 0
    for _ in range(bench.rounds):
        with bench.accept_only():
            seen = ours.singles(customer, seconds=bench.seconds(SECONDS), warm=bench.seconds(WARM))
            alone.append(seen.per_second)
            p99_alone.append(seen.p99_ms)
        with bench.accept_only(), SlowClients(ours.stack.base_url, CLIENTS) as slow:
            seen = ours.singles(customer, seconds=bench.seconds(SECONDS), warm=bench.seconds(WARM))
            beside.append(seen.per_second)
            p99.append(seen.p99_ms)
            ended += slow.ended
    return Result(
        [
            Comparison(f"accepted beside {CLIENTS} slow clients", "1/s", beside, "without them", alone, MAX_LOSS),
            Comparison("p99", "ms", p99, "without them", p99_alone, higher_is_better=False),
        ],
        notes=[f"{ended} of the slow requests were ended by the server meanwhile, and begun anew"],
    )
