"""A WSGI application (PEP 3333) behind a server that speaks RSGI, each request in a thread of a pool.

RSGI is Granian's own interface (https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md). Small bodies are at hand when
the application is called. Larger ones are read from the client only when the application asks for them, so that a client without
permission to send can't fill the memory. Each body has a deadline, and at most half of the threads read bodies (`body_reading`).
Responses are passed on whole, or in parts when they are large.
"""

import asyncio
import io
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

from django.core.exceptions import RequestDataTooBig

from posthaste.lib.body_reading import GRACE_SECONDS, Deadline, NoPlace, Place, Places, SlowBody

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Result = TypeVar("Result")
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

SMALL_BYTES = 64 * 1024  # of a body that is read before anybody asks for it
WHOLE_BYTES = 256 * 1024  # of an answer that is sent at once
UNNAMED = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


def has_small_body(scope: Any) -> bool:
    """Return whether a request's body is known to be small."""
    headers = scope.headers
    if "transfer-encoding" in headers:
        return False
    length = headers.get("content-length")
    return length is None or (length.isdecimal() and int(length) <= SMALL_BYTES)


def address_of(scope: Any) -> str:
    """Return the IP address of the connection's other end."""
    host, _sep, _port = scope.client.rpartition(":")
    return host.strip("[]") or str(scope.client)


def all_of(scope: Any, name: str, *, separator: str = ",") -> str:
    """Return the values of all headers of a name: the first alone may have been made up by the client."""
    return separator.join(value for found, value in scope.headers.items() if found == name) if name in scope.headers else ""


def environ_of(scope: Any) -> Environ:
    """Return what PEP 3333 says an application is told, without the body."""
    host, _sep, port = scope.server.rpartition(":")
    environ: Environ = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": host.strip("[]"),
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": address_of(scope),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope.headers.items():
        if "_" in name:  # would be taken for the header with a hyphen, which a proxy may vouch for
            continue
        key = UNNAMED.get(name) or f"HTTP_{name.upper().replace('-', '_')}"
        environ[key] = value if key not in environ else f"{environ[key]}{'; ' if name == 'cookie' else ','}{value}"
    return environ


class _Incoming(io.RawIOBase):
    """A body that is still on its way: read by the thread, fetched by the loop.

    `max_bytes`: the bound of a body whose length is not known. The application reads that many bytes at most, so a body that has more
    would look like one that has ended.
    """

    def __init__(self, protocol: Any, loop: asyncio.AbstractEventLoop, *, max_bytes: int | None, place: Place) -> None:
        self._place = place
        self._deadline: Deadline | None = None
        self._chunks = aiter(protocol)
        self._loop = loop
        self._left = max_bytes
        self._rest = b""
        self._has_ended = False

    def readable(self) -> bool:
        return True

    async def _next(self) -> bytes:
        return bytes(await anext(self._chunks, b""))

    def _fetch(self) -> bytes:
        if self._has_ended:
            return b""
        self._deadline = self._deadline or Deadline()  # from when the application began to read
        following = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
        try:
            chunk = following.result(self._deadline.left())
        except TimeoutError:
            following.cancel()
            raise SlowBody("the body did not come in time") from None
        except RuntimeError as error:  # granian's RSGIProtocolError and RSGIProtocolClosed are RuntimeErrors
            raise OSError("the client is gone") from error
        self._deadline.note(len(chunk))
        self._has_ended = not chunk
        if self._has_ended:
            self._place.give_back_from(self._loop)
        return chunk

    def _bounded(self, chunk: bytes) -> bytes:
        """Return a chunk of a body without a length; after the last byte that may come, see that none follows."""
        if self._left is not None and chunk:
            self._left -= len(chunk)
            if self._left < 0 or (self._left == 0 and self._fetch()):
                raise RequestDataTooBig
        return chunk

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = self._bounded(self._fetch())
        number = min(len(buffer), len(self._rest))
        buffer[:number], self._rest = self._rest[:number], self._rest[number:]
        return number


