"""What every test shares. The servers come from the environment, which tests/run.py fills (`make test`)."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from posthaste import env


def pytest_report_header() -> str:
    """This function will say in the first lines which stack is tested."""
    settings = env.load()
    return f"stack: {'PostgreSQL' if settings.is_postgresql else 'SQLite'}, {'RabbitMQ' if settings.is_rabbitmq else 'Valkey'}"


def pytest_sessionstart() -> None:
    """A test says itself what is configured: an entrance that it imports must not start the thread that would say otherwise."""
    from django.apps import apps

    if apps.ready:
        from configcenter.services import watch

        watch.never_here()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite in a file, as it runs for users: Django would take one in memory, which threads share in another way."""
    from django.db import connection

    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "posthaste.sqlite3")


@pytest.fixture(autouse=True)
def _no_memories() -> Iterator[None]:
    """What a process remembers for a moment (keys, providers, templates, room in the broker) must not outlive a test."""
    forget()
    yield
    forget()


def forget() -> None:
    """This function will empty the caches of this process."""
    from django.apps import apps

    if not apps.ready:  # a test without Django
        return
    from configcenter import hot
    from configcenter.services import api_keys, loading
    from messaging.services import feed, providers, publish, room, templates
    from posthaste.lib import outage, redis
    from posthaste.lib.breaker import breakers

    api_keys.forget_cached_keys()
    loading.forget()
    hot.reset()
    providers.book.forget()
    templates.book.forget()
    templates.wording.cache_clear()
    room.door.__init__()  # type: ignore[misc]
    feed._feeder.__init__()  # type: ignore[misc]
    with suppress(redis.Unavailable):
        redis.client().delete(*room._keys(), redis.key("breakers"))
    breakers.forget()
    publish._broken_until = 0.0
    outage.database.over()
