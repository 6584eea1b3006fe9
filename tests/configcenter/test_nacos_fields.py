"""What Nacos clients send in fields: names of namespaces, the addresses of a beta, and errors that name the field as it was sent."""

from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from accounts.models import ConfigRight, User
from configcenter.models import ConfigItem, ConfigNamespace, ConfigState
from configcenter.nacos.protocol import MAX_FIELDS
from tests.builders import json_of, make_api, make_key, make_tenant
from tests.configcenter.nacos_server import NacosServer, running
from tests.configcenter.test_nacos import GROUP, published
from tests.configcenter.test_nacos_grpc import GrpcClient

pytestmark = pytest.mark.django_db(transaction=True)
_revisions = iter(range(1_000, 10_000_000, 1_000))
NAMES: dict[str, Any] = {"dataId": "app", "group": GROUP}
NAMESPACES = "/api/config/namespaces/"


@pytest.fixture(scope="module")
def server(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NacosServer]:
    """Start a ws process with its gRPC port."""
    with django_db_blocker.unblock(), running(tmp_path_factory.mktemp("nacos"), NACOS_GRPC="true") as server:
        yield server


@pytest.fixture(autouse=True)
def _revision_that_rises(db: None) -> None:
    ConfigState(revision=next(_revisions)).save()


@pytest.fixture
def grpc_client(server: NacosServer) -> Iterator[GrpcClient]:
    """Connect a client with a key of a new tenant."""
    client = GrpcClient(server, make_key(make_tenant("Over gRPC"))[1])
    yield client.connect()
    client.close()


def wrong_fields(answer: urllib3.BaseHTTPResponse) -> list[str]:
    assert answer.status == 400, answer.data
    return [error["field"] for error in answer.json()["errors"]]


# --- namespaces --------------------------------------------------------------------------------------------------------


def test_an_operator_makes_the_namespace_that_the_name_means_and_deletes_it_over_the_rest_api(server: NacosServer) -> None:
    tenant = make_tenant(is_operator=True)
    key, api = make_key(tenant)[1], make_api(tenant)
    made = server.call("POST", "/console/namespaces", key=key, customNamespaceId="installation.zz", namespaceName="Ours")
    assert (made.status, made.data) == (200, b"true")
    assert server.call("POST", "/cs/configs", key=key, tenant="installation.zz", content="x", **NAMES).data == b"true"
    assert ConfigNamespace.objects.get(slug="zz").tenant is None
    assert api.post(NAMESPACES, {"namespace": "installation.zz"}).status_code == 409
    assert server.call("DELETE", "/cs/configs", key=key, tenant="installation.zz", **NAMES).data == b"true"
    assert api.delete(f"{NAMESPACES}installation.zz/").status_code == 204


@pytest.mark.parametrize("name", ["installation.zz", "installation.public", "installation."])
def test_no_other_tenant_makes_a_namespace_under_a_name_of_the_installation(server: NacosServer, name: str) -> None:
    tenant = make_tenant()
    answer = server.call("POST", "/console/namespaces", key=make_key(tenant)[1], customNamespaceId=name)
    assert wrong_fields(answer) == ["customNamespaceId"]
    refused = make_api(tenant).post(NAMESPACES, {"namespace": name})
    assert (refused.status_code, json_of(refused)["errors"][0]["field"]) == (422, "namespace")
    assert not ConfigNamespace.objects.filter(slug__startswith="installation").exists()


# --- a beta that names no address ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [",", " , ,", "fe80::1%eth0", "10.0.0.1;10.0.0.2"])
def test_a_beta_without_a_good_address_is_refused_and_published_for_none(
    server: NacosServer, grpc_client: GrpcClient, written: str
) -> None:
    key = make_key(make_tenant())[1]
    assert wrong_fields(server.call("POST", "/cs/configs", key=key, content="x", headers={"betaIps": written}, **NAMES)) == ["betaIps"]
    assert wrong_fields(server.call("POST", "/cs/configs", key=key, content="x", betaIps=written, **NAMES)) == ["betaIps"]
    told = grpc_client.ask("ConfigPublishRequest", **NAMES, tenant="", content="x", additionMap={"betaIps": written})
    assert (told["errorCode"], "betaIps: " in told["message"]) == (400, True)
    assert not ConfigItem.objects.exists()


