"""A small WSGI application behind `posthaste.lib.wsgi_bridge`, for Granian: it answers in many ways and records what it was sent.

    python -m granian --interface rsgi tests.peers.bridged_application:application

`wsgiref.validate` watches over both sides of PEP 3333.
"""

import asyncio
import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

from django.core.exceptions import RequestDataTooBig

from posthaste.lib.body_reading import SlowBody
from posthaste.lib.wsgi_bridge import Bridge

MAX_BYTES = 4_000_000
PIECE = b"x" * 300_000
may_go_on = threading.Event()
state = {"closed": 0, "short": 0}


class _Large:
    """An answer in pieces: the second one only when another request has said so."""

    def __iter__(self) -> Iterator[bytes]:
        yield PIECE
        may_go_on.wait(20)
        yield PIECE

    def close(self) -> None:
        state["closed"] += 1


def _kept(start_response: Any) -> list[bytes]:
    """Answer in a frame that refers to an error, whose traceback refers to the frame: only the garbage collector frees it."""
    try:
        raise RuntimeError("on purpose")
    except RuntimeError as error:
        kept = error
    start_response("422 Unprocessable Entity", [("Content-Type", "text/plain"), ("X-Kept", type(kept).__name__)])
    return [PIECE, PIECE]


def _application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/large":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return _Large()
    if path == "/kept":
        return _kept(start_response)
    if path == "/go":
        may_go_on.set()
    if path == "/fails":
        raise RuntimeError("on purpose")
    told: dict[str, Any] = {name: value for name, value in environ.items() if isinstance(value, str)} | state
    if path != "/unread":
        length = int(environ.get("CONTENT_LENGTH") or 0)
        try:
            body = environ["wsgi.input"].read(length)
        except SlowBody:
            start_response("408 Request Timeout", [("Content-Type", "text/plain")])
            return [b"too slow"]
        except RequestDataTooBig:
            start_response("413 Content Too Large", [("Content-Type", "text/plain")])
            return [b"too large"]
        state["short"] += len(body) < length
        told |= {"read": len(body), "ends": body[-5:].decode("latin-1")}
    text = b"" if environ["REQUEST_METHOD"] == "HEAD" else json.dumps(told).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    return [text]


class _Server:
    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._bridge = Bridge(validator(_application), threads=2, max_bytes=MAX_BYTES, loop=loop)

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        await self._bridge.answer(scope, protocol)


application = _Server()
