"""Configuration over Nacos' gRPC protocol, by a client as small as the protocol; docs/nacos.md says which real clients were tried."""

import queue
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from django.utils import timezone
from pydantic import ValidationError

from accounts.services.api_keys import revoke_api_key
from configcenter.models import ConfigItem, ConfigState
from configcenter.nacos.grpc import requests, wire
from configcenter.scopes import CONFIG_READ
from configcenter.services import items, releases
from posthaste.env import Environment
from tests import crowds
from tests.builders import TESTER, actor, json_of, make_api, make_key, make_tenant, poll
from tests.configcenter.nacos_server import NacosServer, running
from tests.configcenter.test_nacos import GROUP, md5, published
from tests.peers.certificate import make_certificate

pytestmark = pytest.mark.django_db(transaction=True)
_revisions = iter(range(1_000, 10_000_000, 1_000))
SECONDS = 10.0


@pytest.fixture(scope="module")
def server(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NacosServer]:
    """Start a ws process with its gRPC port."""
    with django_db_blocker.unblock(), running(tmp_path_factory.mktemp("nacos"), NACOS_GRPC="true") as server:
        yield server


@pytest.fixture(autouse=True)
def _revision_that_rises(db: None) -> None:
    ConfigState(revision=next(_revisions)).save()


class GrpcClient:
    """A client: single calls, and a stream of what it is told."""

    def __init__(
        self,
        server: NacosServer,
        key: str,
        *,
        declared: str = "",
        root: bytes | None = None,
        options: Sequence[tuple[str, int]] = (),
        signed_in_at: NacosServer | None = None,
    ) -> None:
        answer = (signed_in_at or server).call("POST", "/auth/login", username="shop", password=key)
        self.headers = {"accessToken": answer.json().get("accessToken", "")}
        self.declared = declared
        address, settings = f"127.0.0.1:{server.port + 1000}", [("grpc.use_local_subchannel_pool", 1), *options]
        if root is None:
            self.channel = grpc.insecure_channel(address, options=settings)
        else:
            self.channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(root), options=settings)
        forms: dict[str, Any] = {
            "request_serializer": wire.Payload.SerializeToString,
            "response_deserializer": wire.Payload.FromString,
        }
        self._single = self.channel.unary_unary("/Request/request", **forms)
        self._stream = self.channel.stream_stream("/BiRequestStream/requestBiStream", **forms)
        self._said: queue.Queue[Any] = queue.Queue()
        self.told: Any = None

    def connect(self) -> "GrpcClient":
        """Open the stream and wait until the server knows it."""
        assert self.ask("ServerCheckRequest")["resultCode"] == 200
        self.told = self._stream(iter(self._said.get, None))
        self._said.put(self._payload("ConnectionSetupRequest", {"clientVersion": "Test-Client:v1"}))
        poll(lambda: self.ask("HealthCheckRequest")["resultCode"] == 200)
        return self

    def is_answered(self) -> bool:
        """Return whether a call gets through, as clients ask until it does."""
        try:
            return bool(self.ask("ServerCheckRequest")["resultCode"] == 200)
        except grpc.RpcError:
            return False

    def _payload(self, kind: str, body: dict[str, Any]) -> Any:
        payload = wire.write(kind, body)
        payload.metadata.clientIp = self.declared
        payload.metadata.headers.update(self.headers)
        return payload

    def ask(self, kind: str, **body: Any) -> dict[str, Any]:
        """Make one call."""
        answer = self._single(self._payload(kind, {"requestId": "7", **body}), timeout=SECONDS)
        return {"type": answer.metadata.type, **wire.body_of(answer)}

    def listen(self, data_id: str, has: str, *, listen: bool = True) -> list[str]:
        """Listen to an item and return the data ids that differ."""
        context = {"dataId": data_id, "group": GROUP, "tenant": "", "md5": has}
        return [
            each["dataId"] for each in self.ask("ConfigBatchListenRequest", listen=listen, configListenContexts=[context])["changedConfigs"]
        ]

    def next_told(self) -> dict[str, Any]:
        """Return the next thing that the server tells."""
        payload = next(self.told)
        body = wire.body_of(payload)
        self._said.put(self._payload("ConfigChangeNotifyResponse", {"requestId": body["requestId"], "resultCode": 200}))
        return {"type": payload.metadata.type, **body}

    def close(self) -> None:
        self._said.put(None)
        self.channel.close()


