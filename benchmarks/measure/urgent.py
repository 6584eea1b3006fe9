"""Priority 10, one every 100 ms, behind a standing backlog of 100,000 at priority 5; both through an HTTP gateway that takes 50 ms.

The time runs from before the caller's request until the provider has taken the message: HTTP, commit, broker, the wait
for a free thread and the provider's own 50 ms are all in it.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from benchmarks.bench import Bench
from benchmarks.load import percentile
from benchmarks.measure.end_to_end_http import gateway, provider_config
from benchmarks.ours import BATCH_ROWS
from benchmarks.result import Comparison, Result
from benchmarks.theirs import DjangoNaive
from benchmarks.waiting import wait
from tests.integration.customer import number
from tests.integration.stack import Http

EVERY = 0.1


def post_steadily(http: Http, count: int) -> dict[str, float]:
    """Post an urgent text every 100 ms, whatever the answers take, and return the time of each by its id."""
    sent_at: dict[str, float] = {}

    def post() -> None:
        now = time.time()
        body = {"channel": "sms", "recipient": number(), "body": "Fire alarm", "priority": 10}
        answer = http.post("/api/messages/", body)
        if answer.status != 202:
            raise AssertionError(f"{answer.status}: {answer.data!r}")
        sent_at[answer.json()["id"]] = now

    with ThreadPoolExecutor(32) as pool:
        began = time.monotonic()
        futures = []
        for n in range(count):
            time.sleep(max(0.0, began + n * EVERY - time.monotonic()))
            futures.append(pool.submit(post))
        for future in futures:
            future.result()
    return sent_at


def waits(find: Callable[[], list[tuple[str, float | None]]], sent_at: dict[str, float]) -> list[float]:
    """Wait until all urgent ones are sent and give milliseconds from the call until then."""
    found: dict[str, float | None] = {}

    def sent() -> int:
        found.update(find())
        return sum(1 for at in found.values() if at)

    wait(lambda: sent() == len(sent_at), f"not all of {len(sent_at)} urgent messages were sent", progress=sent, every=0.2)
    return [1000 * ((at or 0.0) - sent_at[id_]) for id_, at in found.items()]


def measure(bench: Bench) -> Result:
    """Measure ours behind 100,000 and (a) behind a smaller backlog."""
    ours = bench.ours
    backlog, fewer = bench.size(100_000, step=BATCH_ROWS, least=3_000), bench.size(6_000, least=300)
    count = bench.size(200, least=20)
    own: list[list[float]] = []
    a: list[list[float]] = []
    left: list[int] = []
    program, url = gateway(bench)
    query = "SELECT id::text, extract(epoch FROM sent_at)::float8 FROM {} WHERE priority = 10"
    with program, DjangoNaive(bench.services, bench.folder, processes=32, gateway_url=f"{url}/send") as naive:
        customer = ours.customer("sms", "http", provider_config(url))
        naive.start_worker()
        naive.freeze()
        for _ in range(bench.rounds):
            ours.clean()
            ours.batches(customer, backlog)
            time.sleep(bench.seconds(5))
            sent_at = post_steadily(customer.http, count)
            left.append(ours.one("SELECT count(*) FROM messaging_message WHERE status = 'pending'"))
            own.append(waits(lambda: ours.connection.execute(query.format("messaging_message")).fetchall(), sent_at))
            ours.clean()
            with bench.others_turn():
                naive.thaw()
                naive.singles(count=fewer)
                sent_at = post_steadily(Http(f"http://127.0.0.1:{naive.port}", "key"), count // 2)
                a.append(waits(lambda: naive.connection.execute(query.format("message")).fetchall(), sent_at))
                naive.clean()
                naive.freeze()

    def figure(percent: float, target_ms: float) -> list[Comparison]:
        ours_ms, a_ms = [percentile(w, percent) for w in own], [percentile(w, percent) for w in a]
        name = "max" if percent == 100 else f"p{percent:g}"
        shown = Comparison(f"accept → provider, {name}", "ms", ours_ms, "(a) with priorities", a_ms, higher_is_better=False)
        bound = Comparison(f"accept → provider, {name}", "ms", ours_ms, "", [target_ms], 1.0, higher_is_better=False)
        return [bound, shown] if target_ms else [shown]

    return Result(
        [*figure(99, 1000.0), *figure(100, 5000.0), *figure(50, 0.0)],
        notes=[
            f"backlog {backlog:,}, of which at least {min(left):,} still stood at the end; {count} urgent ones a round",
            "every figure has the provider's 50 ms in it",
            f"(a) has a priority queue too and 32 processes, behind {fewer:,}; without it, it would wait for its whole backlog",
        ],
    )
