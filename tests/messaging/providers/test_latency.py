"""Tasks as long as a provider's calls allow, and threads that give way."""

from collections.abc import Iterator
from typing import Any

import pytest

from messaging.delivery import deliver as delivering
from messaging.models import Message, Status
from messaging.providers import cache
from messaging.providers.cache import ProviderCache, provider_cache
from messaging.providers.latency import Latencies
from posthaste.lib import redis
from tests import crowds
from tests.builders import make_message, make_provider, make_tenant
from tests.peers.gateway import Gateway
from tests.peers.smtp import MailServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway(latency_ms=100) as running:
        yield running


def queued(tenant: Any, number: int, **fields: Any) -> list[Message]:
    return [make_message(tenant, **{"channel": "sms", "status": Status.QUEUED, **fields}) for _ in range(number)]


@pytest.mark.parametrize(("milliseconds", "messages"), [(1, 100), (50, 14), (850, 1), (5_000, 1)])
def test_a_task_carries_as_many_messages_as_go_out_in_well_under_a_second(
    milliseconds: int, messages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = make_tenant()
    provider = make_provider(tenant, kind="http", config={"url": "https://gateway.example/send"})
    redis.client().hset(redis.key("latency"), provider.pk.hex, str(milliseconds))
    monkeypatch.setattr(cache, "latencies", Latencies())  # of a process that has read nothing yet
    assert ProviderCache().chunk_size(tenant.pk, "sms") == messages


def test_while_nobody_knows_how_long_a_call_takes_a_task_carries_what_its_adapter_says() -> None:
    tenant = make_tenant()
    make_provider(tenant, kind="http", config={"url": "https://gateway.example/send"})
    assert ProviderCache().chunk_size(tenant.pk, "sms") == 20


def test_a_slow_cap_makes_small_tasks() -> None:
    tenant = make_tenant()
    make_provider(tenant, kind="http", config={"url": "https://gateway.example/send"}, max_per_second=5)
    assert ProviderCache().chunk_size(tenant.pk, "sms") == 3


def test_what_one_process_sees_of_a_provider_others_know(gateway: Gateway) -> None:
    tenant = make_tenant()
    provider = make_provider(tenant, kind="http", config={"url": gateway.url})
    delivering.deliver([row.pk for row in queued(tenant, 3)])
    seen = Latencies().of(provider.pk)
    assert seen is not None
    assert 90 < seen < 1_000


def test_a_chunk_that_takes_too_long_gives_its_thread_back_and_the_rest_waits_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "MAX_TASK_SECONDS", 0.25)
    tenant = make_tenant()
    make_provider(tenant, kind="http", config={"url": gateway.url})
    rows = queued(tenant, 10, attempts=0)
    delivering.deliver([row.pk for row in rows])
    states = [(row.status, row.attempts) for row in Message.objects.filter(pk__in=[row.pk for row in rows])]
    sent, waiting = states.count(("sent", 1)), states.count(("pending", 0))
    assert 1 <= sent <= 4
    assert sent + waiting == 10
    assert len(gateway.taken) == sent


def test_threads_beyond_a_providers_connections_put_their_messages_back_instead_of_waiting_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivering, "MAX_TASK_SECONDS", 0.0)  # as if their time were used up
    with MailServer() as server:
        tenant = make_tenant()
        config = {"host": server.host, "port": server.port, "security": "none", "from_email": "shop@example.com", "max_connections": 1}
        make_provider(tenant, channel="email", kind="email", config=config)
        loaded_provider = provider_cache.in_force(tenant.pk, "email")[0]
        assert loaded_provider.slots is not None
        [row] = queued(tenant, 1, channel="email", recipient="anna@example.com", subject="Hi")
        with loaded_provider.slots, crowds.pool(1) as other:
            other.submit(delivering.deliver, [row.pk]).result()
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("pending", 0)
    assert row.due_at > row.created_at
    assert server.messages == []