@pytest.mark.parametrize("value", [["10.0.0.1"], {"ip": "10.0.0.1"}, 10])
def test_over_grpc_a_beta_that_is_no_text_is_refused_and_published_for_none(grpc_client: GrpcClient, value: Any) -> None:
    told = grpc_client.ask("ConfigPublishRequest", **NAMES, tenant="", content="x", additionMap={"betaIps": value})
    assert (told["errorCode"], "betaIps: " in told["message"]) == (400, True)
    assert not ConfigItem.objects.exists()


def test_a_repeated_header_counts_as_a_whole(server: NacosServer) -> None:
    tenant = make_tenant()
    published(tenant, "app", "stable")
    headers = urllib3.HTTPHeaderDict({"Authorization": f"Bearer {make_key(tenant)[1]}"})
    headers.add("betaIps", "10.0.0.1")
    headers.add("betaIps", "")
    answer = server.http.request("POST", f"{server.url}/cs/configs?dataId=app&group={GROUP}&content=beta", headers=headers)
    assert answer.data == b"true"
    item = ConfigItem.objects.get()
    assert item.current is not None
    assert (item.current.content, item.gray_labels) == ("stable", ["ip=10.0.0.1"])


# --- errors in the client's words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"dataId": ".."}, "dataId"),
        ({"group": "a\0b"}, "group"),
        ({"dataId": "a\0b"}, "dataId"),
        ({"content": "{", "type": "json"}, "content"),
    ],
)
def test_errors_name_the_fields_that_the_client_sent(
    server: NacosServer, grpc_client: GrpcClient, sent: dict[str, str], field: str
) -> None:
    call = {**NAMES, "content": "x", **sent}
    assert wrong_fields(server.call("POST", "/cs/configs", key=make_key(make_tenant())[1], **call)) == [field]
    told = grpc_client.ask("ConfigPublishRequest", tenant="", additionMap={"type": sent.get("type")}, **call)
    assert (told["errorCode"], f"{field}: " in told["message"]) == (400, True)


def test_a_namespace_that_can_not_be_made_is_named_as_the_client_sent_it(server: NacosServer) -> None:
    assert wrong_fields(server.call("POST", "/console/namespaces", key=make_key(make_tenant())[1], customNamespaceId="a b")) == [
        "customNamespaceId"
    ]


def test_too_many_parameters_are_called_that(server: NacosServer) -> None:
    key = make_key(make_tenant())[1]
    more: dict[str, Any] = {f"x{number}": "1" for number in range(MAX_FIELDS)}
    answer = server.call("GET", "/cs/configs", key=key, **NAMES, **more)
    assert (answer.status, str(MAX_FIELDS) in answer.json()["detail"]) == (400, True)
    latin = server.call("POST", "/cs/configs", key=key, body=b"content=%FF", **NAMES)
    assert (latin.status, "UTF-8" in latin.json()["detail"]) == (400, True)


def test_a_member_of_staff_is_told_of_their_permission_and_not_of_a_key(server: NacosServer) -> None:
    User.objects.create_user("vi", password="a long password", is_staff=True, config_right=ConfigRight.VIEW)
    shown: dict[str, Any] = {"username": "vi", "password": "a long password"}
    for method, path in (("POST", "/cs/configs"), ("DELETE", "/cs/configs"), ("POST", "/console/namespaces")):
        answer = server.call(method, path, **NAMES, **shown, content="x")
        told = answer.json()
        assert (answer.status, told["code"]) == (403, "forbidden")
        assert "key" not in told["title"].lower()
        assert "Your account" in told["detail"]