@dataclass(frozen=True, slots=True)
class _Whole:
    """An answer that is sent at once."""

    status: int
    headers: Headers
    body: bytes


Refuse = Callable[[Exception], tuple[int, Headers, bytes]]


def refuse_plainly(error: Exception) -> tuple[int, Headers, bytes]:
    """Return the answer to a request whose body came too slowly, or found no place."""
    return (408 if isinstance(error, SlowBody) else 503), [("content-type", "text/plain")], b""


async def small_body(protocol: Any) -> bytes:
    """Return a body that is known to be small.

    Raises:
        SlowBody: It did not come in time.
    """
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            return bytes(await protocol())
    except TimeoutError:
        raise SlowBody("the body did not come in time") from None


class Bridge:
    """One a process; the server's event loop awaits `answer`.

    `max_bytes` is what a body of unknown length may have, `refuse` says how a client is told that its body came too slowly.
    """

    def __init__(
        self,
        application: Application,
        *,
        threads: int,
        max_bytes: int,
        loop: asyncio.AbstractEventLoop,
        refuse: Refuse = refuse_plainly,
    ) -> None:
        self._refuse = refuse
        self._places = Places(max(1, threads // 2))
        self._application = application
        self._max_bytes = max_bytes
        self._loop = loop
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="web")

    async def answer(self, scope: Any, protocol: Any) -> None:
        """Let the application answer."""
        environ = environ_of(scope)
        place: Place | None = None
        try:
            if has_small_body(scope):
                environ["wsgi.input"] = io.BytesIO(await small_body(protocol))
            else:
                place = await self._places.take(environ["REMOTE_ADDR"])
                max_bytes = None if "CONTENT_LENGTH" in environ else self._max_bytes
                incoming = _Incoming(protocol, self._loop, max_bytes=max_bytes, place=place)
                environ["wsgi.input"] = io.BufferedReader(incoming, SMALL_BYTES)
                environ.setdefault("CONTENT_LENGTH", str(self._max_bytes))  # Django would take a body without a length for none
            whole = await self._loop.run_in_executor(self._pool, self._call, environ, protocol)
        except (SlowBody, NoPlace) as error:
            protocol.response_bytes(*self._refuse(error))
            return
        finally:
            if place is not None:
                place.give_back()
        if whole is not None:
            protocol.response_bytes(whole.status, whole.headers, whole.body)

    async def run(self, function: "Callable[[], Result]") -> Result:
        """Call a function that may wait in one of the threads and return its result."""
        return await self._loop.run_in_executor(self._pool, function)

    def close(self) -> None:
        """Take no more requests; those that are running end."""
        self._pool.shutdown(wait=False)

    def _call(self, environ: Environ, protocol: Any) -> _Whole | None:
        started: dict[str, Any] = {}

        def start_response(status: str, headers: Headers, _error: Any = None) -> None:
            started.update(status=int(status[:3]), headers=[(name.lower(), value) for name, value in headers])

        answer = self._application(environ, start_response)
        stream = None
        try:
            pieces = iter(answer)
            first = bytearray()
            for piece in pieces:
                first += piece
                if len(first) > WHOLE_BYTES:
                    break
            else:
                return _Whole(started["status"], started["headers"], bytes(first))
            stream = self._in_the_loop(self._start(protocol, started))
            for piece in chain((bytes(first),), pieces):
                self._in_the_loop(stream.send_bytes(piece))
            return None
        finally:
            # Granian ends an answer when its stream is freed. Something may still refer to this frame, such as the traceback of an error.
            del stream
            if (close := getattr(answer, "close", None)) is not None:
                close()

    @staticmethod
    async def _start(protocol: Any, started: dict[str, Any]) -> Any:
        return protocol.response_stream(started["status"], started["headers"])

    def _in_the_loop(self, awaitable: Any) -> Any:
        """Run what belongs to the loop's thread there and wait: a slow client holds up this thread and fills no memory."""
        return asyncio.run_coroutine_threadsafe(_coroutine(awaitable), self._loop).result()


async def _coroutine(awaitable: Any) -> Any:
    return await awaitable
