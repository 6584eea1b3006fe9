"""`GET /metrics`: the figures of the installation for Prometheus."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from configcenter.services import instances
from messaging.models import Status
from messaging.queueing import broker, queue_statistics
from messaging.scopes import READ, STATISTICS
from monitor import figures
from monitor.health import parts
from monitor.metrics import outlet, scrapers
from posthaste import env
from posthaste.lib import heartbeat, metric_readings, metrics, redis
from posthaste.lib.flow import gate
from posthaste.lib.heartbeat import Process
from posthaste.lib.metrics import metric
from posthaste.lib.request_counts import area_of, counted, request_counts
from tests.builders import Api, make_api, make_message, make_provider, make_tenant
from tests.patience import Patience
from tests.peers.mute import Mute
from tracing.services import totals
from tracing.services.totals import Totals

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
    queue_statistics.report_pool("host:1", {"instance": "host:1", "threads": 10, "active_count": 4}, alive_seconds=60)
    queue_statistics.report_pool("host:2", {"instance": "host:2", "threads": 20, "active_count": 1}, alive_seconds=60)
    try:
        found = samples(operator)
    finally:
        queue_statistics.forget_pool("host:1")
        queue_statistics.forget_pool("host:2")
    assert found["posthaste_up"] == {("database",): 1, ("redis",): 1, ("broker",): 1}
    assert found["posthaste_sending_messages"] == {(): 1}
    assert found["posthaste_pool_threads"] == {(): 30}
    assert found["posthaste_pool_busy_threads"] == {(): 5}
    assert found["posthaste_pool_usage_percent"] == {(): 2.5}
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


def test_a_scrape_waits_once_while_redis_hangs(operator: Api, hanging_redis: Mute) -> None:
    read = figures.read()
    errors = {name: figure.error for name, figure in read.items() if figure.error}
    assert read["up"].values["redis",] == 0
    asking_redis = {"pool_threads", "message_events_total", "message_event_rate", "redis_memory_bytes", "open_breakers", "processes"}
    assert asking_redis <= {name for name, error in errors.items() if "did not respond a moment ago" in error}
    assert not [name for name, error in errors.items() if "Timeout" in error], "all others were read, or failed at once"
    assert read["sending_messages"].is_known


def test_some_figures_wait_once_too(hanging_redis: Mute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "SOCKET_SECONDS", 0.2)
    read = figures.read(["pool_threads", "recent_failures", "redis_memory_bytes", "open_breakers", "unexported_traces_total"])
    assert not any(figure.is_known for figure in read.values())
    at_once = [figure for figure in read.values() if "did not respond a moment ago" in figure.error]
    assert len(at_once) == len(read) - 1


def test_what_is_found_away_outside_a_reading_is_not_remembered() -> None:
    metric_readings.found_away({"broker", "redis"})
    metric_readings.must_respond("broker")
    assert redis.client().ping()


def test_a_broker_that_is_away_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(parts.SERVICES[2], "_ask", lambda: 1 / 0)
    monkeypatch.setattr(broker, "depths", lambda: asked.append("depths"))
    read = figures.read(["up", "broker_tasks"])
    assert read["up"].values == {("database",): 1, ("redis",): 1, ("broker",): 0}
    assert (asked, read["broker_tasks"].is_known) == ([], False)


def test_an_answer_comes_at_its_deadline_though_a_reading_goes_on_and_readers_hang(operator: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a deadline of its own, the answer would wait for the other reading, which here lasts until the answer is there."""
    monkeypatch.setattr(outlet, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(metric_readings, "READER_SECONDS", 600.0)
    monkeypatch.setattr(metric_readings, "ALL_SECONDS", 600.0)
    monkeypatch.setattr(metrics, "_metrics", {})
    may_return = threading.Event()
    for name in ("hanging", "hanging_too"):
        metric(name, help="Hangs.")(lambda: float(may_return.wait(600)))
    everything = {("hanging",): 1, ("hanging_too",): 1}
    try:
        assert samples(operator) == {"posthaste_metric_errors": everything}, "its readers hang"
        with figures._lock:
            assert samples(operator) == {"posthaste_metric_errors": everything}, "another reading is under way"
    finally:
        may_return.set()


def test_a_scrape_asks_for_no_limit_that_may_wait_for_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env.load(), "metrics_token", SecretStr("x" * 40))
    asked: list[str] = []
    monkeypatch.setattr(gate, "ask", lambda resource, _values: asked.append(resource))
    assert (scrape(token="x" * 40), asked) == (200, [])
    assert (scrape(token="nonsense"), asked) == (401, [])


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


