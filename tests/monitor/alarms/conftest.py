"""A metric that a test sets, receivers on this machine, and an evaluator that takes turns when it is told."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from pydantic import SecretStr

from accounts.selectors import Tenant
from monitor import figures
from monitor.alarms.configuration import alarms
from monitor.alarms.evaluator import Evaluator
from monitor.alarms.lease import Place
from posthaste import env
from posthaste.lib import heartbeat, http, metrics, redis
from posthaste.lib.metrics import metric
from tests.builders import close_committer, configure, make_provider, make_tenant
from tests.monitor.alarms.rules import after, receiver, rule
from tests.peers.smtp import MailServer

LOAD = "test_load"


@dataclass
class Load:
    """The metric's value: a number, numbers by label, or None for no data."""

    value: float | None = 0.0
    by_label: dict[str, float] | None = None

    def read(self) -> Any:
        """Return what the metric gives."""
        return self.value if self.by_label is None else self.by_label


@dataclass
class Turns:
    """An evaluator in this process."""

    load: Load
    evaluator: Evaluator = field(default_factory=Evaluator)

    def at(self, seconds: float, value: float | None = None, *, place: Place = Place.REDIS) -> datetime:
        """Take a turn so many seconds after the start; with a value, the metric has it first."""
        if value is not None:
            self.load.value = value
        figures.forget()
        now = after(seconds)
        self.evaluator.turn(place, now=now)
        return now


@pytest.fixture(autouse=True)
def _local_peers_may_be_reached(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OUTBOUND_ALLOWED_NETWORKS", "127.0.0.0/8")
    env.load.cache_clear()
    http.client.cache_clear()
    yield
    http.client().close()
    monkeypatch.undo()
    env.load.cache_clear()
    http.client.cache_clear()


@pytest.fixture(autouse=True)
def _no_process_lives() -> None:
    """Forget the signs of life that an earlier test left, which last for seconds."""
    if found := list(redis.client().scan_iter(match=redis.key("alive*"))):
        redis.client().delete(*found)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    found = Load()
    kept = {name: one for name, one in metrics._metrics.items() if name in ("up", "processes")}
    monkeypatch.setattr(metrics, "_metrics", kept)
    metric(LOAD, title="Load", help="What a test sets.")(found.read)
    return found


@pytest.fixture
def labelled(monkeypatch: pytest.MonkeyPatch) -> Load:
    found = Load(by_label={})
    kept = {name: one for name, one in metrics._metrics.items() if name in ("up", "processes")}
    monkeypatch.setattr(metrics, "_metrics", kept)
    metric(LOAD, title="Load", help="What a test sets.", labels=("part",))(found.read)
    return found


@pytest.fixture
def turns(load: Load) -> Iterator[Turns]:
    yield Turns(load)
    close_committer()


@pytest.fixture
def operator() -> Tenant:
    """Make a tenant that operates the installation, with a provider that would send e-mails."""
    tenant = make_tenant("Ops", is_operator=True)
    config = {"host": "127.0.0.1", "port": 9, "security": "none", "from_email": "alarms@example.com", "timeout_seconds": 1}
    make_provider(tenant, channel="email", kind="email", config=config)
    return tenant


@pytest.fixture
def worker_lives(_no_process_lives: None) -> None:
    """Have the platform work, as far as its figures tell."""
    heartbeat.report(heartbeat.look("send", started_at=time.time()))


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    with MailServer() as server:
        monkeypatch.setattr(
            env.load(), "alarm_smtp_url", SecretStr(f"smtp://127.0.0.1:{server.port}/?from=alarms@example.com&security=none")
        )
        yield server


@pytest.fixture
def watched() -> Callable[..., None]:
    """Put one rule on the load in force: above 100 at once, with a receiver by e-mail."""

    def put(**fields: Any) -> None:
        own = {"metric": LOAD, "for_seconds": 0, "hold_seconds": 30} | fields.pop("rule", {})
        values = {"rules": [rule("load", **own)], "receivers": [receiver()], "group_wait_seconds": 0, "group_interval_seconds": 0} | fields
        configure(alarms, **values)

    return put
