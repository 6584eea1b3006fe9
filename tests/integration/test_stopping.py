"""A batch of 100,000 is paused, resumed and cancelled while it runs; an independent gateway tells what was sent."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.integration.customer import Customer
from tests.integration.stack import Stack
from tests.integration.waiting import poll, reach
from tests.peers.gateway import Gateway

pytestmark = pytest.mark.both_stacks

ROWS = 100_000
ROWS_EMBEDDED = 5_000
PER_SECOND = 300
BATCH = """
INSERT INTO messaging_batch (id, tenant_id, name, channel, priority, status, accepted, rejected, dropped, created_at)
SELECT %(batch)s, tenant_id, 'big', 'sms', 5, 'running', %(rows)s, 0, 0, now() FROM messaging_provider WHERE id = %(provider)s
"""
# A UUIDv7: 48 bits of milliseconds, version, variant, random bits (RFC 9562, 5.7).
MESSAGES = """
INSERT INTO messaging_message (id, tenant_id, batch_id, channel, recipient, priority, status, is_sandbox, variables, subject, body,
    reference, metadata, created_at, due_at, attempts, provider_message_id, error_code, error_detail)
SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text || %(batch)s::text), 1, 3) || '8'
        || substr(md5(n::text || %(batch)s::text), 4, 15))::uuid,
    p.tenant_id, %(batch)s, 'sms', '+86138' || lpad(n::text, 8, '0'), 5, 'pending', false, '{}', '', 'hello', '', '{}', now(), now(),
    0, '', '', ''
FROM messaging_provider p, generate_series(1, %(rows)s) n WHERE p.id = %(provider)s
"""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture
def customer(stack: Stack) -> Customer:
    return Customer(stack)


def big_batch(customer: Customer, provider: dict[str, Any]) -> tuple[str, int]:
    """Return a running batch and its size; on PostgreSQL one that no single request may bring."""
    url = customer.stack.environment["DATABASE_URL"]
    if not url.startswith("postgresql"):
        return customer.send_batch(ROWS_EMBEDDED), ROWS_EMBEDDED
    values = {"batch": uuid4(), "rows": ROWS, "provider": provider["id"]}
    with psycopg.connect(url) as connection:
        connection.execute(BATCH, values)
        connection.execute(MESSAGES, values)
    return str(values["batch"]), ROWS


def timed(customer: Customer, batch_id: str, verb: str) -> dict[str, Any]:
    """Do something with a batch, print how long the answer took, and return it."""
    began = time.monotonic()
    answer = customer.http.post(f"/api/batches/{batch_id}/{verb}/")
    print(f"{verb}: answered after {1000 * (time.monotonic() - began):.0f} ms")  # noqa: T201
    assert answer.status == 200, answer.data
    body: dict[str, Any] = answer.json()
    return body


def still(customer: Customer, batch_id: str) -> dict[str, Any]:
    """Wait until nothing of a batch is with a worker, and return the batch."""
    poll(
        lambda: not customer.batch(batch_id)["counts"]["sending"],
        progress=lambda: customer.batch(batch_id)["counts"],
        reason="something is still being sent",
    )
    return customer.batch(batch_id)


def rows_that_wait(customer: Customer, batch_id: str) -> int:
    """Count the rows of a batch that are still pending; the API counts those of a cancelled one as cancelled already."""
    url = customer.stack.environment["DATABASE_URL"]
    if not url.startswith("postgresql"):
        return int(customer.batch(batch_id)["counts"]["pending"])
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM messaging_message WHERE batch_id = %s AND status = 'pending'", [batch_id])
        return int(found.fetchall()[0][0])


def test_a_big_batch_stops_goes_on_and_ends_within_the_answer_and_its_books_are_the_gateways(customer: Customer, gateway: Gateway) -> None:
    provider = customer.gateway(gateway, caps={"per_second": PER_SECOND})
    batch_id, size = big_batch(customer, provider)
    reach(lambda: len(gateway.taken), 100, reason="the batch does not run")

    paused = timed(customer, batch_id, "pause")["counts"]
    standing = still(customer, batch_id)["counts"]
    # Nothing but what was in flight at the answer has been sent since.
    assert standing["sent"] <= paused["sent"] + paused["sending"]
    assert (standing["queued"], standing["pending"] + standing["sent"]) == (0, size)
    assert len(gateway.taken) == standing["sent"]
    witness = customer.send(body="after the pause")  # when this one is through, a running batch would have moved on
    customer.settled(witness)
    assert len(gateway.taken) == standing["sent"] + 1

    timed(customer, batch_id, "resume")
    reach(lambda: len(gateway.taken), standing["sent"] + 100, reason="the batch does not go on")

    cancelled = timed(customer, batch_id, "cancel")
    counts = cancelled["batch"]["counts"]
    assert cancelled["cancelled"] + cancelled["too_late"] + cancelled["unknown"] == size
    # What a worker gave back between the two counts was too late for the first one, and cancelled in the second.
    assert 0 < cancelled["cancelled"] <= counts["cancelled"] <= cancelled["cancelled"] + cancelled["too_late"]
    assert counts["pending"] == 0
    final = still(customer, batch_id)["counts"]
    assert final["sent"] <= counts["sent"] + counts["sending"] + counts["queued"]
    assert final["sent"] + final["cancelled"] == size
    poll(
        lambda: customer.batch(batch_id)["finished_at"],
        progress=lambda: rows_that_wait(customer, batch_id),
        reason="the rest is not marked",
    )
    assert not customer.http.get("/api/messages/", batch=batch_id, status="pending").json()["results"]
    assert customer.batch(batch_id)["counts"] == final
    assert len(gateway.taken) == final["sent"] + 1
    assert set(gateway.taken.values()) == {1}
