"""A whole installation of its own for the chaos tests: servers that may be stopped, frozen and cut off."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from posthaste import env
from tests.chaos.storm import Installation
from tests.integration.stack import Stack
from tests.services import PRODUCTION, Services


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """PostgreSQL, RabbitMQ, Redis and all processes, private to these tests."""
    if "CHAOS_STRIKES" not in os.environ:
        pytest.skip("chaos tests take ten minutes: make chaos")
    settings = env.load()
    if not (settings.is_postgresql and settings.is_rabbitmq):
        pytest.skip("chaos tests hurt PostgreSQL and RabbitMQ, which the embedded stack does not have")
    folder: Path = tmp_path_factory.mktemp("chaos")
    with Services(PRODUCTION) as services, Stack({**services.environment(), "REDIS_PREFIX": "chaos"}, folder) as stack:
        yield Installation(services, stack)
