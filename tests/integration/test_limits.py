"""Limits of a running installation, published while clients hand over as much as they can."""

import bisect
import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from urllib3.exceptions import HTTPError

from tests import crowds
from tests.integration.customer import Customer, number
from tests.integration.stack import Stack
from tests.integration.waiting import poll, reach

BEFORE, AFTER = 40, 80  # a second: the drill's 1,000 and 2,000 in the same ratio, so that any machine can hand over more
CLIENTS = 8
LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def rules(stack: Stack) -> Iterator[None]:
    """Put the rules back after a test has published its own."""
    usual = stack.http.get("/api/config/modules/flow_rules/").json()["effective"]
    yield
    stack.configure("flow_rules", **usual)


def accept_rule(**fields: Any) -> dict[str, Any]:
    return {"name": "accept", "resource": "accept", "origin": "tenant", **fields}


def message(**fields: Any) -> dict[str, Any]:
    """One that is not due while the test runs."""
    return {"channel": "sms", "body": "drill", "recipient": number(), "send_at": LATER.isoformat(), **fields}


def test_an_answer_about_thousands_of_bad_rows_ends(stack: Stack) -> None:
    customer = Customer(stack)
    rows = [{"recipient": "zzz"}] * 5_000
    body = {"channel": "sms", "body": "drill", "send_at": LATER.isoformat(), "recipients": rows}
    refused = customer.http.post("/api/messages/batch", body)
    assert (refused.status, len(refused.json()["errors"])) == (422, 101)
    skipped = customer.http.post("/api/messages/batch", {**body, "recipients": [*rows, {"recipient": number()}], "on_error": "skip"})
    assert (skipped.status, len(skipped.json()["rejected"])) == (202, 5_000)
    assert len(skipped.data) > 256 * 1024


class Crowd:
    """Clients that hand over single messages without a pause, and note when each was let in or refused."""

    def __init__(self, customer: Customer) -> None:
        self._http = customer.http
        self.let_in: list[float] = []
        self.refused: list[dict[str, Any]] = []
        self._over = threading.Event()
        self._callers = crowds.Crowd([self._talk] * CLIENTS)

    def __enter__(self) -> "Crowd":
        self._callers.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._callers.join()

    def _talk(self) -> None:
        while not self._over.is_set():
            try:
                answer = self._http.post("/api/messages/", message())
            except HTTPError:
                continue
            if answer.status == 202:
                self.let_in.append(time.monotonic())
            else:
                assert answer.status == 429, answer.data
                self.refused.append({**answer.json(), "retry_after": answer.headers.get("Retry-After")})
                self._over.wait(0.005)

    def between(self, since: float, until: float) -> int:
        """Count what was let in within a span."""
        return sum(since <= at < until for at in list(self.let_in))

    def busiest(self, *, since: float = 0.0, until: float = math.inf) -> int:
        """Count what was let in during the busiest second of a span."""
        times = sorted(at for at in list(self.let_in) if since <= at < until)
        return max((bisect.bisect_left(times, at + 1) - n for n, at in enumerate(times)), default=0)


def test_promotion_drill_of_the_limits(rules: None, stack: Stack) -> None:
    """A rate is doubled under load: until then never more than the old one, at once more, and never more than the new one."""
    customer = Customer(stack)
    stack.configure("flow_rules", rules=[accept_rule(per_second=BEFORE)])
    with Crowd(customer) as crowd:
        poll(lambda: crowd.refused, reason="the clients hand over no more than the old rule")
        reach(lambda: len(crowd.let_in), 3 * BEFORE)
        before = time.monotonic()
        stack.publish("flow_rules", rules=[accept_rule(per_second=AFTER)])
        published = time.monotonic()
        poll(lambda: crowd.busiest(since=published) > 1.4 * BEFORE, progress=lambda: len(crowd.let_in), every=0.2)
        assert crowd.between(published, time.monotonic()) <= 3 * AFTER, "three seconds at most, counted in messages"
        reach(lambda: crowd.between(published, time.monotonic()), 5 * AFTER)
    slack = 1.1  # a window of the client's clock is not one of the server's
    assert crowd.busiest(until=before) <= slack * BEFORE + CLIENTS
    assert crowd.busiest() <= slack * AFTER + CLIENTS
    assert {problem["limited_by"] for problem in crowd.refused} == {"accept"}
    assert all(int(problem["retry_after"]) >= 1 for problem in crowd.refused)


def test_beyond_the_systems_bounds_low_priorities_are_refused_and_urgent_messages_let_in(rules: None, stack: Stack) -> None:
    customer = Customer(stack)
    stack.configure("flow_rules", system={"is_enabled": True, "latency_ms": 1, "load_per_core": 1000, "threads_percent": 100})
    refused: Counter[str] = Counter()

    def hand_over(priority: int) -> int:
        answer = customer.http.post("/api/messages/", message(priority=priority))
        if answer.status == 429:
            refused[answer.json()["limited_by"]] += 1
        return int(answer.status)

    poll(lambda: hand_over(0) == 429, every=0, reason="a mean latency of more than a millisecond is no pressure")
    assert set(refused) == {"system"}
    assert [hand_over(10) for _ in range(20)] == [202] * 20


def test_the_adaptive_limit_comes_down_under_load_between_its_bounds_and_says_why(rules: None, stack: Stack) -> None:
    customer = Customer(stack)
    bounds = {"min_per_second": 40, "max_per_second": 400, "target_latency_ms": 1}
    stack.configure("flow_rules", rules=[], adaptive={"is_enabled": True, "step_percent": 50, "every_seconds": 1, **bounds})

    def shown() -> dict[str, Any]:
        found: dict[str, Any] = stack.http.get("/api/limits/").json()["adaptive"]
        return found

    with Crowd(customer) as crowd:
        poll(lambda: shown()["limit"] == 40, progress=lambda: shown()["limit"], reason=lambda: f"it did not come down: {shown()}")
        poll(lambda: any(problem.get("limited_by") == "adaptive" for problem in crowd.refused))
    down = [step for step in shown()["steps"] if step["reason"] == "latency"]
    assert len(down) >= 2
    assert all(40 <= step["limit"] <= step["before"] <= 400 and step["latency_ms"] > 1 for step in down)
