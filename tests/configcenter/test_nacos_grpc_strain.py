"""Nacos' gRPC port under clients that are broken or hostile: the others are served as before."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import product
from typing import Any

import grpc
import pytest

from configcenter.models import ConfigItem, ConfigState
from configcenter.nacos.grpc import server as port
from configcenter.nacos.grpc import wire
from configcenter.services import releases
from configcenter.services.validation import MAX_BYTES
from deploy.local.installation import free_port
from tests import crowds
from tests.builders import actor, make_key, make_tenant
from tests.configcenter.nacos_server import NacosServer, running
from tests.configcenter.test_nacos import GROUP, md5, published
from tests.configcenter.test_nacos_grpc import SECONDS, GrpcClient, names

pytestmark = pytest.mark.django_db(transaction=True)
_revisions = iter(range(1_000, 10_000_000, 1_000))
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
#: Nothing is read in advance of what the client asks for.
READS_LITTLE = [("grpc.http2.lookahead_bytes", 1), ("grpc.http2.bdp_probe", 0)]


@pytest.fixture(scope="module")
def server(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NacosServer]:
    """Start a ws process with its gRPC port."""
    with django_db_blocker.unblock(), running(tmp_path_factory.mktemp("nacos"), NACOS_GRPC="true") as server:
        yield server


@pytest.fixture(autouse=True)
def _revision_that_rises(db: None) -> None:
    ConfigState(revision=next(_revisions)).save()


@pytest.fixture
def client(server: NacosServer) -> Iterator[GrpcClient]:
    """Connect a client of a tenant that has the item `app` with the text `one`."""
    tenant = make_tenant()
    published(tenant, "app", "one")
    with closing(GrpcClient(server, make_key(tenant)[1])) as client:
        yield client.connect()


def is_served(client: GrpcClient) -> bool:
    """Return whether a client gets its text, and is told of a change at once."""
    item = ConfigItem.objects.get(data_id="app")
    assert item.current is not None
    text = item.current.content
    assert client.ask("ConfigQueryRequest", **names())["content"] == text
    client.listen("app", md5(text))
    with crowds.pool(1) as pool:
        told = pool.submit(client.next_told)
        releases.publish(item=item, content=f"{text}+", comment="", by=actor("user:test"))
        return bool(told.result(3)["dataId"] == "app")


def closes(server: NacosServer, sent: bytes) -> bool:
    """Return whether the server hangs up on a connection that sent these bytes."""
    with socket.create_connection(("127.0.0.1", server.port + 1000), timeout=SECONDS) as raw:
        raw.sendall(sent)
        try:
            while raw.recv(4096):
                pass
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        return True


@pytest.mark.parametrize(
    "sent", [b"GET /nacos/ HTTP/1.1\r\n\r\n", bytes(range(256)) * 40, PREFACE + bytes(range(256)) * 40, b"\x16\x03\x01\x02\x00"]
)
def test_bytes_that_are_no_http2_end_their_connection_only(server: NacosServer, client: GrpcClient, sent: bytes) -> None:
    assert closes(server, sent + b"\0" * 20)
    assert is_served(client)


def test_messages_that_are_garbage_or_too_large_are_refused(client: GrpcClient) -> None:
    channel: Any = client.channel
    call, stream = channel.unary_unary("/Request/request"), channel.stream_stream("/BiRequestStream/requestBiStream")
    too_large = b"\0" * (port.MAX_MESSAGE_BYTES + 1)
    for sent, code in ((b"\xff" * 300, grpc.StatusCode.UNKNOWN), (too_large, grpc.StatusCode.RESOURCE_EXHAUSTED)):
        for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
            with pytest.raises(grpc.RpcError) as refused:
                call(sent, timeout=SECONDS, compression=compression)
            assert refused.value.code() is code
            assert stream(iter([sent]), timeout=SECONDS, compression=compression).code() in (code, grpc.StatusCode.OK), "it has ended"
    assert client.ask("ConfigPublishRequest", **names("big", content="x" * (MAX_BYTES + 1)))["errorCode"] == 413
    assert client.ask("ConfigPublishRequest", **names("big", content="\u0001" * MAX_BYTES))["resultCode"] == 200, "each six bytes as JSON"
    assert is_served(client)


def test_any_body_of_any_type_of_request_gets_an_error_and_changes_nothing(client: GrpcClient) -> None:
    bodies = (b"", b"null", b"[]", b"\xff", b"[" * 100_000, b'{"dataId": 1, "group": {}}', b'{"configListenContexts": {"a": 1}}')
    kinds = ("ConfigQueryRequest", "ConfigPublishRequest", "ConfigRemoveRequest", "InstanceRequest", "", "x" * 100_000)
    send = client.channel.unary_unary(
        "/Request/request", request_serializer=wire.Payload.SerializeToString, response_deserializer=wire.Payload.FromString
    )
    answers = []
    for kind, body in product(kinds, bodies):
        payload = wire.write(kind, {})
        payload.body.value = body
        payload.metadata.headers.update(client.headers)
        answers.append(send.future(payload, timeout=30))  # beside each other, as refusals are held back
    for answer in answers:
        found = wire.body_of(answer.result())
        assert (found["resultCode"], found["errorCode"] in (400, 404)) == (500, True), found
        assert answer.result().ByteSize() < 1_000
    assert ConfigItem.objects.count() == 1
    assert is_served(client)


def test_a_stream_that_never_says_who_it_is_or_says_it_twice_harms_no_other(server: NacosServer, client: GrpcClient) -> None:
    odd = GrpcClient(server, "nonsense")
    with closing(odd):
        stream = odd.channel.stream_stream(
            "/BiRequestStream/requestBiStream",
            request_serializer=wire.Payload.SerializeToString,
            response_deserializer=wire.Payload.FromString,
        )
        said = [
            wire.write(kind, {})
            for kind in ("Nonsense", "ConfigChangeNotifyResponse", "", "ConnectionSetupRequest", "ConnectionSetupRequest")
        ]
        told = list(stream(iter(said), timeout=SECONDS))
        assert told == []
        assert odd.ask("ConfigQueryRequest", **names())["errorCode"] == 301, "its stream has ended"
    assert is_served(client)


def test_a_hundred_connections_that_do_nothing_cost_no_one_a_change(server: NacosServer, client: GrpcClient) -> None:
    with ExitStack() as idle:
        for number in range(100):
            raw = idle.enter_context(socket.create_connection(("127.0.0.1", server.port + 1000), timeout=SECONDS))
            if number % 2:
                raw.sendall(PREFACE)
        assert is_served(client)


def test_connections_without_a_call_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def seconds_until_closed(number: int, sent: bytes) -> float:
        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        writer.write(sent)
        async with asyncio.timeout(SECONDS):
            await reader.read()
        writer.close()
        return time.monotonic() - began

    async def all_closed() -> list[float]:
        number = free_port()
        started = await port.start("127.0.0.1", number)
        assert started
        try:
            return await asyncio.gather(*(seconds_until_closed(number, sent) for sent in (b"", PREFACE)))
        finally:
            await port.stop(started)

    monkeypatch.setattr(port, "HANDSHAKE_SECONDS", 1)
    monkeypatch.setattr(port, "IDLE_SECONDS", 2)
    silent, idle = asyncio.run(all_closed())
    assert 0.9 <= silent < idle


def test_a_client_that_stops_reading_holds_up_no_other_and_finds_all_when_it_reads_again(server: NacosServer, client: GrpcClient) -> None:
    tenant = ConfigItem.objects.get().namespace.tenant
    # Their notices are a hundred times what is sent to it unread.
    data_ids = [f"{number}-{'x' * 200}" for number in range(100)]
    stuck = GrpcClient(server, "", options=READS_LITTLE)
    stuck.headers = client.headers
    with closing(stuck):
        contexts = [{"dataId": data_id, "group": GROUP, "tenant": "", "md5": ""} for data_id in data_ids]
        assert stuck.connect().ask("ConfigBatchListenRequest", listen=True, configListenContexts=contexts)["changedConfigs"] == []
        for data_id in data_ids:
            published(tenant, data_id, "one")
        assert is_served(client)
        for data_id in data_ids[:10]:
            published(tenant, data_id, "two")
        assert is_served(client)
        assert stuck.ask("ConfigQueryRequest", **names(data_ids[0]))["content"] == "two", "calls of the same connection are answered"
        missing = set(data_ids)
        while missing:
            missing.discard(stuck.next_told()["dataId"])
