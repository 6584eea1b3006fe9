"""A whole installation of its own for the chaos tests: servers that may be stopped, frozen and cut off."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from posthaste import env
from tests.chaos.installation import Installation
from tests.chaos.table import Table
from tests.integration.stack import Stack
from tests.peers.smtp import MailServer
from tests.services import PRODUCTION, Services

# Short, so that what was recovered can be seen soon; a call to the recorder may take two seconds, less than half a lease.
WAITS: dict[str, dict[str, Any]] = {
    "retry_policy": {"lease_seconds": 5, "base_seconds": 0.2},
    "queues": {"orphan_seconds": 5},
    "webhooks": {"timeout_seconds": 3},
}
DISK_MEGABYTES = 1024
TIMEOUT_SECONDS = 840  # less than a run waits for a test (tests/run.py); the waits inside end long before


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests as long as a slow or busy machine needs."""
    for item in items:
        if item.path.parent == Path(__file__).parent and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Put a folder onto a disk of its own that can be filled; False where mounting is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m,mode=0755", "chaos", str(folder)]
    is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
            shutil.rmtree(folder.parent, ignore_errors=True)


def smtp_url(mails: MailServer) -> str:
    """Return where the product sends alarms by e-mail past its providers."""
    return f"smtp://127.0.0.1:{mails.port}/?from=alarms@example.com&security=none"


@pytest.fixture(scope="package")
def table() -> Iterator[Table]:
    """Collect the totals of each fault; the long form keeps them in a file."""
    table = Table()
    yield table
    if "CHAOS_STRIKES" in os.environ and table.entries:
        table.write()


@pytest.fixture(scope="package")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """PostgreSQL, RabbitMQ, Redis and all processes, private to these tests."""
    settings = env.load()
    if not (settings.is_postgresql and settings.is_rabbitmq):
        pytest.skip("chaos tests hurt PostgreSQL and RabbitMQ, which the embedded stack does not have")
    folder: Path = tmp_path_factory.mktemp("chaos")
    services = Services(PRODUCTION)
    with (
        small_disk(services["postgresql"].folder) as has_small_disk,
        services,
        MailServer() as mails,
        Stack({**services.environment(), "REDIS_PREFIX": "chaos", "ALARM_SMTP_URL": smtp_url(mails)}, folder, configuration=WAITS) as stack,
    ):
        yield Installation(services, stack, mails, has_small_disk)
