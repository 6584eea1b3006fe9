"""The running product for the tests of this folder."""

import shutil
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from urllib3.util import parse_url

from posthaste import env
from tests import packages
from tests.integration.customer import forgotten
from tests.integration.mending import effective, mend, mend_configuration
from tests.integration.stack import Stack
from tests.integration.waiting import poll
from tests.prepared import POSTGRESQL, SQLITE, prepared

# Its own database, virtual host and Redis number: what unit tests write, truncate or consume in theirs must not meet it.
NAME = "stack"
REDIS_NUMBER = 1


def _with_path(url: str, path: str) -> str:
    return parse_url(url)._replace(path=f"/{path}").url


def _new_database(url: str) -> str:
    """Copy the database of a PostgreSQL address, where a run has migrated it, or make an empty one; return the address."""
    original = (parse_url(url).path or "/").strip("/")
    name = f"{original}_{NAME}"
    with psycopg.connect(_with_path(url, "postgres"), autocommit=True) as connection:
        identifier = sql.Identifier(name)
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))
        template = sql.Identifier(original if prepared(POSTGRESQL) else "template1")
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(identifier, template))
    return _with_path(url, name)


def stack_environment(settings: env.Environment, folder: Path) -> dict[str, str]:
    """Return the servers of the run, each in a part of its own."""
    redis_url = _with_path(settings.redis_url, str(REDIS_NUMBER))
    file = folder / "stack.sqlite3"
    if not settings.is_postgresql and (migrated := prepared(SQLITE)):
        shutil.copy(migrated, file)
    return {
        "DATABASE_URL": _new_database(settings.database_url) if settings.is_postgresql else f"sqlite:///{file}",
        "BROKER_URL": _with_path(settings.broker_url, NAME) if settings.is_rabbitmq else redis_url,
        "REDIS_URL": redis_url,
        "REDIS_PREFIX": NAME,  # publish/subscribe does not know numbers, so names keep the two apart there
    }


TIMEOUT_SECONDS = 840  # less than a run waits for a test (tests/run.py); the waits inside end long before
HAS_FAILED = pytest.StashKey[bool]()
USUAL = pytest.StashKey[dict[str, Any]]()
MENDED = pytest.StashKey[str]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests as long as a slow or busy machine needs."""
    for item in items:
        if item.path.parent == Path(__file__).parent and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note that a test has failed: it may have left the configuration changed."""
    report = yield
    if report.failed:
        item.session.stash[HAS_FAILED] = True
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what had to be mended at the start of the stack: the tests passed without it."""
    if mended := config.stash.get(MENDED, ""):
        terminalreporter.write_line(f"=== Mended: {mended}")


@pytest.fixture(autouse=True)
def _whole(request: pytest.FixtureRequest) -> None:
    """Begin each test with a healthy stack, whatever earlier tests did, and print what had to be mended."""
    if "stack" not in request.fixturenames:
        return
    running: Stack = request.getfixturevalue("stack")
    mended = mend(running)
    if request.session.stash.get(HAS_FAILED, False):
        usual = request.session.stash[USUAL]
        mended += mend_configuration(running, usual)
        request.session.stash[HAS_FAILED] = False
    if mended:
        print(f"Mended: {'; '.join(mended)}")  # noqa: T201


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Start the whole product, migrated, with the demo loaded. A test that kills a process leaves it running again and healthy.

    At the end, after all that was killed, stopped and cancelled, no message may stand where no process looks for it.
    """
    folder = tmp_path_factory.mktemp("stack")
    with Stack(stack_environment(env.load(), folder), folder) as running:
        request.session.stash[USUAL] = effective(running)
        request.config.stash[MENDED] = running.mended
        yield running
        assert not forgotten(running)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start Chromium for the tests of a file. Playwright's event loop fills this thread, so other files have it for themselves."""
    chromium = packages.chromium()
    if chromium is None:
        pytest.skip("Chromium is not installed: pages were not looked at in a browser")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pages were not looked at in a browser")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def second_worker(stack: Stack, request: pytest.FixtureRequest) -> Iterator[None]:
    """Another sending process for as long as the test runs."""
    label = f"worker-{request.module.__name__.rpartition('.')[2]}"  # a name that no other file uses, so that its log is its own
    stack.start("worker", label=label)
    said = partial(stack.log_tail, label)
    poll(lambda: "ready" in said(), progress=said, reason=said)
    yield
    stack.end(label)
    del stack.processes[label]
