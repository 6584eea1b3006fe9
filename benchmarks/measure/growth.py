"""Cost per message with 10 k, 100 k and 1 M rows stored, and the pages people look at with 1 M.

The stored rows belong to the same tenant, in batches of 10,000 spread over ten days up to now, so a tenth lies in today's figures.
"""

import time
from collections.abc import Callable
from statistics import median

from benchmarks.bench import Bench
from benchmarks.ours import BATCH_ROWS, Ours
from benchmarks.result import Comparison, Result
from tests.integration.customer import Customer

LEVELS = (10_000, 100_000, 1_000_000)
SPAN_MS = 10 * 86_400_000
PAGE_MS = 100.0

# A UUIDv7: 48 bits of milliseconds, version, variant, random bits (RFC 9562, 5.7).
ID = """(lpad(to_hex({ms}), 12, '0') || '7' || substr(md5({n}::text), 1, 3) || '8' || substr(md5({n}::text), 4, 15))::uuid"""
FILL_BATCH = f"""
INSERT INTO messaging_batch (id, tenant_id, name, channel, priority, status, accepted, rejected, dropped, created_at, finished_at)
VALUES ({ID.format(ms="%(ms)s", n="%(first)s")}, %(tenant)s, 'stored', 'sms', 5, 'finished', %(rows)s, 0, 0, now(), now()) RETURNING id
"""
FILL = f"""
INSERT INTO messaging_message (id, tenant_id, batch_id, channel, recipient, priority, status, is_sandbox, variables, subject, body,
    segments, reference, metadata, created_at, due_at, queued_at, claimed_at, sent_at, finished_at, latency_ms, attempts,
    provider_id, provider_message_id, error_code, error_detail)
SELECT {ID.format(ms="ms", n="n")}, %(tenant)s, %(batch)s, 'sms', '+86139' || lpad(n::text, 8, '0'), 5,
    CASE WHEN n %% 100 = 0 THEN 'failed' ELSE 'sent' END, false, '{{}}', '', 'Your parcel is on its way.',
    1, CASE WHEN n %% 10 = 0 THEN 'order-' || n ELSE '' END, '{{}}', at, at, at, at, at, at, (n %% 900)::int, 1,
    %(provider)s, 'stored-' || n, CASE WHEN n %% 100 = 0 THEN 'refused' ELSE '' END, ''
FROM (SELECT n, ms, to_timestamp(ms / 1000.0) AS at
      FROM (SELECT n, (%(ms)s + (n - %(first)s) * %(step)s)::bigint AS ms
            FROM generate_series(%(first)s::bigint, %(first)s::bigint + %(rows)s - 1) AS n) AS numbered) AS timed
"""


class Store:
    """The rows that were there before."""

    def __init__(self, ours: Ours, total: int) -> None:
        self.ours = ours
        self.total = total
        self.stored = 0
        self.batch = ""
        self.tenant, self.provider = ours.connection.execute(
            "SELECT tenant_id, id FROM messaging_provider ORDER BY created_at DESC LIMIT 1"
        ).fetchone()  # type: ignore[misc]

    def fill(self, level: int) -> None:
        """Add rows until there are `level`; the last ones are minutes old."""
        rows_a_batch = min(BATCH_ROWS, level)
        step = SPAN_MS / self.total
        now_ms = int(time.time() * 1000)
        while self.stored < level:
            rows = min(rows_a_batch, level - self.stored)
            ms = int(now_ms - SPAN_MS + self.stored * step)
            values = {"tenant": self.tenant, "provider": self.provider, "first": self.stored + 1, "rows": rows, "ms": ms, "step": step}
            found = self.ours.connection.execute(FILL_BATCH, values).fetchone()
            assert found
            self.batch = str(found[0])
            self.ours.connection.execute(FILL, {**values, "batch": self.batch})
            self.stored += rows
        # As autovacuum would have done over ten days.
        self.ours.connection.execute("VACUUM ANALYZE messaging_message, messaging_batch")
        self.ours.connection.execute("CHECKPOINT")