@pytest.fixture
def connect(server: NacosServer) -> Iterator[Any]:
    """Return a function that connects clients, which are closed after the test."""
    opened: list[GrpcClient] = []

    def client(key: str, **options: Any) -> GrpcClient:
        opened.append(GrpcClient(server, key, **options))
        return opened[-1].connect()

    yield client
    for each in opened:
        each.close()


def names(data_id: str = "app", **more: Any) -> dict[str, Any]:
    return {"dataId": data_id, "group": GROUP, "tenant": "", **more}


def test_a_client_publishes_gets_and_removes(connect: Any) -> None:
    key, clear = make_key(make_tenant())
    client = connect(clear)
    assert client.ask("ConfigQueryRequest", **names())["errorCode"] == 300
    published = client.ask("ConfigPublishRequest", **names(content='{"名": 1}', additionMap={"type": "json", "appName": None}))
    assert (published["type"], published["resultCode"], published["requestId"]) == ("ConfigPublishResponse", 200, "7")
    got = client.ask("ConfigQueryRequest", **names())
    assert (got["content"], got["md5"], got["contentType"]) == ('{"名": 1}', md5('{"名": 1}'), "json")
    item = ConfigItem.objects.get()
    assert item.current is not None
    assert item.current.author == f"key:{key.prefix}"
    assert client.ask("ConfigPublishRequest", **names(content="{}", casMd5=md5("other")))["errorCode"] == 409
    assert client.ask("ConfigRemoveRequest", **names())["resultCode"] == 200
    assert client.ask("ConfigQueryRequest", **names())["errorCode"] == 300


def test_a_client_that_listens_is_told_of_each_change_at_once(connect: Any) -> None:
    tenant = make_tenant()
    client = connect(make_key(tenant, CONFIG_READ)[1])
    item = published(tenant, "app", "one")
    assert client.listen("app", "") == ["app"]
    assert client.listen("app", md5("one")) == []
    with crowds.pool(1) as pool:
        for text in ("two", "three"):
            told = pool.submit(client.next_told)
            releases.publish(item=item, content=text, comment="", by=actor("user:test"))
            found = told.result(2)
            assert (found["type"], found["dataId"], found["group"], found["tenant"]) == ("ConfigChangeNotifyRequest", "app", GROUP, "")
            assert client.listen("app", md5(text)) == []
        assert client.listen("app", md5("three"), listen=False) == []
        published(tenant, "other", "noise")
        assert client.listen("other", "") == ["other"]
        told = pool.submit(client.next_told)
        releases.publish(item=item, content="four", comment="", by=actor("user:test"))
        published(tenant, "other", "told")
        assert told.result(2)["dataId"] == "other", "it no longer listens to the first"


def test_a_client_that_fetches_without_listening_again_is_told_of_a_rollback_too(connect: Any) -> None:
    tenant = make_tenant()
    clear = make_key(tenant, CONFIG_READ)[1]
    client, api = connect(clear), make_api(tenant)
    item = published(tenant, "app", "one")
    assert client.listen("app", md5("one")) == []
    with crowds.pool(1) as pool:
        for text in ("two", "one", "three", "one"):
            told = pool.submit(client.next_told)
            releases.publish(item=item, content=text, comment="", by=actor("user:test"))
            assert told.result(2)["dataId"] == "app"
            assert client.ask("ConfigQueryRequest", **names())["content"] == text
            (row,) = json_of(api.get(f"/api/config/items/public/{GROUP}/app/listeners/"))["results"]
            assert (row["md5"], row["is_current"]) == (md5(text), True)


def test_a_beta_reaches_the_address_that_the_client_says_is_its_own(connect: Any) -> None:
    tenant = make_tenant()
    clear = make_key(tenant)[1]
    published(tenant, "app", "stable")
    here, there = connect(clear, declared="10.0.0.1"), connect(clear, declared="10.0.0.2")
    assert here.listen("app", md5("stable")) == there.listen("app", md5("stable")) == []
    with crowds.pool(1) as pool:
        told = pool.submit(here.next_told)
        begun = there.ask("ConfigPublishRequest", **names(content="beta", additionMap={"betaIps": "10.0.0.1"}))
        assert (begun["resultCode"], told.result(2)["dataId"]) == (200, "app")
    assert [client.ask("ConfigQueryRequest", **names())["content"] for client in (here, there)] == ["beta", "stable"]
    assert [client.ask("ConfigQueryRequest", **names())["isBeta"] for client in (here, there)] == [True, False]


