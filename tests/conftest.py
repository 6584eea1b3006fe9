"""What every test shares. The servers come from the environment, which tests/run.py fills (`make test`)."""

import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from posthaste import env
from posthaste.lib import garbage
from tests.left_threads import no_threads_left
from tests.memories import forget
from tests.peers.mute import Mute, mute
from tests.prepared import POSTGRESQL, SQLITE, prepared

if TYPE_CHECKING:
    from tests.services import Service

__all__ = ["no_threads_left"]

hypothesis.settings.register_profile("posthaste", deadline=None)  # a busy machine is not a fault
hypothesis.settings.load_profile("posthaste")


def pytest_report_header() -> str:
    """Say in the first lines which stack is tested."""
    settings = env.load()
    return f"stack: {'PostgreSQL' if settings.is_postgresql else 'SQLite'}, {'RabbitMQ' if settings.is_rabbitmq else 'Valkey'}"


def pytest_sessionstart() -> None:
    """Keep entrances that a test imports from starting the watch: a test sets its own configuration."""
    from django.apps import apps

    if apps.ready:
        from configcenter.services import watch
        from monitor.alarms import evaluator
        from posthaste import urls  # noqa: F401 - finds the pages, which some tests list when they are collected
        from posthaste.lib import late_writes
        from tests import flush, savings

        late_writes.never_here()
        watch.never_here()
        evaluator.never_here()
        flush.install()
        savings.install()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage as a server does: what all tests are made of stays to the end, and looking at it takes a tenth of the time."""
    garbage.expect_little()
    try:
        return (yield)
    finally:
        garbage.settle()


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Let Django take the database of the tests as it was copied, and migrate it, which finds nothing to do (tests/prepared.py)."""
    from django.db import connection

    return prepared(connection.vendor) is not None


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite in a file, as it runs for users: Django would take one in memory, which threads share in another way.

    It does not wait for the disk: that is for when the machine crashes, not for a process that tests kill.
    """
    from django.db import connection

    if connection.vendor == "sqlite":
        connection.settings_dict["OPTIONS"]["init_command"] += "; PRAGMA synchronous=OFF"
        connection.settings_dict["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "posthaste.sqlite3")
        if database := prepared(SQLITE):
            shutil.copy(database, connection.settings_dict["TEST"]["NAME"])
    elif prepared(POSTGRESQL):
        connection.settings_dict["TEST"]["TEMPLATE"] = connection.settings_dict["NAME"]


@pytest.fixture(autouse=True)
def _no_memories() -> Iterator[None]:
    """Empty the process's caches before and after each test, and what is in Redis before it: the next one does."""
    forget(in_redis=True)
    yield
    forget(in_redis=False)


@contextmanager
def _redis_at(url: str) -> "Iterator[None]":
    """Let this process use another Redis for the block."""
    from posthaste.lib import redis

    usual, env.load().redis_url = env.load().redis_url, url
    redis.client.cache_clear()
    try:
        yield
    finally:
        env.load().redis_url = usual
        redis.client.cache_clear()


@pytest.fixture
def own_redis(tmp_path: Path) -> "Iterator[Service]":
    """Start a Redis that the test may kill, in place of the shared one."""
    from tests.services import Redis, Valkey

    server = (Redis if env.load().is_rabbitmq else Valkey)(tmp_path).start()
    try:
        with _redis_at(server.url_of(0)):
            yield server
    finally:
        server.stop()


@pytest.fixture
def hanging_redis() -> "Iterator[Mute]":
    """Put a Redis that takes connections and answers nothing in place of the real one."""
    with mute() as server, _redis_at(f"redis://127.0.0.1:{server.port}/0"):
        yield server