def page_times(customer: Customer, batch: str, *, tries: int) -> dict[str, list[float]]:
    """Return the milliseconds of each page, the first call left out."""
    http = customer.http
    pages: dict[str, Callable[[], object]] = {
        "list, first page": lambda: http.get("/api/messages/", limit=100),
        "list, failed only": lambda: http.get("/api/messages/", limit=100, status="failed"),
        "list, one recipient": lambda: http.get("/api/messages/", recipient="%2B8613900000077"),
        "list, one batch": lambda: http.get("/api/messages/", limit=100, batch=batch),
        "batches": lambda: http.get("/api/batches/"),
        "batch page": lambda: http.get(f"/api/batches/{batch}/"),
        "overview": lambda: http.get("/api/messages/statistics/overview"),
        "realtime": lambda: http.get("/api/messages/statistics/realtime"),
    }
    cursor = ""
    for _ in range(5):  # deep in the list
        answer = http.get("/api/messages/", limit=200, **({"cursor": cursor} if cursor else {}))
        if answer.status != 200:
            raise AssertionError(f"list: {answer.status} {answer.data!r}")
        cursor = answer.json()["next"]
    if cursor:
        pages["list, page 6"] = lambda: http.get("/api/messages/", limit=200, cursor=cursor)
    times: dict[str, list[float]] = {}
    for name, ask in pages.items():
        taken = []
        for _ in range(tries + 1):
            began = time.perf_counter()
            answer = ask()  # type: ignore[assignment]
            taken.append(1000 * (time.perf_counter() - began))
            if answer.status != 200:
                raise AssertionError(f"{name}: {answer.status} {answer.data!r}")
        times[name] = taken[1:]
    return times


def measure(bench: Bench) -> Result:
    """Measure at each level; all rounds at one level follow one another, as filling takes long."""
    ours = bench.ours
    ours.clean()
    levels = [bench.size(level, least=1_000 * 4**n) for n, level in enumerate(LEVELS)]
    count = bench.size(10_000, least=1_000)
    customer = ours.customer()
    store = Store(ours, levels[-1])
    wall: list[list[float]] = []
    cpu: list[list[float]] = []
    by_name: list[list[dict[str, float]]] = []
    single: list[list[float]] = []
    ours.batches(customer, count)  # warm, so that the first level does not pay for it
    ours.wait_terminal()
    for level in levels:
        store.fill(level)
        wall.append([])
        cpu.append([])
        by_name.append([])
        single.append([])
        for _ in range(bench.rounds):
            before = ours.cpu_by_name()
            began = ours.batches(customer, count).began_at
            wall[-1].append(1000 * (ours.wait_terminal() - began) / count)
            used = {name: 1000 * (seconds - before[name]) / count for name, seconds in ours.cpu_by_name().items()}
            cpu[-1].append(sum(used.values()))
            by_name[-1].append(used)
            single[-1].append(ours.singles(customer, count=bench.size(2_000, least=200)).p50_ms)
            ours.wait_terminal()
    pages = page_times(customer, store.batch, tries=10)
    stored = ours.one("SELECT count(*) FROM messaging_message")
    size = ours.one("SELECT pg_size_pretty(sum(pg_total_relation_size(relid))) FROM pg_partition_tree('messaging_message')")
    ours.clean()
    flat = 1 / 1.3
    first, last = f"at {levels[0]:,} rows", f"at {levels[-1]:,} rows"
    slowest = max(pages, key=lambda name: median(pages[name]))
    comparisons = [
        Comparison(f"accepted → terminal, {last}", "ms/message", wall[-1], first, wall[0], flat, higher_is_better=False),
        Comparison(f"CPU with servers, {last}", "ms/message", cpu[-1], first, cpu[0], flat, higher_is_better=False),
        Comparison(f"p50 of single requests, {last}", "ms", single[-1], first, single[0], flat, higher_is_better=False),
        Comparison(f"slowest page: {slowest}", "ms", pages[slowest], "", [PAGE_MS], 1.0, higher_is_better=False),
    ]
    comparisons += [Comparison(name, "ms", taken, "", [PAGE_MS], 0.0, higher_is_better=False) for name, taken in pages.items()]
    notes = [f"{stored:,} rows at the end, {size} with indexes; flat means a ratio of at least 1 / 1.3 = 0.77"]
    details = {
        "levels": levels,
        "wall_ms_a_message": wall,
        "cpu_ms_a_message": cpu,
        "cpu_by_name": by_name,
        "single_p50_ms": single,
        "pages_ms": pages,
    }
    return Result(comparisons, notes, details)