def test_refusals_say_why_and_change_nothing(connect: Any, server: NacosServer) -> None:
    tenant = make_tenant()
    client = connect(make_key(tenant, CONFIG_READ)[1])
    assert client.ask("ConfigPublishRequest", **names(content="x"))["errorCode"] == 403
    writer = connect(make_key(tenant)[1])
    for more in ({"tag": "canary"}, {"encryptedDataKey": "k"}, {"betaIps": "all"}):
        assert writer.ask("ConfigPublishRequest", **names(content="x", additionMap=more))["errorCode"] == 400
    missing = writer.ask("ConfigPublishRequest", **(names(content="x") | {"tenant": "nowhere"}))
    assert (missing["resultCode"], missing["errorCode"], "nowhere" in missing["message"]) == (500, 400, True)
    assert writer.ask("ConfigRemoveRequest", **(names() | {"tenant": "nowhere"}))["errorCode"] == 400
    naming = writer.ask("ServiceListRequest", tenant="")
    assert (naming["type"], naming["resultCode"], "docs/nacos.md" in naming["message"]) == ("ErrorResponse", 500, True)
    assert not ConfigItem.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dataId", "a" * 257),
        ("dataId", "a\0"),
        ("dataId", ""),
        ("dataId", None),
        ("group", "a b"),
        ("tenant", "t" * 142),
        ("tenant", ["x"]),
        ("tenant", {"x": "y"}),
        ("md5", 5),
        ("md5", "5" * 33),
    ],
)
def test_a_listener_with_a_name_that_cannot_be_one_is_refused(connect: Any, field: str, value: Any) -> None:
    client = connect(make_key(make_tenant(), CONFIG_READ)[1])
    wrong = {"dataId": "app", "group": GROUP, "tenant": None, "md5": "", field: value}
    refused = client.ask("ConfigBatchListenRequest", listen=True, configListenContexts=[wrong])
    assert (refused["resultCode"], refused["errorCode"]) == (500, 400)
    assert f"{field}: " in refused["message"]
    assert client.listen("app", "") == []


def test_a_call_without_a_stream_or_without_credentials_is_refused(server: NacosServer, connect: Any) -> None:
    bare = GrpcClient(server, make_key(make_tenant())[1])
    try:
        assert bare.ask("ConfigQueryRequest", **names())["errorCode"] == 301
        assert bare.ask("HealthCheckRequest")["errorCode"] == 500, "the Python client takes 3xx for a server that is healthy"
    finally:
        bare.close()
    stranger = connect("ph_live_ABCDEFGH_" + "x" * 43)
    assert {stranger.ask(kind, **names(content="x"))["errorCode"] for kind in requests.REQUESTS} == {403}


def test_no_client_reaches_another_tenants_item(connect: Any) -> None:
    owner = make_tenant()
    published(owner, "app", "own")
    client = connect(make_key(make_tenant("Other"))[1])
    for tenant in ("", "public", owner.slug, str(owner.pk), "installation.public", "posthaste"):
        assert client.ask("ConfigQueryRequest", **(names() | {"tenant": tenant}))["errorCode"] == 300, tenant
    assert client.listen("app", "") == []


def test_a_revoked_key_ends_the_stream_before_it_is_told_of_the_next_change(connect: Any) -> None:
    tenant = make_tenant()
    key, clear = make_key(tenant)
    client = connect(clear)
    item = published(tenant, "app", "one")
    assert client.listen("app", md5("one")) == []
    revoke_api_key(key=key, now=timezone.now(), by=TESTER)
    poll(lambda: client.ask("ConfigQueryRequest", **names())["errorCode"] == 403)
    with crowds.pool(1) as pool:
        told = pool.submit(client.next_told)
        releases.publish(item=item, content="two", comment="", by=actor("user:test"))
        with pytest.raises((grpc.RpcError, StopIteration, RuntimeError)):
            told.result(5)


