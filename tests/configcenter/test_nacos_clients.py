"""The official Nacos clients for gRPC take their configuration from us, as they come from the registry."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configcenter.models import ConfigItem, ConfigState
from configcenter.services import items, releases
from tests.builders import actor, json_of, make_api, make_key, make_tenant, poll
from tests.configcenter.nacos_clients import INSTALL_SECONDS, VERSIONS, ClientError, Installed, OfficialClient, connected, installed
from tests.configcenter.nacos_server import NacosServer, running
from tests.configcenter.test_nacos import GROUP, md5, published
from tests.peers.certificate import make_certificate

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(INSTALL_SECONDS)]
_revisions = iter(range(1_000, 10_000_000, 1_000))


@pytest.fixture(scope="module")
def server(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NacosServer]:
    """Start a ws process with its gRPC port."""
    with django_db_blocker.unblock(), running(tmp_path_factory.mktemp("nacos"), NACOS_GRPC="true") as server:
        yield server


@pytest.fixture(autouse=True)
def _revision_that_rises(db: None) -> None:
    ConfigState(revision=next(_revisions)).save()


@pytest.fixture(scope="module", params=VERSIONS)
def client_sdk(request: pytest.FixtureRequest) -> Installed:
    """Return each version of the client."""
    return installed(request.param, request.config.cache.mkdir("nacos-clients"))


def test_an_official_client_publishes_gets_listens_and_removes(server: NacosServer, client_sdk: Installed, tmp_path: Path) -> None:
    tenant = make_tenant()
    key, clear = make_key(tenant)
    secret = items.create_item(
        namespace=items.default_namespace(tenant), group=GROUP, data_id="secret", format="text", is_encrypted=True, by=actor("user:test")
    )
    releases.publish(item=secret, content="hunter2", comment="", by=actor("user:test"))
    with connected(client_sdk, server.address, clear, tmp_path / "client") as client:
        assert client.ask("get", "secret") == "hunter2"
        assert client.ask("get") == ""
        assert client.ask("publish", content='{"名": 1}', type="json") is True
        assert client.ask("get") == '{"名": 1}'
        item = ConfigItem.objects.get(data_id="app")
        assert item.current is not None
        assert (item.namespace.tenant, item.format, item.current.author) == (tenant, "json", f"key:{key.prefix}")
        client.ask("listen")  # it has the text, so it is told of the next one only
        poll(lambda: server.call("GET", "/cs/configs/listener", key=clear, dataId="app", group=GROUP).json()["lisentersGroupkeyStatus"])
        releases.publish(item=item, content='{"名": 2}', comment="", by=actor("user:test"))
        client.wait_until_told('{"名": 2}')
        listeners = f"/api/config/items/public/{GROUP}/app/listeners/"
        rows = poll(lambda: [row for row in json_of(make_api(tenant).get(listeners))["results"] if row["is_current"]])
        assert [row["md5"] for row in rows] == [md5('{"名": 2}')], "it fetched after the notice"
        assert client.ask("publish", content='{"for": "others"}', beta_ips="192.0.2.1") is True
        assert client.ask("get") == '{"名": 2}'
        assert client.ask("publish", content='{"for": "this one"}', beta_ips="127.0.0.1") is True
        client.wait_until_told('{"for": "this one"}')
        assert server.call("DELETE", "/cs/configs", key=clear, dataId="app", group=GROUP, beta="true").status == 200
        client.wait_until_told('{"名": 2}')
        assert client.ask("remove") is True
        assert client.ask("get") == ""


def test_an_official_client_with_wrong_credentials_is_refused_and_changes_nothing(
    server: NacosServer, client_sdk: Installed, tmp_path: Path
) -> None:
    published(make_tenant(), "app", "one")
    with connected(client_sdk, server.address, "ph_live_ABCDEFGH_" + "x" * 43, tmp_path / "stranger") as stranger:
        for name, fields in (("publish", {"content": "two"}), ("get", {}), ("remove", {})):
            with pytest.raises(ClientError, match="token"):
                stranger.ask(name, **fields)
    assert [release.content for release in ConfigItem.objects.get().releases.all()] == ["one"]


def test_an_official_client_reaches_its_server_again_after_a_crash_over_tls(client_sdk: Installed, tmp_path: Path) -> None:
    # Whether it is told of what it missed is up to the client: two of its tasks may reconnect at once, and one ends the other's listening.
    tenant = make_tenant()
    item = published(tenant, "app", "one")
    path, _context = make_certificate(tmp_path, "127.0.0.1")
    key = tmp_path / "key.pem"
    files = {"NACOS_GRPC_CERTIFICATE": str(path), "NACOS_GRPC_KEY": str(key)}
    clear = make_key(tenant)[1]
    with (
        running(tmp_path, NACOS_GRPC="true", **files) as server,
        connected(client_sdk, server.address, clear, tmp_path / "client", path, key) as client,
    ):
        client.ask("listen")
        client.wait_until_told("one")
        server.kill()
        releases.publish(item=item, content="two", comment="", by=actor("user:test"))
        server.start()
        poll(lambda: got(client) == "two", seconds=60)


def got(client: OfficialClient) -> str:
    """Return the text that the client gets, or its error while it is not connected."""
    try:
        return str(client.ask("get"))
    except ClientError as error:
        return str(error)
