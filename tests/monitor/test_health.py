"""`/health` and `/health/ready`."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from monitor.health import parts, report
from monitor.health.parts import Check
from posthaste.lib import heartbeat, redis
from posthaste.lib.heartbeat import Process
from tests.builders import json_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
NEEDED = ("send", "aux", "beat")


@pytest.fixture(autouse=True)
def _nothing_lives() -> None:
    redis.client().delete(redis.key("alive"))  # what the test before told


def live(*kinds: str) -> None:
    for kind in kinds:
        heartbeat.report(Process(kind, "here", 4711, time.time(), 1, 1.0, 1))


@pytest.fixture
def hangs() -> Iterator[Callable[[], object]]:
    may_return = threading.Event()
    yield lambda: may_return.wait(60)
    may_return.set()


def test_a_live_process_says_so_and_asks_nothing_of_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "ready", lambda: pytest.fail("it must not depend on anything"))
    for path in ("/health", "/health/"):
        answer = Client().get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert "no-store" in answer["Cache-Control"]
    assert Client().post("/health").status_code == 405


def test_it_is_ready_when_services_and_processes_are_there() -> None:
    live(*NEEDED)
    answer = Client().get("/health/ready")
    told = json_of(answer)
    assert answer.status_code == 200, told
    assert told["status"] == "ok"
    assert {name: part["state"] for name, part in told["parts"].items()} == dict.fromkeys(
        ("database", "redis", "broker", "workers", "beat"), "ok"
    )
    assert told["processes"]["send"] >= 1


@pytest.mark.parametrize(("kind", "part"), [("send", "workers"), ("aux", "workers"), ("beat", "beat")])
def test_a_process_that_is_missing_is_named(kind: str, part: str) -> None:
    live(*(other for other in NEEDED if other != kind))
    answer = Client().get("/health/ready")
    told = json_of(answer)
    assert answer.status_code == 503
    assert told["parts"][part]["state"] == "missing"
    assert kind in told["parts"][part]["detail"]
    assert told["parts"]["database"]["state"] == "ok"


def test_without_redis_nothing_is_said_of_the_processes(own_redis: Any) -> None:
    live(*NEEDED)
    own_redis.kill()
    answer = Client().get("/health/ready")
    states = {name: part["state"] for name, part in json_of(answer)["parts"].items()}
    assert answer.status_code == 503
    assert (states["redis"], states["workers"], states["beat"], states["database"]) == ("away", "unknown", "unknown", "ok")


def test_however_many_hang_the_others_are_told_in_time_and_no_thread_is_added(
    monkeypatch: pytest.MonkeyPatch, hangs: Callable[[], object]
) -> None:
    live(*NEEDED)
    services = [Check(name, hangs, seconds=0.3) for name in ("database", "redis")]
    monkeypatch.setattr(parts, "SERVICES", (*services, parts.SERVICES[2]))
    monkeypatch.setattr(parts, "PROCESSES", (Check("workers", hangs, seconds=0.3, needs="redis"), parts.PROCESSES[1]))
    assert Client().get("/health/ready").status_code == 503
    before = threading.active_count()
    for _question in range(10):
        states = {name: part["state"] for name, part in json_of(Client().get("/health/ready"))["parts"].items()}
        assert states == {"database": "slow", "redis": "slow", "broker": "ok", "workers": "unknown", "beat": "ok"}
    assert threading.active_count() <= before


def test_a_part_that_hung_is_asked_again_when_it_has_come_back() -> None:
    may_return = threading.Event()
    answers: Iterator[Callable[[], object]] = iter([lambda: may_return.wait(60), lambda: None])
    check = Check("trial", lambda: next(answers)(), seconds=0.05)
    assert parts.look([check])[0].state == "slow"
    first = check.begin()  # the question that is still open: no second one is asked
    may_return.set()
    first.result(60)
    check.seconds = 60
    assert parts.look([check])[0].is_well


def test_an_error_is_told_as_away_and_its_text_stays_in_the_log() -> None:
    def fails() -> None:
        raise OSError("password=hunter2")

    part = parts.look([Check("trial", fails, seconds=60)])[0]
    assert (part.state, part.detail) == ("away", "")
