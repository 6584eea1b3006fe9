"""When a key was last used is written beside the requests, never in them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections
from django.utils import timezone

from accounts.models import ApiKey
from accounts.services import api_keys
from accounts.services.api_keys import recognise
from accounts.services.key_uses import _write, key_uses
from messaging.scopes import READ
from posthaste.lib.late_writes import MAX_ROWS, LateWrites
from posthaste.lib.problems import Forbidden
from tests import crowds
from tests.builders import Api, make_key, make_tenant, poll
from tests.configcenter.nacos_server import running

pytestmark = pytest.mark.django_db(transaction=True)


def uses_written(*, every_seconds: float, write: Callable[[Any], object] = _write) -> LateWrites:
    """Make those of a process that writes them so often."""
    return LateWrites("key-uses", write, noted_every=timedelta(minutes=1), every_seconds=every_seconds)


@pytest.fixture
def writing(monkeypatch: pytest.MonkeyPatch) -> Iterator[LateWrites]:
    """Have this process's uses written by a thread, as in the product, only more often."""
    uses = uses_written(every_seconds=0.1)
    monkeypatch.setattr(api_keys, "key_uses", uses)
    yield uses
    uses.finish()
    poll(lambda: not uses.is_writing)


@contextmanager
def writer_that_goes_on() -> Iterator[None]:
    """Hold the locks that a write of keys needs, as another process may: on SQLite every write, on PostgreSQL those of the row."""
    with crowds.pool(1) as other:
        other.submit(lambda: connection.ensure_connection()).result()
        begun = other.submit(_begin)
        begun.result()
        try:
            yield
        finally:
            other.submit(_end).result()


def _begin() -> None:
    connection.set_autocommit(False)
    ApiKey.objects.update(name="held")


def _end() -> None:
    connection.rollback()
    connection.set_autocommit(True)
    connections.close_all()


def test_use_is_noted_at_most_once_a_minute() -> None:
    key, clear = make_key(make_tenant())
    assert key.last_used_at is None
    now = timezone.now()
    for seconds in (0, 30, 59):
        recognise(f"Bearer {clear}", ip="127.0.0.1", now=now + timedelta(seconds=seconds))
        key_uses.flush()
        key.refresh_from_db()
        assert key.last_used_at == now
    recognise(f"Bearer {clear}", ip="127.0.0.1", now=now + timedelta(seconds=61))
    key_uses.flush()
    key.refresh_from_db()
    assert key.last_used_at == now + timedelta(seconds=61)


def test_a_refused_use_is_not_noted() -> None:
    key, clear = make_key(make_tenant(), ip_ranges=["10.0.0.0/8"])
    with pytest.raises(Forbidden):
        recognise(f"Bearer {clear}", ip="203.0.113.9", now=timezone.now())
    key_uses.flush()
    key.refresh_from_db()
    assert key.last_used_at is None


def test_uses_of_many_keys_are_written_with_one_statement(django_assert_num_queries: Any) -> None:
    tenant, now = make_tenant(), timezone.now()
    keys = [make_key(tenant)[0] for _ in range(5)]
    unused = make_key(tenant)[0]
    for number, key in enumerate(keys):
        key_uses.note(key.pk, now + timedelta(seconds=number))
    with django_assert_num_queries(1):
        key_uses.flush()
    with django_assert_num_queries(0):
        key_uses.flush()
    written = dict(ApiKey.objects.values_list("pk", "last_used_at"))
    assert written == {key.pk: now + timedelta(seconds=number) for number, key in enumerate(keys)} | {unused.pk: None}


def test_a_later_use_that_another_process_wrote_stays() -> None:
    key, now = make_key(make_tenant())[0], timezone.now()
    ApiKey.objects.update(last_used_at=now)
    key_uses.note(key.pk, now - timedelta(seconds=30))
    key_uses.flush()
    key.refresh_from_db()
    assert key.last_used_at == now


def test_a_first_use_does_not_wait_for_another_writer(writing: LateWrites) -> None:
    _key, clear = make_key(make_tenant(), READ)
    with writer_that_goes_on():
        assert Api(clear).get("/api/me/").status_code == 200  # would wait for ever, or be a 503
        assert ApiKey.objects.get().last_used_at is None
    poll(lambda: ApiKey.objects.get().last_used_at)


def test_what_the_database_refuses_is_written_later(writing: LateWrites, monkeypatch: pytest.MonkeyPatch) -> None:
    _key, clear = make_key(make_tenant(), READ)
    refused: list[int] = []

    def refuse(uses: Mapping[int, Any]) -> None:
        refused.extend(uses)
        raise DatabaseError("attempt to write a readonly database")

    with monkeypatch.context() as patch:
        patch.setattr(writing, "_write", refuse)
        assert Api(clear).get("/api/me/").status_code == 200
        poll(lambda: len(refused) > 2)
    poll(lambda: ApiKey.objects.get().last_used_at)
    poll(lambda: not writing.is_writing)


def test_an_unexpected_error_ends_neither_the_thread_nor_what_was_noted(writing: LateWrites, monkeypatch: pytest.MonkeyPatch) -> None:
    _key, clear = make_key(make_tenant(), READ)
    refused: list[int] = []

    def fail(uses: Mapping[int, Any]) -> None:
        refused.extend(uses)
        raise ValueError

    with monkeypatch.context() as patch:
        patch.setattr(writing, "_write", fail)
        assert Api(clear).get("/api/me/").status_code == 200
        poll(lambda: len(refused) > 2)
    poll(lambda: ApiKey.objects.get().last_used_at)


def test_as_many_keys_as_go_into_one_statement_are_written(django_assert_num_queries: Any) -> None:
    now, key = timezone.now(), make_key(make_tenant())[0]
    with django_assert_num_queries(1):
        _write(dict.fromkeys(range(key.pk, key.pk + MAX_ROWS), now))
    key.refresh_from_db()
    assert key.last_used_at == now


def test_the_thread_ends_when_all_is_written_and_starts_anew() -> None:
    uses, now = uses_written(every_seconds=0.01), timezone.now()
    key = make_key(make_tenant())[0]
    for minutes in (0, 2):
        uses.note(key.pk, now + timedelta(minutes=minutes))
        poll(lambda: not uses.is_writing)
        key.refresh_from_db()
        assert key.last_used_at == now + timedelta(minutes=minutes)


def test_an_orderly_end_writes_what_is_noted() -> None:
    uses, now = uses_written(every_seconds=3_600), timezone.now()
    key = make_key(make_tenant())[0]
    uses.note(key.pk, now)
    uses.finish()
    poll(lambda: not uses.is_writing)
    key.refresh_from_db()
    assert key.last_used_at == now


def test_the_server_writes_it_at_its_end(tmp_path: Path) -> None:
    _key, clear = make_key(make_tenant(), "config:read")
    with running(tmp_path) as server:
        assert server.call("POST", "/auth/login", username="", password=clear).status == 200
        server.stop()
    assert ApiKey.objects.get().last_used_at
