"""One tenant's million does not stand before another tenant's ten, and the broker never holds more than it may."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests import crowds
from tests.integration.customer import Customer
from tests.integration.stack import Stack
from tests.integration.test_pools import set_limits
from tests.integration.waiting import QUIET_SECONDS, poll, reach
from tests.peers.gateway import Gateway

# As many as are inserted in a few seconds; FAIRNESS_ROWS=1000000 takes half a minute longer and gave the same times.
ROWS = int(os.environ.get("FAIRNESS_ROWS", "100000"))
TEN = 10
ROUNDS = 5
A_SECOND = 2_000  # messages: what a hundred threads send at 50 ms each; a slow machine sends fewer
# A UUIDv7 of now, so that the rows lie in today's partition: 48 bits of milliseconds, version, variant, random.
INSERT = """
INSERT INTO messaging_message (id, tenant_id, batch_id, channel, recipient, priority, status, is_sandbox, variables, subject, body,
    reference, metadata, created_at, due_at, attempts, provider_message_id, error_code, error_detail)
SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text || %(batch)s), 1, 3)
    || '8' || substr(md5(n::text || %(batch)s), 4, 15))::uuid,
    %(tenant)s, %(batch)s::uuid, 'sms', '+86139' || lpad(n::text, 8, '0'), 5, 'pending', FALSE, '{}', '', 'Sale', '', '{}',
    now(), now(), 0, '', '', ''
FROM generate_series(1, %(rows)s) n
"""


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    if not stack.environment["DATABASE_URL"].startswith("postgres"):
        pytest.skip("rows are made inside PostgreSQL")
    with psycopg.connect(stack.environment["DATABASE_URL"], autocommit=True) as connection:
        yield connection


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway(latency_ms=50, keep_bodies=False) as running:
        yield running


def make_pending(database: psycopg.Connection[Any], customer: Customer, rows: int) -> str:
    """Return a customer a running batch with so many pending messages, as if it had handed them over."""
    batch_id = customer.send_batch(1, send_at=(datetime.now(UTC) + timedelta(days=300)).isoformat())
    row = database.execute("SELECT tenant_id FROM messaging_batch WHERE id = %s", [batch_id]).fetchone()
    assert row
    database.execute(INSERT, {"tenant": row[0], "batch": batch_id, "rows": rows})
    database.execute("ANALYZE messaging_message")
    return batch_id


def remove(database: psycopg.Connection[Any], batch_id: str) -> None:
    """Take a batch away, so that the tests that follow have the machine for themselves."""
    for _ in range(20):
        with suppress(psycopg.errors.DeadlockDetected):
            database.execute("DELETE FROM messaging_message WHERE batch_id = %s AND status IN ('pending', 'queued')", [batch_id])
            break


def flood(customer: Customer, over: threading.Event) -> int:
    """Hand over texts until it is told to end and return their number."""
    sent = 0
    while not over.is_set():
        customer.send()
        sent += 1
    return sent


def test_the_broker_never_holds_more_than_its_capacity_whoever_hands_over(stack: Stack, gateway: Gateway) -> None:
    """Both web processes and the feeder at the same time, and no worker takes anything out."""
    if not stack.environment["DATABASE_URL"].startswith("postgres"):
        pytest.skip("SQLite has one writer at a time")
    gateway.latency_ms = 0
    flooding, batching = Customer(stack), Customer(stack)
    flooding.gateway(gateway)
    batching.gateway(gateway)
    most, over = 0, threading.Event()
    set_limits(stack, queue_capacity=300)
    stack.kill("worker", signal.SIGSTOP)
    try:
        with (
            psycopg.connect(stack.environment["DATABASE_URL"], autocommit=True) as database,
            crowds.pool(16) as threads,
        ):
            floods = [threads.submit(flood, flooding, over) for _ in range(16)]
            batching.send_batch(2_000)
            until = time.monotonic() + 7  # the pool's figures expire after five seconds, and the bounds change
            while time.monotonic() < until or (most <= 200 and time.monotonic() < until + QUIET_SECONDS):
                row = database.execute("SELECT count(*) FROM messaging_message WHERE status = 'queued'").fetchone()
                assert row
                most = max(most, row[0])
            over.set()
            sent = sum(future.result() for future in floods)
    finally:
        over.set()
        stack.kill("worker", signal.SIGCONT)
        set_limits(stack, queue_capacity=10_000)
    assert most <= 300
    assert most > 200, "it was not tried hard enough"
    poll(lambda: len(gateway.taken) == 2_000 + sent, progress=lambda: len(gateway.taken))
    assert gateway.doubles() == {}


def ten_at_once(customer: Customer) -> list[float]:
    """Hand over ten texts at once and return the milliseconds from being due to being taken by the provider."""
    with crowds.pool(TEN) as threads:
        ids = list(threads.map(lambda _: customer.send(), range(TEN)))
    return sorted(float(customer.settled(id_)["latency_ms"]) for id_ in ids)


def test_a_tenants_million_does_not_delay_another_tenants_ten_by_more_than_leaves_in_a_second(
    stack: Stack, database: psycopg.Connection[Any], gateway: Gateway
) -> None:
    big, small = Customer(stack), Customer(stack)
    big.gateway(gateway)
    small.gateway(gateway)
    alone = [ten_at_once(small) for _ in range(3)]
    began = time.monotonic()
    batch_id = make_pending(database, big, ROWS)
    inserted = time.monotonic() - began
    try:
        beside: list[list[float]] = []
        overtaken: list[int] = []  # what left of the backlog in the meantime
        taken_at_first = len(gateway.taken)
        reach(lambda: len(gateway.taken), taken_at_first + 400, reason="the backlog is not being sent")
        began = time.monotonic()
        for _ in range(ROUNDS):
            before = len(gateway.taken)
            beside.append(ten_at_once(small))
            overtaken.append(len(gateway.taken) - before)
        took, sent = time.monotonic() - began, len(gateway.taken) - taken_at_first
        left = database.execute("SELECT count(*) FROM messaging_message WHERE batch_id = %s AND status = 'pending'", [batch_id]).fetchone()
        sys.stdout.write(f"{ROWS:,} rows inserted in {inserted:.1f} s; {sent} sent in {took:.1f} s; the slowest of ten alone (ms): ")
        sys.stdout.write(
            f"{[times[-1] for times in alone]}; beside: {[times[-1] for times in beside]}; of the backlog meanwhile: {overtaken}\n"
        )
        assert left
        assert left[0] > ROWS // 2, "the backlog was gone too soon to prove anything"
        assert max(overtaken) < A_SECOND, "ten wait for what leaves in a second, however long the backlog is"
    finally:
        remove(database, batch_id)
    assert gateway.doubles() == {}