def test_an_encrypted_item_reaches_a_client_that_may_read_it(connect: Any) -> None:
    tenant = make_tenant()
    item = items.create_item(
        namespace=items.default_namespace(tenant), group=GROUP, data_id="app", format="text", is_encrypted=True, by=actor("user:test")
    )
    releases.publish(item=item, content="hunter2", comment="", by=actor("user:test"))
    assert connect(make_key(tenant, CONFIG_READ)[1]).ask("ConfigQueryRequest", **names())["content"] == "hunter2"


def test_who_listens_over_grpc_is_shown_until_it_leaves(connect: Any) -> None:
    tenant = make_tenant()
    published(tenant, "app", "one")
    client = connect(make_key(tenant)[1])
    client.listen("app", md5("old"))
    api, address = make_api(tenant), f"/api/config/items/public/{GROUP}/app/listeners/"
    (row,) = poll(lambda: json_of(api.get(address))["results"])
    assert (row["transport"], row["agent"], row["md5"], row["is_current"]) == ("grpc", "Test-Client:v1", md5("old"), False)
    client.close()
    poll(lambda: json_of(api.get(address))["results"] == [])


def has_loaded_grpc(server: NacosServer) -> bool:
    assert server.process
    processes = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    return any("cygrpc" in Path(f"/proc/{process.pid}/maps").read_text() for process in processes)


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_the_server_is_loaded_for_the_first_client_also_for_one_that_has_signed_in_before(
    server: NacosServer, django_db_blocker: Any, tmp_path: Path
) -> None:
    with running(tmp_path, NACOS_GRPC="true") as fresh:
        fresh.call("GET", "/cs/configs", dataId="app", group=GROUP)
        assert not has_loaded_grpc(fresh)
        client = GrpcClient(fresh, make_key(make_tenant())[1], signed_in_at=server)
        try:
            poll(lambda: client.is_answered(), what="the client has connected again")
            assert has_loaded_grpc(fresh)
            client.connect()
        finally:
            client.close()


def test_a_port_with_tls_shows_its_certificate_and_the_renewed_one_without_a_restart(tmp_path: Path) -> None:
    tenant = make_tenant()
    clear = make_key(tenant)[1]
    published(tenant, "app", "one")
    path, _context = make_certificate(tmp_path, "127.0.0.1")
    old = path.read_bytes()
    files = {"NACOS_GRPC_CERTIFICATE": str(path), "NACOS_GRPC_KEY": str(tmp_path / "key.pem")}
    with running(tmp_path, NACOS_GRPC="true", **files) as server, closing(GrpcClient(server, clear, root=old)) as first:
        assert first.connect().ask("ConfigQueryRequest", **names())["content"] == "one"
        bare = GrpcClient(server, clear)
        with closing(bare), pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
            bare.ask("ServerCheckRequest")
        path.write_text("it is being replaced")
        with closing(GrpcClient(server, clear, root=old)) as meanwhile:
            assert meanwhile.connect().ask("ConfigQueryRequest", **names())["content"] == "one"
        make_certificate(tmp_path, "127.0.0.1")
        with closing(GrpcClient(server, clear, root=path.read_bytes())) as second:
            assert second.connect().ask("ConfigQueryRequest", **names())["content"] == "one"
        assert first.ask("ConfigQueryRequest", **names())["content"] == "one", "who is connected stays so"


def test_a_certificate_that_cannot_be_used_keeps_the_port_closed_and_http_open(tmp_path: Path) -> None:
    path, _context = make_certificate(tmp_path)
    files = {"NACOS_GRPC_CERTIFICATE": str(path), "NACOS_GRPC_KEY": str(path)}
    with running(tmp_path, NACOS_GRPC="true", **files) as server, pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port + 1000), timeout=SECONDS)
    assert "its certificate can't be used" in (tmp_path / "ws.log").read_text()
    with pytest.raises(ValidationError, match="belong together"):
        Environment(nacos_grpc_certificate=str(path))


def test_a_taken_or_switched_off_port_does_not_keep_the_http_api_from_starting(django_db_blocker: Any, tmp_path: Path) -> None:
    taken = socket.socket()
    lonely = NacosServer(tmp_path, NACOS_GRPC="true")
    try:
        taken.bind(("127.0.0.1", lonely.port + 1000))
        taken.listen()
        lonely.start()
        assert "Nacos gRPC port not available" in (tmp_path / "ws.log").read_text()
    finally:
        taken.close()
        lonely.stop()
    with running(tmp_path) as off, pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", off.port + 1000), timeout=SECONDS)
