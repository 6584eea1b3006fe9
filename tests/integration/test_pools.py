"""The sending pool grows under a backlog, falls back when idle, and obeys limits that change while it works."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from posthaste.env import ROOT
from tests.integration.customer import Customer, poll
from tests.integration.stack import Stack
from tests.peers.gateway import Gateway

pytestmark = pytest.mark.both_stacks


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway(latency_ms=20) as running:
        yield running


def set_limits(stack: Stack, **limits: Any) -> None:
    """This function will change the pool's row, as the console will do."""
    code = f"from configcenter.models import ThreadPoolConfig as T; T.objects.filter(name='message.send').update(**{limits!r})"
    subprocess.run(
        [sys.executable, "manage.py", "shell", "-v0", "-c", code], cwd=ROOT, env={**os.environ, **stack.environment}, check=True, timeout=60
    )


def pool(customer: Customer) -> dict[str, Any]:
    """This function will give the pool's figures as the statistics show them."""
    found: dict[str, Any] = customer.http.get("/api/messages/statistics/realtime").json()["pool"]
    return found


def test_the_pool_grows_under_a_backlog_obeys_new_limits_within_seconds_and_falls_back(stack: Stack, gateway: Gateway) -> None:
    customer = Customer(stack)
    customer.gateway(gateway)
    assert poll(lambda: pool(customer)["threads"] >= 10)
    try:
        set_limits(stack, queue_capacity=1_000, cooldown_seconds=0.5, max_threads=40)
        batch_id = customer.send_batch(3_000)
        poll(lambda: pool(customer)["threads"] == 40, reason=f"never grew to the limit: {pool(customer)}")
        figures = pool(customer)
        assert figures["queue_usage_percent"] > 80
        assert figures["active_count"] <= 40
        set_limits(stack, max_threads=15)
        poll(lambda: pool(customer)["threads"] <= 15, seconds=10)
        batch = customer.finished(batch_id, seconds=90)
        assert batch["counts"]["sent"] == 3_000, "shrinking cut a send off"
        assert gateway.doubles() == {}
        poll(lambda: pool(customer)["threads"] == 10, seconds=30)
        assert pool(customer)["completed_tasks"] > 0
    finally:
        set_limits(stack, queue_capacity=10_000, cooldown_seconds=2.0, max_threads=100)
