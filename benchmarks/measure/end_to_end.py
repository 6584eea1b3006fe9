"""100,000 accepted in batches → all terminal, with a sandbox provider that takes everything at once.

(a) needs minutes for as many: it is measured on fewer in the same run and compared by rate, which does not fall with the number.
"""

from benchmarks.baselines import limit
from benchmarks.bench import Bench
from benchmarks.ours import BATCH_ROWS
from benchmarks.result import Comparison, Result
from benchmarks.theirs import DjangoNaive


def measure(bench: Bench) -> Result:
    """Measure ours, (a) and the limit in turn."""
    ours = bench.ours
    count, fewer = bench.size(100_000, step=BATCH_ROWS, least=2_000), bench.size(4_000, least=200)
    customer = ours.customer()
    seconds: list[float] = []
    cpu: list[float] = []
    cpu_services: list[float] = []
    a: list[float] = []
    bare: list[dict[str, float]] = []
    broker = ours.broker_url.partition("@")[2].partition("/")[0]
    with DjangoNaive(bench.services, bench.folder, processes=2) as naive:
        naive.start_worker()
        naive.freeze()
        for _ in range(bench.rounds):
            ours.clean()
            before = ours.cpu(), ours.cpu_of_services()
            began = ours.batches(customer, count).began_at
            seconds.append(ours.wait_terminal() - began)
            cpu.append(1000 * (ours.cpu() - before[0]) / count)
            cpu_services.append(1000 * (ours.cpu_of_services() - before[1]) / count)
            counts = ours.counts()
            if counts != {"sent": count}:
                raise AssertionError(f"{count} were accepted, and then: {counts}")
            with bench.others_turn():
                naive.thaw()
                seen = naive.singles(count=fewer)
                a.append(fewer / (naive.wait_sent() - seen.began_at))
                naive.clean()
                naive.freeze()
                bare.append(limit.run(ours.database_url, broker, count))
    ours.clean()
    rates = [count / took for took in seconds]
    return Result(
        [
            Comparison("accepted → terminal", "messages/s", rates, "(a) Django + Celery", a, 8.0),
            Comparison("accepted → terminal", "messages/s", rates, "limit", [run["per_second"] for run in bare], 0.15, is_limit=True),
            Comparison(f"time for {count:,}", "s", seconds, "", [60.0], 1.0, higher_is_better=False),
        ],
        notes=[
            f"(a) measured on {fewer:,} and compared by rate; at that rate {count:,} would take it {count / min(a):,.0f} s",
            "limit by step (1/s): " + ", ".join(f"{step} {bare[-1][step]:,.0f}" for step in ("accept", "feed", "deliver")),
        ],
        details={"cpu_ms_a_message": cpu, "cpu_of_services_ms_a_message": cpu_services, "limit_steps": bare},
    )
