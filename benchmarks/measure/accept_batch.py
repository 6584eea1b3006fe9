"""`POST /api/messages/batch` of 10,000, every recipient validated; workers stand still.

Against (a), which takes single messages from 64 clients, two callers post batches (one for each of the two web processes).
Against (c), whose `send_many` runs in the caller's process, one caller posts e-mails.
"""

from benchmarks.bench import Bench
from benchmarks.load import Load
from benchmarks.measure import accept_single
from benchmarks.ours import BATCH_ROWS
from benchmarks.result import Comparison, Result
from benchmarks.theirs import DjangoNaive, PostOffice


def messages_a_second(seen: Load, rows: int) -> float:
    """Turn requests a second into messages."""
    return seen.good * rows / seen.seconds


def measure(bench: Bench) -> Result:
    """Measure ours and both baselines in turn."""
    ours = bench.ours
    count = bench.size(100_000, step=BATCH_ROWS, least=2_000)
    rows = min(count, BATCH_ROWS)
    texts, mails = ours.customer(), ours.customer("email")
    own_texts: list[float] = []
    own_mails: list[float] = []
    slowest: list[float] = []
    a: list[float] = []
    c: list[float] = []
    with DjangoNaive(bench.services, bench.folder) as naive:
        naive.freeze()
        post_office = PostOffice(bench.services)
        for _ in range(bench.rounds):
            with bench.accept_only():
                own_texts.append(messages_a_second(ours.batches(texts, count, clients=2), rows))
                ours.clean()
                seen = ours.batches(mails, count)
                own_mails.append(messages_a_second(seen, rows))
                slowest.append(seen.max_ms)
            with bench.others_turn():
                a.append(accept_single.theirs(bench, naive).per_second)
                c.append(rows / float(post_office.step("queue", rows)["seconds"]))
    return Result(
        [
            Comparison("accepted, 2 callers", "messages/s", own_texts, "(a) Django + Celery", a, 30.0),
            Comparison("accepted, 1 caller", "e-mails/s", own_mails, "(c) post_office send_many", c, 2.0),
        ],
        details={"slowest_request_ms": slowest, "rows_a_request": rows},
    )
