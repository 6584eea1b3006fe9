"""`GET /metrics`: the figures of the installation for Prometheus."""

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from messaging.models import Status
from messaging.queueing import queue_statistics
from messaging.scopes import READ, STATISTICS
from monitor.metrics import outlet
from monitor.metrics.outlet import figures
from posthaste.lib import metrics, redis
from posthaste.lib.metrics import metric
from tests.builders import Api, make_api, make_message, make_tenant

pytestmark = pytest.mark.django_db(transaction=True)  # readers have a connection of their own


@pytest.fixture(autouse=True)
def _read_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(metrics, "_metrics", dict(metrics._metrics))
    figures.forget()
    yield
    figures.forget()


@pytest.fixture
def operator() -> Api:
    return make_api(make_tenant(is_operator=True), STATISTICS)


def samples(api: Api) -> dict[str, dict[tuple[str, ...], float]]:
    """Read the answer as Prometheus does: the numbers of each name by the values of their labels."""
    answer = api.get("/metrics")
    assert answer.status_code == 200, answer.content
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        assert family.documentation, family.name
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_it_tells_what_the_platform_stands_on_and_what_waits(operator: Api) -> None:
    tenant = make_tenant()
    make_message(tenant, status=Status.SENDING)
    queue_statistics.report_pool("host:1", {"instance": "host:1", "threads": 10, "active_count": 4}, alive_seconds=5)
    try:
        found = samples(operator)
    finally:
        queue_statistics.forget_pool("host:1")
    assert found["posthaste_up"] == {("database",): 1, ("redis",): 1, ("broker",): 1}
    assert found["posthaste_sending_messages"] == {(): 1}
    assert found["posthaste_pool_threads"][("host:1",)] == 10
    assert found["posthaste_pool_busy_threads"][("host:1",)] == 4
    assert {("message.send",), ("delayed",)} <= set(found["posthaste_broker_tasks"])
    assert ("sent",) in found["posthaste_message_event_rate"]
    assert "posthaste_metric_errors" not in found


def test_one_metric_that_fails_is_left_out_and_named(operator: Api) -> None:
    metric("broken", help="Breaks.")(lambda: 1 / 0)
    found = samples(operator)
    assert "posthaste_broken" not in found
    assert found["posthaste_metric_errors"] == {("broken",): 1}
    assert "posthaste_up" in found


def test_it_answers_while_redis_is_away(operator: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert operator.get("/metrics").status_code == 200  # the key is known now
    figures.forget()

    def away() -> Any:
        raise redis.Unavailable

    monkeypatch.setattr(redis, "client", away)
    found = samples(operator)
    assert found["posthaste_sending_messages"] == {(): 0}
    assert ("pool_threads",) in found["posthaste_metric_errors"]


def test_scrapes_within_a_second_are_answered_by_one_reading(operator: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "KEEP_SECONDS", 600.0)  # this machine may be slow
    read: list[int] = []

    @metric("readings", help="How often it was read.")
    def readings() -> float:
        read.append(1)
        return len(read)

    for _scrape in range(5):
        assert samples(operator)["posthaste_readings"] == {(): 1}


def test_it_speaks_the_format_that_is_asked_for(operator: Api) -> None:
    for accept, kind, last in (
        ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text", b"# EOF\n"),
        ("text/plain;version=0.0.4", "text/plain", b"\n"),
        ("*/*", "text/plain", b"\n"),
    ):
        answer = operator.request("GET", "/metrics", headers={"Accept": accept})
        assert answer["Content-Type"].startswith(kind)
        assert answer.content.endswith(last)


def test_the_figures_are_for_those_who_operate_the_installation() -> None:
    assert Api().get("/metrics").status_code == 401
    assert make_api(make_tenant(is_operator=True), READ).get("/metrics").status_code == 403
    refused = make_api(make_tenant(), STATISTICS).request("GET", "/metrics", headers={"Accept": "text/plain"})
    assert (refused.status_code, refused["Content-Type"]) == (404, "application/problem+json")
