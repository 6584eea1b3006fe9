"""`POST /api/messages/` by 64 clients: accepted means committed and confirmed by the broker. Workers stand still on all sides."""

from benchmarks.bench import Bench
from benchmarks.load import Load
from benchmarks.result import Comparison, Result
from benchmarks.theirs import Baseline, DjangoNaive, FastapiPika

SECONDS, WARM = 8.0, 2.0


def theirs(bench: Bench, baseline: Baseline) -> Load:
    """Measure one round of a baseline."""
    baseline.thaw()
    seen = baseline.singles(seconds=bench.seconds(SECONDS), warm=bench.seconds(WARM))
    baseline.clean()
    baseline.freeze()
    return seen


def measure(bench: Bench) -> Result:
    """Measure ours and both baselines in turn."""
    ours, a, b = bench.ours, list[Load](), list[Load]()
    own: list[Load] = []
    customer = ours.customer()
    cpu: list[float] = []
    unpublished = 0
    with DjangoNaive(bench.services, bench.folder) as naive, FastapiPika(bench.services, bench.folder) as fastapi:
        naive.freeze()
        fastapi.freeze()
        for _ in range(bench.rounds):
            with bench.accept_only():
                before = ours.cpu()
                own.append(ours.singles(customer, seconds=bench.seconds(SECONDS), warm=bench.seconds(WARM)))
                unpublished += ours.one("SELECT count(*) FROM messaging_message WHERE status = 'pending'")
                cpu.append(1000 * (ours.cpu() - before) / max(1, own[-1].good * (SECONDS + WARM) / SECONDS))
            with bench.others_turn():
                a.append(theirs(bench, naive))
                b.append(theirs(bench, fastapi))
    rate = [seen.per_second for seen in own]
    return Result(
        [
            Comparison("accepted", "1/s", rate, "(a) Django + Celery", [seen.per_second for seen in a], 5.0),
            Comparison("accepted", "1/s", rate, "(b) FastAPI + pika", [seen.per_second for seen in b], 2.5),
            Comparison("p99, against p50", "ms", [s.p99_ms for s in own], "(a) p50", [s.p50_ms for s in a], 1.0, higher_is_better=False),
            Comparison("p50", "ms", [s.p50_ms for s in own], "(a) p50", [s.p50_ms for s in a], higher_is_better=False),
            Comparison("p99", "ms", [s.p99_ms for s in own], "(b) p99", [s.p99_ms for s in b], higher_is_better=False),
        ],
        notes=[
            f"of ours, {unpublished:,} were committed without a confirmed task, because the broker's room was used up",
            f"the load generator itself used {1e6 * own[-1].cpu_seconds / own[-1].answered:.0f} µs of CPU a request",
        ],
        details={"cpu_ms_a_message": cpu},
    )
