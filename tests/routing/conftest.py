"""What tests of the service desk share: a tenant, calls with a key of it, and a server that stands in for WeCom."""

from collections.abc import Iterator

import pytest

from accounts.models import Tenant
from tests.builders import Api, make_api, make_tenant
from tests.peers.wecom import WeCom


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return make_api(tenant)


@pytest.fixture
def wecom() -> Iterator[WeCom]:
    with WeCom() as server:
        yield server