# --- what is counted ------------------------------------------------------------------------------------------


def test_events_and_latencies_are_counters_by_channel(operator: Api) -> None:
    pipeline = redis.client().pipeline(transaction=False)
    counted = Totals()
    counted.count("sms", "sent", 3)
    counted.took("sms", [40, 60, 4_000_000])
    counted.publish(pipeline, datetime.now(UTC))
    pipeline.execute()
    before = samples(operator)
    assert before["posthaste_message_events_total"]["sms", "sent"] >= 3
    assert ("email", "failed") in before["posthaste_message_events_total"], "each from the start, so that an increase is seen"
    counted.took("sms", [60])
    counted.publish(pipeline, datetime.now(UTC))
    pipeline.execute()
    figures.forget()
    after = samples(operator)
    buckets = {
        bound: after["posthaste_delivery_latency_seconds_bucket"]["sms", bound]
        - before["posthaste_delivery_latency_seconds_bucket"]["sms", bound]
        for bound in ("0.05", "0.1", "+Inf")
    }
    assert buckets == {"0.05": 0, "0.1": 1, "+Inf": 1}
    rise = after["posthaste_delivery_latency_seconds_sum"][("sms",)] - before["posthaste_delivery_latency_seconds_sum"][("sms",)]
    assert rise == pytest.approx(0.06)


@pytest.mark.parametrize(
    ("latencies", "percent", "expected"),
    [([], 95, None), ([10] * 100, 50, 25), ([10] * 90 + [80] * 10, 95, 75), ([9_999_999], 50, 3_600_000)],
)
def test_a_percentile_is_estimated_within_its_bound(latencies: list[int], percent: float, expected: float | None) -> None:
    counted = Totals()
    counted.took("sms", latencies)
    assert totals.percentile_ms(counted.histogram("sms"), percent) == expected


