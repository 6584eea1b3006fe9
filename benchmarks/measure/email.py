"""10,000 e-mails to a local SMTP sink, accepted → sent; and the CPU that all processes of a side need for one.

Each side sends with two processes: (c) as its command is told to, ours with one worker a core, as docs/performance.md plans for.
"""

from benchmarks.bench import Bench
from benchmarks.ours import BATCH_ROWS, PYTHON, SECOND_WORKER
from benchmarks.result import Comparison, Result
from benchmarks.rig import smtp_sink
from benchmarks.smtp_sink import taken
from benchmarks.theirs import PostOffice


def measure(bench: Bench) -> Result:
    """Measure ours and (c) in turn."""
    ours = bench.ours
    count = bench.size(10_000, least=500)
    rows = min(count, BATCH_ROWS)
    count = count // rows * rows
    own: list[float] = []
    own_cpu: list[float] = []
    c: list[float] = []
    c_cpu: list[float] = []
    c_sending: list[float] = []
    sink, port = smtp_sink(bench.folder, PYTHON)
    with sink:
        config = {"host": "127.0.0.1", "port": port, "security": "none", "from_email": "shop@example.com"}
        customer = ours.customer("email", "email", config)
        ours.second_worker()
        post_office = PostOffice(bench.services, port)
        for _ in range(bench.rounds):
            ours.clean()
            arrived, before = taken(port), ours.cpu()
            began = ours.batches(customer, count, mail=True).began_at
            own.append(count / (ours.wait_terminal() - began))
            own_cpu.append(1000 * (ours.cpu() - before) / count)
            if taken(port) - arrived != count:
                raise AssertionError(f"ours: {taken(port) - arrived} of {count} arrived, states {ours.counts()}")
            with bench.others_turn():
                arrived = taken(port)
                queued, sent = post_office.step("queue", count), post_office.step("send", count)
                if taken(port) - arrived != count:
                    raise AssertionError(f"(c): {taken(port) - arrived} of {count} arrived")
                # The start of its two commands does not count: a server would be running already.
                c.append(count / (queued["seconds"] + sent["seconds"]))
                c_sending.append(count / sent["seconds"])
                c_cpu.append(1000 * (queued["cpu_seconds"] + sent["cpu_seconds"]) / count)
    ours.clean()
    ours.stack.end(SECOND_WORKER)
    return Result(
        [
            Comparison("accepted → sent", "e-mails/s", own, "(c) post_office", c, 1.5),
            Comparison("CPU", "ms/e-mail", own_cpu, "(c) post_office", c_cpu, 2.0, higher_is_better=False),
        ],
        notes=[
            "two sending processes on each side",
            "CPU: all processes of a side, servers not counted; (c) has no HTTP in front, its caller runs send_many itself",
        ],
        details={"post_office_sending_only": c_sending},
    )
