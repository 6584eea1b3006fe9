"""Looking at a module writes nothing, so it works while the database refuses writes, and never waits for another writer."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from accounts.models import Tenant, User
from configcenter import hot
from configcenter.models import ConfigItem, ConfigNamespace
from monitor.queues.limits import LimitsForm
from tests.builders import Api, json_of, make_api, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
MODULES = "/api/config/modules/"
OVERRIDE = f"{MODULES}retry_policy/override/"


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant("Ops", is_operator=True)


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return make_api(tenant)


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    return client


def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    if sql.startswith(("INSERT", "UPDATE", "DELETE")):
        raise OperationalError("attempt to write a readonly database")
    return execute(sql, params, many, context)


@pytest.fixture
def refused_writes(api: Api, staff: Client) -> Iterator[None]:
    """Have the database refuse writes, from when key and session are there."""
    with connection.execute_wrapper(refuse):
        yield


@pytest.mark.usefixtures("refused_writes")
def test_a_module_is_read_over_the_api(api: Api) -> None:
    for handle in hot.modules():
        detail = json_of(api.get(f"{MODULES}{handle.name}/"))
        assert (detail["version"], detail["draft"]["content"]) == (0, None)
        assert detail["effective"] == handle.model().model_dump(mode="json")
    assert json_of(api.get(f"{MODULES}queues/releases/"))["results"] == []
    assert api.get(f"{MODULES}queues/releases/1/").status_code == 404
    assert {line["kind"] for line in json_of(api.get(f"{MODULES}queues/diff/"))} <= {"same"}
    assert json_of(api.post(f"{MODULES}queues/validate/", {"content": {"queue_capacity": 500}}))["content"]["queue_capacity"] == 500
    assert api.post(f"{MODULES}queues/validate/", {"content": {"queue_capacity": -1}}).status_code == 422


@pytest.mark.usefixtures("refused_writes")
def test_an_override_is_read_over_the_api(api: Api) -> None:
    shown = json_of(api.get(OVERRIDE))
    assert (shown["version"], shown["own"]) == (0, {})
    assert set(shown["effective"]) == set(hot.module("retry_policy").per_tenant)
    assert json_of(api.get(f"{OVERRIDE}releases/"))["results"] == []
    assert json_of(api.post(f"{OVERRIDE}validate/", {"content": {"max_retries": 1}}))["content"] == {"max_retries": 1}
    assert api.get(f"{MODULES}queues/override/").status_code == 404


@pytest.mark.usefixtures("refused_writes")
def test_the_pages_of_a_module_are_shown(staff: Client, tenant: Tenant) -> None:
    for query in ("", f"?tenant={tenant.slug}"):
        for page in ("", "history/", "compare/", "live/"):
            answer = staff.get(f"/config/modules/retry_policy/{page}{query}")
            assert answer.status_code in (200, 302), (page, query, answer.status_code)
    assert staff.get("/config/items/").status_code == 200
    assert LimitsForm().initial == {}


def test_the_first_write_makes_the_row(api: Api) -> None:
    assert api.get(f"{MODULES}queues/").status_code == 200
    assert not ConfigItem.objects.exists()
    assert not ConfigNamespace.objects.exists()
    assert api.put(f"{MODULES}queues/draft/", {"content": {"queue_capacity": 500}, "based_on": 0}).status_code == 200
    assert api.post(f"{OVERRIDE}publish/", {"content": {"max_retries": 1}}).status_code == 201
    assert sorted(ConfigItem.objects.values_list("data_id", "override_of__slug")) == [
        ("queues", None),
        ("retry_policy", Tenant.objects.get().slug),
    ]
    assert json_of(api.get(OVERRIDE))["own"] == {"max_retries": 1}
