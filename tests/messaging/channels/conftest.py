"""The peers of these tests run on this machine, which the guard would refuse."""

from collections.abc import Iterator

import pytest

from posthaste import env
from posthaste.lib import http
from tests.peers.gateway import Gateway


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


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Withdraw the permission for the loopback network: as in production, only public addresses are reached."""
    monkeypatch.setenv("OUTBOUND_ALLOWED_NETWORKS", "")
    env.load.cache_clear()
    http.client.cache_clear()
