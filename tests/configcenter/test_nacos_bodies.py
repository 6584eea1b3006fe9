"""Bodies of requests of Nacos clients that come slowly, or from clients that may not send them."""

import asyncio
import socket
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from configcenter.nacos import application
from configcenter.nacos.application import MAX_BODY_BYTES, ROOT, SMALL_BYTES
from configcenter.scopes import CONFIG_READ
from posthaste.lib.body_reading import GRACE_SECONDS, Deadline, Places
from tests.builders import make_key, make_tenant
from tests.configcenter.nacos_server import running

pytestmark = pytest.mark.django_db(transaction=True)
BYTE: dict[str, Any] = {"type": "http.request", "body": b"a", "more_body": True}
LARGE = str(SMALL_BYTES + 1)
SECONDS = 10


def call(path: str, *headers: tuple[str, str], query: str = "") -> ApplicationCommunicator:
    """Begin a POST."""
    sent = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "method": "POST", "path": f"{ROOT}{path}", "query_string": query.encode(), "headers": sent}
    return ApplicationCommunicator(application.nacos, scope)


async def answer(talk: ApplicationCommunicator) -> tuple[int, dict[bytes, bytes], bytes]:
    start, body = await talk.receive_output(SECONDS), await talk.receive_output(SECONDS)
    return start["status"], dict(start["headers"]), body["body"]


@pytest.mark.parametrize("length", [("content-length", "1000"), ("content-length", LARGE), ("transfer-encoding", "chunked")])
@pytest.mark.parametrize("path", ["/cs/configs", "/cs/configs/listener", "/auth/login"])
def test_a_client_whose_body_does_not_come_is_refused_without_its_credentials(
    path: str, length: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "Deadline", partial(Deadline, grace_seconds=0.2))

    async def begin() -> tuple[int, dict[bytes, bytes], bytes]:
        talk = call(path, length)
        await talk.send_input(BYTE)
        return await answer(talk)

    status, headers, body = asyncio.run(begin())
    assert (status, headers[b"connection"], b"body_timeout" in body) == (408, b"close", True)


@pytest.mark.parametrize("shown", ["header", "query", "password", "scope"])
def test_a_large_body_of_a_client_that_may_not_send_it_is_not_read(shown: str) -> None:
    clear = make_key(make_tenant(), CONFIG_READ)[1]
    headers = {"header": ("authorization", "Bearer nonsense"), "scope": ("authorization", f"Bearer {clear}")}
    query = {"query": "accessToken=nonsense", "password": "username=a&password=b"}

    async def begin() -> tuple[int, dict[bytes, bytes], bytes]:
        more = [headers[shown]] if shown in headers else []
        return await answer(call("/cs/configs", ("content-length", str(MAX_BODY_BYTES)), *more, query=query.get(shown, "")))

    assert asyncio.run(begin())[0] == 403


def test_few_large_bodies_are_read_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "_places", Places(2))  # one for each address

    async def meet() -> tuple[bool, int]:
        first, second = (call("/cs/configs", ("content-length", LARGE)) for _ in range(2))
        await first.send_input(BYTE)
        await second.send_input({"type": "http.disconnect"})
        waits = await second.receive_nothing(0.2)
        await first.send_input({"type": "http.disconnect"})
        assert (await answer(first))[0] == 400
        return waits, (await answer(second))[0]

    assert asyncio.run(meet()) == (True, 400)


def test_the_server_closes_the_connection_of_a_slow_client(django_db_setup: None, tmp_path: Path) -> None:
    with running(tmp_path) as server, socket.create_connection(("127.0.0.1", server.port), timeout=GRACE_SECONDS * 3) as slow:
        began = time.monotonic()
        slow.sendall(f"POST {ROOT}/cs/configs HTTP/1.1\r\nHost: {server.address}\r\nContent-Length: 1000\r\n\r\na".encode())
        told = b""
        while part := slow.recv(65_536):
            told += part
        assert told.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began >= GRACE_SECONDS - 1
