"""Visitors for tests: their session, their socket, and what arrived there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from asgiref.testing import ApplicationCommunicator
from django.utils import timezone

from routing.entrances.portal import sessions
from routing.models import Entrance
from routing.sockets.urls import beside

SITE = "https://shop.example.com"
SECONDS = 20.0


async def _no_other(_scope: Any, _receive: Any, _send: Any) -> None:
    raise AssertionError("another address")


application = beside(_no_other)


def new_token(entrance: Entrance, name: str = "Ada") -> str:
    """Begin a session of a new visitor and return its token."""
    visitor = sessions.visitor_of(entrance, name=name, now=timezone.now())
    return sessions.begin(entrance, visitor, language="en", now=timezone.now())[1]


_Communicator: Any = ApplicationCommunicator  # asgiref's testing has no types


class Socket:
    """A connection to the application, without a server between."""

    def __init__(self, entrance: Entrance, *, origin: str = "", host: str = "desk.example.com") -> None:
        headers = [(b"host", host.encode()), *([(b"origin", origin.encode())] if origin else [])]
        path = f"/ws/chat/{entrance.pk}/"
        scope = {"type": "websocket", "path": path, "headers": headers, "client": ("192.0.2.1", 5)}
        self._application = _Communicator(application, scope)

    async def connect(self) -> int | None:
        """Open the connection; a number is the code with which it was refused."""
        await self._application.send_input({"type": "websocket.connect"})
        event = await self.receive()
        return None if event["type"] == "websocket.accept" else int(event["code"])

    async def send(self, text: str) -> None:
        await self._application.send_input({"type": "websocket.receive", "text": text})

    async def receive(self) -> dict[str, Any]:
        """Return what the application sends next."""
        event: dict[str, Any] = await self._application.receive_output(SECONDS)
        return event

    def has_more(self) -> bool:
        """Whether something has been sent that was not received yet."""
        return not self._application.output_queue.empty()

    async def disconnect(self) -> None:
        """Leave, and wait until the application has noticed."""
        await self._application.send_input({"type": "websocket.disconnect", "code": 1005})
        await self._application.wait(SECONDS)


class Visitor:
    """A browser that keeps what arrived over all its connections, as the documented client does."""

    def __init__(self, entrance: Entrance, token: str) -> None:
        self.entrance, self.token = entrance, token
        self.lines: list[dict[str, Any]] = []
        self.others: list[dict[str, Any]] = []
        self.socket: Socket

    async def send(self, **frame: Any) -> None:
        await self.socket.send(orjson.dumps(frame).decode())

    async def next(self) -> dict[str, Any]:
        """Return the next frame, and keep it if it is a line."""
        frame: dict[str, Any] = orjson.loads((await self.socket.receive())["text"])
        (self.lines if frame["type"] == "line" else self.others).append(frame)
        return frame

    async def until(self, kind: str, **values: Any) -> dict[str, Any]:
        """Return the next frame of a kind that has these values."""
        while True:
            frame = await self.next()
            if frame["type"] == kind and all(frame.get(name) == value for name, value in values.items()):
                return frame

    @asynccontextmanager
    async def connected(self, *, origin: str = SITE) -> AsyncIterator[None]:
        """Hold a connection that has said hello, from the last line on."""
        self.socket = Socket(self.entrance, origin=origin)
        assert await self.socket.connect() is None
        last = self.lines[-1] if self.lines else None
        place = {"conversation": last["conversation"], "after": last["seq"]} if last else {}
        await self.send(type="hello", token=self.token, **place)
        try:
            yield
        finally:
            await self.socket.disconnect()
