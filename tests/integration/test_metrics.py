"""`/metrics` of the running product, as Prometheus reads it, and granian's own."""

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.prometheus_names import wanted
from tests.integration.customer import Customer
from tests.integration.stack import ANSWER_SECONDS, METRICS_TOKEN, Stack
from tests.integration.waiting import poll
from tests.peers.gateway import Gateway

pytestmark = pytest.mark.both_stacks
#: What there is nothing to say of in this installation.
MAY_BE_MISSING = {
    "posthaste_drain_rate",  # nothing waits
    "posthaste_certificate_days",  # no provider with a certificate
    "posthaste_credential_days",  # none whose expiry is known
    "posthaste_trace_export_lag_seconds",  # traces are not exported
    "posthaste_config_apply_seconds",  # all processes started after the last release
}

KINDS = ("web", "send", "aux", "beat", "ws")

Samples = dict[str, dict[tuple[str, ...], float]]


@pytest.fixture
def customer(stack: Stack) -> Customer:
    return Customer(stack)


def scrape(url: str, token: str = "") -> tuple[set[str], Samples]:
    """Return the names of an answer, and its numbers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = urllib3.request("GET", url, headers=headers, timeout=ANSWER_SECONDS, retries=False)
    assert answer.status == 200, answer.data[:300]
    names: set[str] = set()
    found: Samples = {}
    for family in text_string_to_metric_families(answer.data.decode()):
        # A family without samples is there too: there is nothing of the kind at the moment.
        names.add(f"{family.name}_total" if family.type == "counter" else family.name)
        for sample in family.samples:
            names.add(sample.name)
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return names, found


def ours(stack: Stack) -> tuple[set[str], Samples]:
    return scrape(f"{stack.base_url}/metrics", METRICS_TOKEN)


def servers(stack: Stack) -> set[str]:
    return {name for place in (0, 1) for name in scrape(f"http://127.0.0.1:{stack.metrics_port + place}/metrics")[0]}


def test_every_metric_that_rules_and_dashboard_ask_for_is_in_a_real_answer(stack: Stack, customer: Customer) -> None:
    with Gateway() as gateway:
        customer.gateway(gateway)
        customer.settled(customer.send())
    names, found = ours(stack)
    assert found.get("posthaste_metric_errors", {}) == {}
    asked = {name for name in wanted() if name.startswith("posthaste")}
    assert asked - names - MAY_BE_MISSING == set()
    asked_of_servers = {name for name in wanted() if name.startswith("granian")}
    assert asked_of_servers
    poll(lambda: asked_of_servers <= servers(stack), reason=lambda: asked_of_servers - servers(stack))


def test_a_message_shows_up_in_the_counters_of_its_channel(stack: Stack, customer: Customer) -> None:
    def numbers() -> tuple[float, ...]:
        found = ours(stack)[1]
        return (
            found["posthaste_message_events_total"]["sms", "accepted"],
            found["posthaste_message_events_total"]["sms", "sent"],
            found["posthaste_delivery_latency_seconds_count"][("sms",)],
            sum(
                number for (area, status), number in found["posthaste_http_requests_total"].items() if (area, status) == ("messages", "202")
            ),
        )

    before = numbers()
    with Gateway() as gateway:
        customer.gateway(gateway)
        for _message in range(3):
            customer.settled(customer.send())
        poll(lambda: all(now - then >= 3 for now, then in zip(numbers(), before, strict=True)), reason=lambda: (before, numbers()))


def test_processes_tell_their_memory_and_restarts_of_a_worker_add_no_series(stack: Stack) -> None:
    def series() -> set[tuple[str, tuple[str, ...]]]:
        return {(name, labels) for name, samples in ours(stack)[1].items() for labels in samples if name.startswith("posthaste_process")}

    found = ours(stack)[1]
    assert found["posthaste_processes"][("send",)] >= 1
    for kind in KINDS:
        assert 10_000_000 < found["posthaste_process_memory_max_bytes"][(kind,)] < 2_000_000_000
    before = series()
    lasting = {(name, labels) for name, labels in before if labels[0] in KINDS}  # what another test has started and ended may expire
    for _restart in range(2):
        stack.restart("worker")
        poll(lambda: series() >= lasting, reason=lambda: lasting - series())
        assert series() <= before


def test_strangers_see_no_metrics(stack: Stack) -> None:
    assert stack.http.get("/metrics", key="").status == 401
    assert stack.http.get("/metrics", key=METRICS_TOKEN[:-1] + "x").status == 401
