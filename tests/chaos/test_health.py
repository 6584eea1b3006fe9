"""`/health`, `/health/ready` and `/metrics` while a real part of the installation is stopped, or hangs."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from functools import partial
from typing import Any

import psutil
import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from tests import crowds
from tests.chaos.installation import Installation
from tests.integration.stack import METRICS_TOKEN, Stack
from tests.integration.waiting import poll
from tests.patience import Patience
from tests.services import Service

#: Longer than the report and the metrics may take (3 s and 8 s), as this machine is busy.
ANSWER_SECONDS = 20.0
LONGEST_SECONDS = 120.0
SERVICES = {"database": "postgresql", "broker": "rabbitmq", "redis": "redis"}
#: Without Redis there are no signs of life, so nothing is known of the processes; each service is named alone otherwise.
UNKNOWN = {"redis": {"workers", "beat"}}
PROCESSES = {"workers": ["worker", "worker-aux"], "beat": ["beat"]}


def hang(service: Service) -> None:
    """Stop a server with all its processes: each connection to PostgreSQL has one, in a group of its own."""
    for process in processes_of(service):
        process.suspend()


def go_on(service: Service) -> None:
    for process in processes_of(service):
        process.resume()


def processes_of(service: Service) -> list[psutil.Process]:
    assert service.process
    first = psutil.Process(service.process.pid)
    return [first, *first.children(recursive=True)]


@pytest.fixture(autouse=True)
def _well(installation: Installation) -> Iterator[None]:
    installation.mend()
    yield
    installation.mend()


def get(stack: Stack, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
    """Return the answer, which has to come within `ANSWER_SECONDS` in which this machine does not stand still."""
    ask = partial(urllib3.request, "GET", f"{stack.base_url}{path}", headers=headers, timeout=LONGEST_SECONDS, retries=False)
    with crowds.pool(1, seconds=2 * LONGEST_SECONDS) as caller:
        asked, patience = caller.submit(ask), Patience(ANSWER_SECONDS)
        while not wait([asked], timeout=0.1).done:
            assert not patience.is_over(), f"{path} did not answer within {ANSWER_SECONDS:g} s"
        return asked.result()


def states(stack: Stack) -> tuple[int, dict[str, str]]:
    """Ask whether it is ready, and return the status and the states of the parts."""
    answer = get(stack, "/health/ready")
    told: dict[str, Any] = json.loads(answer.data)
    return answer.status, {name: part["state"] for name, part in told["parts"].items()}


def up(stack: Stack) -> dict[str, float]:
    """Scrape the metrics, and return which services they say are there; nothing where that could not be found out in time."""
    answer = get(stack, "/metrics", Authorization=f"Bearer {METRICS_TOKEN}")
    assert answer.status == 200, answer.data[:300]
    families = {family.name: family for family in text_string_to_metric_families(answer.data.decode())}
    assert "posthaste_metric_errors" in families, "what could not be read is named"
    return {sample.labels["part"]: sample.value for sample in families["posthaste_up"].samples} if "posthaste_up" in families else {}


def says_up(stack: Stack, **expected: int) -> None:
    """Wait until the metrics say which services are there; those not named are."""
    wanted = dict.fromkeys(SERVICES, 1) | expected
    poll(lambda: up(stack) == wanted, reason=lambda: up(stack))


def said_to_be_away(stack: Stack, *parts: str, unknown: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """Wait until the report names what is away and nothing else, while the process itself goes on answering."""
    expected = {*parts, *unknown}
    seen: list[tuple[int, dict[str, str]]] = []

    def names_it() -> bool:
        seen.append(states(stack))
        status, found = seen[-1]
        return status == 503 and {name for name, state in found.items() if state != "ok"} == expected

    poll(names_it, progress=lambda: seen[-1], reason=lambda: seen[-1])
    assert all(seen[-1][1][name] == "unknown" for name in unknown)
    live = get(stack, "/health")
    assert (live.status, live.json()) == (200, {"status": "ok"})


def ready_again(stack: Stack) -> None:
    poll(lambda: states(stack)[0] == 200, progress=lambda: states(stack), reason=lambda: states(stack))


@pytest.mark.parametrize("how", ["stopped", "hanging"])
@pytest.mark.parametrize("part", SERVICES)
def test_a_service_that_is_away_is_named_and_the_metrics_go_on(installation: Installation, part: str, how: str) -> None:
    stack, service = installation.stack, installation.services[SERVICES[part]]
    ready_again(stack)
    says_up(stack)
    away, back = (service.stop, service.start) if how == "stopped" else (partial(hang, service), partial(go_on, service))
    away()
    try:
        said_to_be_away(stack, part, unknown=UNKNOWN.get(part, set()))
        says_up(stack, **{part: 0})
    finally:
        back()
    ready_again(stack)
    says_up(stack)


@pytest.mark.parametrize("part", PROCESSES)
def test_processes_that_do_not_run_are_named(installation: Installation, part: str) -> None:
    stack = installation.stack
    for name in PROCESSES[part]:
        stack.kill(name)
        said_to_be_away(stack, part)
        stack.start(name)
        ready_again(stack)


def test_everything_away_at_once_is_told_in_time(installation: Installation) -> None:
    stack = installation.stack
    undo: list[Callable[[], object]] = []
    for name in SERVICES.values():
        undo.append(partial(go_on, installation.services[name]))
        hang(installation.services[name])
    try:
        said_to_be_away(stack, *SERVICES, unknown={"workers", "beat"})
        says_up(stack, **dict.fromkeys(SERVICES, 0))
    finally:
        for thaw in undo:
            thaw()
    ready_again(stack)
