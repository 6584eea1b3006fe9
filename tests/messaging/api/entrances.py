"""The two entrances of the web process, called as its server calls them: plain WSGI, and Granian's RSGI."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from django.test import RequestFactory


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any


Call = Callable[..., Answer]


def environ_of(path: str, body: Any, *, method: str, content_type: str, headers: dict[str, str]) -> dict[str, Any]:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    environ: dict[str, Any] = RequestFactory().generic(method, path, raw, headers=named).environ
    if raw:
        environ["CONTENT_TYPE"] = content_type  # not given to the factory, which fails where it makes no sense
    return environ


def through_wsgi(path: str, body: Any = None, *, method: str = "POST", content_type: str = "application/json", **headers: str) -> Answer:
    """Call the WSGI application as a server does."""
    from posthaste.wsgi import application

    environ = environ_of(path, body, method=method, content_type=content_type, headers=headers)
    seen: dict[str, Any] = {}

    def start_response(status: str, sent: list[tuple[str, str]], _error: Any = None) -> None:
        seen["status"], seen["headers"] = int(status.split(" ", 1)[0]), {name.lower(): value for name, value in sent}

    text = b"".join(application(environ, start_response))
    assert int(seen["headers"].get("content-length", len(text))) == len(text)
    return Answer(seen["status"], seen["headers"], orjson.loads(text) if text else None)


@dataclass
class Scope:
    """What Granian tells of a request."""

    method: str
    path: str
    query_string: str
    headers: dict[str, str]
    client: str = "127.0.0.1:4711"
    server: str = "127.0.0.1:8000"
    scheme: str = "http"
    http_version: str = "1.1"


@dataclass
class Protocol:
    """Granian's other half of a request: the body one way, the answer the other."""

    body: bytes
    answer: Answer | None = None

    async def __call__(self) -> bytes:
        return self.body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.body), 65_536):
            yield self.body[at : at + 65_536]

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answer = Answer(status, dict(headers), orjson.loads(body) if body else None)


class Loop:
    """An event loop of its own, as in a server process, with the entrance in it."""

    def __init__(self) -> None:
        from posthaste.rsgi import Entrance

        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="entrance", daemon=True)
        self.thread.start()
        self.entrance = Entrance()
        interval = sys.getswitchinterval()
        self.entrance.__rsgi_init__(self.loop)
        sys.setswitchinterval(interval)

    def __call__(
        self, path: str, body: Any = None, *, method: str = "POST", content_type: str = "application/json", **headers: str
    ) -> Answer:
        environ = environ_of(path, body, method=method, content_type=content_type, headers=headers)
        named = {name[5:].replace("_", "-").lower(): str(value) for name, value in environ.items() if name.startswith("HTTP_")}
        named["content-type"] = environ.get("CONTENT_TYPE", "")
        if "transfer-encoding" not in named:
            named["content-length"] = str(environ.get("CONTENT_LENGTH", 0))
        protocol = Protocol(environ["wsgi.input"].read())
        scope = Scope(method, environ["PATH_INFO"], environ["QUERY_STRING"], named)
        asyncio.run_coroutine_threadsafe(self.entrance.__rsgi__(scope, protocol), self.loop).result(30)
        assert protocol.answer is not None
        return protocol.answer

    def close(self) -> None:
        self.entrance.__rsgi_del__(self.loop)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(60)
        self.loop.close()