def test_requests_are_counted_by_area_and_status(operator: Api) -> None:
    def answers(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("201 Created", [])
        return [b""]

    before = samples(operator)["posthaste_http_requests_total"].get(("messages", "201"), 0)
    application = counted(answers)
    for _request in range(2):
        application({"REQUEST_METHOD": "POST", "PATH_INFO": "/api/messages/"}, lambda *_args: None)
    request_counts.publish()
    figures.forget()
    after = samples(operator)
    assert after["posthaste_http_requests_total"]["messages", "201"] - before == 2
    assert after["posthaste_http_request_seconds_count"][("messages",)] >= 2


@pytest.mark.parametrize(
    ("method", "path", "area"),
    [
        ("POST", "/api/messages", "messages"),
        ("POST", "/api/messages/batch/", "messages"),
        ("GET", "/api/messages/", "api"),
        ("GET", "/", "other"),
        ("GET", "/wp-login.php", "other"),
        ("GET", "/admin/login/", "admin"),
    ],
)
def test_an_invented_address_adds_no_series(method: str, path: str, area: str) -> None:
    assert area_of(method, path) == area


# --- the number of series -------------------------------------------------------------------------------------


def series(api: Api) -> set[str]:
    """Return all series, once none was left out because a busy machine read it too slowly."""
    patience = Patience(60)
    while True:
        figures.forget()
        answer = api.get("/metrics")
        assert answer.status_code == 200
        found = {line.rpartition(" ")[0] for line in answer.content.decode().splitlines() if line and not line.startswith("#")}
        left_out = {one for one in found if one.startswith("posthaste_metric_errors{")}
        if not left_out:
            return found
        assert not patience.is_over(), f"left out each time: {left_out}"


def start_and_die(number: int) -> None:
    """Tell what a worker tells while it lives, each with another process id, as after a restart."""
    who = instances.Identity("host", "send")
    state = instances.State(source="database", revision=1, versions={"queues": instances.Version(1, "0" * 32, 10)})
    name = f"host:{number}"
    queue_statistics.report_pool(name, {"instance": name, "threads": 10, "active_count": 1}, alive_seconds=5)
    heartbeat.report(Process("send", "host", number, time.time(), 100_000_000, 40.0, 10**10))
    instances.report(who=who, state=state, started_at=datetime.now(UTC))


@pytest.mark.usefixtures("nothing_told")
def test_500_restarts_of_a_worker_leave_the_number_of_series_as_it_was(operator: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    start_and_die(1)
    before = series(operator)
    for number in range(2, 502):
        monkeypatch.setattr(instances, "own_id", lambda _who, number=number: f"host:{number}:send")
        start_and_die(number)
    monkeypatch.undo()
    after = series(operator)
    assert after == before, "neither more series nor others: in Prometheus, each other one would stay"


@pytest.mark.usefixtures("nothing_told")
def test_new_tenants_and_providers_add_no_series_unless_details_are_asked_for(operator: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    start_and_die(1)  # a worker lives, whatever else does
    before = series(operator)
    for number in range(20):
        tenant = make_tenant(f"Tenant {number}")
        make_provider(tenant, name=f"gateway {number}")
        make_message(tenant, status=Status.SENDING)
    start_and_die(1)
    assert series(operator) == before
    monkeypatch.setattr(env.load(), "metrics_detail", True)
    heartbeat.report(Process("send", "other-host", 1, time.time(), 1, 40.0, 1))
    assert 'posthaste_disk_used_percent{host="other-host"}' in series(operator)


def test_no_series_names_a_process() -> None:
    assert "instance" not in Counter(label for found in metrics.metrics() if found.fold is None for label in found.labels)


# --- who may read them ----------------------------------------------------------------------------------------


def scrape(*, token: str = "", address: str = "192.0.2.1", method: str = "get") -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = Api().request(method.upper(), "/metrics", headers=headers, REMOTE_ADDR=address)
    return int(answer.status_code)


def test_a_token_of_the_environment_lets_a_scraper_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert scrape(token="x" * 40) == 401
    monkeypatch.setattr(env.load(), "metrics_token", SecretStr("x" * 40))
    assert scrape(token="x" * 40) == 200
    assert scrape(token="x" * 39) == 401
    assert scrape() == 401
    assert scrape(token="x" * 40, method="post") in (401, 405)


def test_an_address_of_a_network_of_the_environment_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env.load(), "metrics_networks", ["10.1.0.0/16", "2001:db8::/32"])
    scrapers._networks.cache_clear()
    try:
        assert [scrape(address=address) for address in ("10.1.2.3", "10.2.0.1", "2001:db8::1", "2001:db9::1")] == [200, 401, 200, 401]
    finally:
        monkeypatch.undo()
        scrapers._networks.cache_clear()


def test_a_scraper_inside_the_network_is_not_sent_to_https(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    monkeypatch.setattr(env.load(), "metrics_token", SecretStr("x" * 40))
    assert scrape(token="x" * 40) == 200
    assert scrape() == 401
    assert Api().get("/api/messages/").status_code == 301


@pytest.mark.parametrize("given", [{"metrics_token": SecretStr("short")}, {"metrics_networks": ["10.1.0.0/40"]}])
def test_a_rule_that_protects_nothing_is_refused_at_the_start(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"characters|not appear"):
        env.Environment(**given)


def test_active_alarms_are_counted_by_severity(operator: Api) -> None:
    assert set(samples(operator)["posthaste_firing_alarms"]) == {("info",), ("warning",), ("critical",)}
