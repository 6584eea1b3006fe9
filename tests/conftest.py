"""What every test shares. The servers come from the environment, which tests/run.py fills (`make test`)."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from posthaste import env
from tests.stacks import stacks_of

if TYPE_CHECKING:
    from tests.services import Service

#: Threads of the product that live as long as the process, by how their names begin.
LASTING_THREADS = ("configuration", "flow-keeper", "lock-watchdog", "outage", "broker-probe", "tally", "autoscaler-readings", "heartbeat-")
THREADS_END_SECONDS = 20.0  # generous: a test that leaves none never waits


def pytest_report_header() -> str:
    """Say in the first lines which stack is tested."""
    settings = env.load()
    return f"stack: {'PostgreSQL' if settings.is_postgresql else 'SQLite'}, {'RabbitMQ' if settings.is_rabbitmq else 'Valkey'}"


def pytest_sessionstart() -> None:
    """A test says itself what is configured: an entrance that it imports must not start the thread that would say otherwise."""
    from django.apps import apps

    if apps.ready:
        from configcenter.services import watch
        from tests import flush

        watch.never_here()
        flush.install()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite in a file, as it runs for users: Django would take one in memory, which threads share in another way."""
    from django.db import connection

    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "posthaste.sqlite3")


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    """Fail a test that leaves a thread behind: it would go on into the tests that follow."""
    before = {*threading.enumerate()}
    yield

    def left() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one not in before and not one.name.startswith(LASTING_THREADS)]

    deadline = time.monotonic() + THREADS_END_SECONDS
    while left() and time.monotonic() < deadline:
        time.sleep(0.01)
    if remaining := left():
        pytest.fail(f"The test left threads behind:\n{stacks_of(remaining)}", pytrace=False)


@pytest.fixture(autouse=True)
def _no_memories() -> Iterator[None]:
    """What a process remembers for a moment (keys, providers, templates, room in the broker) must not outlive a test."""
    forget()
    yield
    forget()


@pytest.fixture
def own_redis(tmp_path: Path) -> "Iterator[Service]":
    """A Redis that the test may kill, in place of the one that all tests share."""
    from posthaste.lib import redis
    from tests.services import Redis, Valkey

    server = (Redis if env.load().is_rabbitmq else Valkey)(tmp_path).start()
    usual, env.load().redis_url = env.load().redis_url, server.url_of(0)
    redis.client.cache_clear()
    try:
        yield server
    finally:
        env.load().redis_url = usual
        redis.client.cache_clear()
        server.stop()


def forget() -> None:
    """Empty what this process remembers, and what belongs to all processes in Redis and is not a row."""
    from django.apps import apps

    if not apps.ready:  # a test without Django
        return
    from messaging.queueing import admission
    from posthaste.lib import process_state, redis

    process_state.reset()
    with suppress(redis.Unavailable):
        redis.client().delete(*admission.redis_keys(), redis.key("breakers"), redis.key("breakers", "waits"))
