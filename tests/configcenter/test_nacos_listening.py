"""Which listeners the watch of one process tells of a release, asked without a socket between."""

import asyncio
from typing import Literal

import pytest

from configcenter.models import ConfigState
from configcenter.nacos.clients import Client
from configcenter.nacos.fingerprints import Key
from configcenter.nacos.listening import Listeners, Waiter
from configcenter.nacos.routes import in_thread
from tests.builders import make_tenant
from tests.configcenter.test_nacos import GROUP, md5, published


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("transport", ["http", "grpc"])
@pytest.mark.parametrize(("has", "is_told"), [("one", False), ("an older text", True)])
def test_a_release_read_while_a_client_begins_to_listen_is_told_only_to_those_without_it(
    transport: Literal["http", "grpc"], has: str, is_told: bool
) -> None:
    ConfigState(revision=1).save()
    tenant = make_tenant()

    async def told() -> list[Key]:
        listeners, found = Listeners(in_thread), list[Key]()
        await listeners.differing(Client("127.0.0.1"), {Key(tenant.pk, "public", GROUP, "other"): ""})  # begins to watch
        key = Key(tenant.pk, "public", GROUP, "app")
        listeners.enter(Waiter(Client("127.0.0.1", transport=transport), {key: md5(has)}, found.append))
        await in_thread(published, tenant, "app", "one")
        await listeners.refresh()
        await listeners.stop()
        assert found in ([], [key])
        return found

    assert bool(asyncio.run(told())) is is_told
