"""Guarded outgoing HTTP: reaches public addresses only, and knows whether a request may have arrived.

libcurl speaks the protocol, because a request then costs the interpreter a quarter of what it costs in Python, and while
libcurl waits or works other threads run. It resolves and connects nothing by itself: each connection is made by
`posthaste.lib.guard`, TLS verifies the certificate for the name, redirects are not followed and proxy variables are ignored.

libcurl repeats a request by itself when a connection that it used before ends without an answer. The server may have acted
upon the first one, so this is denied: a connection is made for a request only as long as nothing of it has left.
"""

import functools
import re
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import certifi
import pycurl
from urllib3 import HTTPHeaderDict

from posthaste import env
from posthaste.lib.deadlines import time_limit
from posthaste.lib.guard import BrokenOff, Guard, OutboundError, Refused, TimedOut, is_permitted
from posthaste.lib.targets import Target, host_and_port, host_name, is_address, target_of

__all__ = [
    "BrokenOff",
    "GuardedClient",
    "OutboundError",
    "Refused",
    "Response",
    "TimedOut",
    "client",
    "host_and_port",
    "host_name",
    "is_address",
    "is_permitted",
]

USER_AGENT = "Posthaste/1"
MAX_BODY_BYTES = 1 << 20
#: Idle connections older than this are not reused: many servers close theirs after 5 s, and a request that meets the
#: closing one would have an unknown outcome.
MAX_IDLE_SECONDS = 4.0
FORGET_SECONDS = 60.0
#: Stands for every name: libcurl must have an address before it asks for a connection. One from TEST-NET-1 (RFC 5737).
NOWHERE = "192.0.2.1"
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # token of RFC 9110, section 5.6.2
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
TLS_ERRORS = {
    pycurl.E_SSL_CONNECT_ERROR,
    pycurl.E_PEER_FAILED_VERIFICATION,
    pycurl.E_SSL_CERTPROBLEM,
    pycurl.E_SSL_CIPHER,
    pycurl.E_SSL_ISSUER_ERROR,
    pycurl.E_SSL_INVALIDCERTSTATUS,
}


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. `body` holds at most the number of bytes asked for; `truncated` says that there were more."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


def _header_lines(headers: Mapping[str, str]) -> list[bytes]:
    """Header lines as libcurl takes them; `Name;` stands for an empty value, `Name:` for one it must not add by itself."""
    lines = []
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name) or CONTROLS.search(value):
            raise Refused("bad_request", f"The header {name!r} holds a character that headers cannot have.")
        lines.append((f"{name}: {value}" if value.strip() else f"{name};").encode("latin-1"))
    given = {name.lower() for name in headers}
    lines += [f"{name}:".encode() for name in ("Accept", "Content-Type", "Expect") if name.lower() not in given]
    return lines


class _Line:
    """A libcurl handle with at most one connection, to one server; used by one thread at a time."""

    def __init__(self, guard: Guard, target: Target) -> None:
        self.last_used: float | None = None
        self._guard, self._target = guard, target
        self._may_connect = False
        self._opened: socket.socket | None = None
        self._refusal: Exception | None = None
        self._connect_timeout = 0.0
        self._head: list[bytes] = []
        self._body: list[bytes] = []
        self._room = 0
        self._needs_body = True
        curl = self._curl = pycurl.Curl()
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.MAXCONNECTS, 1)
        curl.setopt(pycurl.RESOLVE, [f"*:{target.port}:{NOWHERE}"])
        curl.setopt(pycurl.OPENSOCKETFUNCTION, self._connect)
        curl.setopt(pycurl.SOCKOPTFUNCTION, self._connected)
        curl.setopt(pycurl.HEADERFUNCTION, self._head.append)  # a call for every line: none into Python
        curl.setopt(pycurl.WRITEFUNCTION, self._take_body)
        if target.scheme == "https":
            curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
            paths = ssl.get_default_verify_paths()
            if paths.cafile:
                curl.setopt(pycurl.CAINFO, paths.cafile)
            elif paths.capath:
                curl.setopt(pycurl.CAPATH, paths.capath)
            else:
                curl.setopt(pycurl.CAINFO, certifi.where())

    def request(
        self,
        method: str,
        url: str,
        lines: list[bytes],
        body: bytes | None,
        *,
        connect_timeout: float,
        total_timeout: float,
        max_body: int,
        needs_body: bool,
    ) -> Response:
        """Send one request and read its answer.

        Raises:
            Refused, TimedOut, BrokenOff: no answer.
        """
        curl = self._curl
        curl.setopt(pycurl.URL, url)
        if body is None and method != "POST":
            curl.setopt(pycurl.HTTPGET, 1)
            curl.setopt(pycurl.NOBODY, method == "HEAD")
        else:
            curl.setopt(pycurl.POST, 1)
            curl.setopt(pycurl.POSTFIELDS, body or b"")
        curl.setopt(pycurl.CUSTOMREQUEST, method)
        curl.setopt(pycurl.HTTPHEADER, lines)
        self._connect_timeout = min(connect_timeout, total_timeout)
        self._room, self._needs_body = max_body, needs_body
        ends_at = time.monotonic() + total_timeout
        try:
            if self._is_live() and (answer := self._perform(total_timeout, total_timeout, may_connect=False)):
                return answer
            answer = self._perform(ends_at - time.monotonic(), total_timeout, may_connect=True)
            assert answer is not None
            return answer
        except OutboundError:
            self.last_used = None
            raise

    def _is_live(self) -> bool:
        """Tells whether the connection can be used again; one with something to read was closed by the server."""
        if self.last_used is None or time.monotonic() - self.last_used > MAX_IDLE_SECONDS:
            return False
        descriptor = self._curl.getinfo(pycurl.ACTIVESOCKET)
        if descriptor < 0:
            return False
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return not poll.poll(0)

    def _perform(self, seconds: float, total_timeout: float, *, may_connect: bool) -> Response | None:
        """Return the response, or None if a new connection is needed, none may be made, and nothing has been sent."""
        curl, host = self._curl, self._target.host
        self._may_connect, self._refusal = may_connect, None
        self._head.clear()
        self._body.clear()
        left = max(1, int(seconds * 1000))
        curl.setopt(pycurl.TIMEOUT_MS, left)
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, min(left, max(1, int(self._connect_timeout * 1000))))
        curl.setopt(pycurl.FRESH_CONNECT, may_connect)
        try:
            curl.perform()
        except pycurl.error as error:
            arguments: tuple[Any, ...] = error.args
            code, detail = arguments[:2]
            sent = curl.getinfo(pycurl.REQUEST_SIZE) > 0
            if code == pycurl.E_WRITE_ERROR and self._room < 0:
                self.last_used = None
                return self._response(truncated=True)
            if sent and not self._needs_body and self._has_head():
                self.last_used = None
                return self._response(truncated=True)
            if self._refusal is not None and not sent:
                raise self._refusal from None
            if code == pycurl.E_OPERATION_TIMEDOUT:
                raise TimedOut(f"No answer from {host} within {total_timeout:g} s.", sent=sent) from None
            if sent:
                raise BrokenOff(f"The connection to {host} ended before the answer.", sent=True) from None
            if not may_connect:
                return None
            if code in TLS_ERRORS:
                raise Refused("tls", f"TLS with {host} failed: {detail}") from None
            raise Refused("connection_refused", f"{host} could not be reached: {detail}.") from None
        self.last_used = time.monotonic()
        return self._response(truncated=False)

    def _has_head(self) -> bool:
        """Tells whether the status and the headers of the final answer have arrived."""
        return bool(self._head) and not self._head[-1].strip() and self._curl.getinfo(pycurl.RESPONSE_CODE) >= 200

    def _response(self, *, truncated: bool) -> Response:
        headers = HTTPHeaderDict()
        for line in b"".join(self._head).decode("latin-1").split("\r\n"):
            if line.startswith("HTTP/"):
                headers.clear()  # what came before was an interim answer
            else:
                name, colon, value = line.partition(":")
                if colon:
                    headers.add(name, value.strip())
        body = b"".join(self._body)
        return Response(self._curl.getinfo(pycurl.RESPONSE_CODE), headers, body, truncated)

    def _connect(self, _purpose: int, _address: Any) -> Any:
        """Libcurl asks for a connection."""
        if not self._may_connect:
            return pycurl.SOCKET_BAD
        self._may_connect = False
        try:
            with time_limit(self._connect_timeout):
                self._opened = self._guard.connect(self._target.host, self._target.port)
        except OutboundError as refusal:
            self._refusal = refusal
            return pycurl.SOCKET_BAD
        return self._opened

    def _connected(self, _descriptor: int, _purpose: int) -> int:
        assert self._opened is not None
        self._opened.close()  # libcurl has a descriptor of its own by now
        self._opened = None
        return int(pycurl.SOCKOPT_ALREADY_CONNECTED)

    def _take_body(self, part: bytes) -> int:
        kept = part[: max(0, self._room)]
        self._room -= len(part)
        self._body.append(kept)
        return len(part) if self._room >= 0 else 0

    def close(self) -> None:
        """Close the connection."""
        self._curl.close()


class GuardedClient(Guard):
    """A thread-safe HTTP client that keeps connections for the next request."""

    def __init__(self, allowed_networks: Iterable[str] = ()) -> None:
        super().__init__(allowed_networks)
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str, int], deque[_Line]] = {}
        self._swept_at = time.monotonic()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        connect_timeout: float = 5.0,
        total_timeout: float = 10.0,
        max_body: int = MAX_BODY_BYTES,
        needs_body: bool = True,
    ) -> Response:
        """Send one request and read its answer, following no redirect.

        Without `needs_body`, the answer counts once its status and headers have arrived: a body that ends early is `truncated`.

        Raises:
            Refused: nothing was sent.
            TimedOut, BrokenOff: see their `sent`.
        """
        target = target_of(url)
        lines = _header_lines({"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **(headers or {})})
        key = (target.scheme, target.host, target.port)
        with self._lock:
            idle = self._idle.get(key)
            line = idle.pop() if idle else None  # the one used last
        line = line or _Line(self, target)
        try:
            return line.request(
                method,
                target.url,
                lines,
                body,
                connect_timeout=connect_timeout,
                total_timeout=total_timeout,
                max_body=max_body,
                needs_body=needs_body,
            )
        finally:
            self._keep(key, line)

    def _keep(self, key: tuple[str, str, int], line: _Line) -> None:
        with self._lock:
            self._idle.setdefault(key, deque()).append(line)
            forgotten = self._sweep() if time.monotonic() - self._swept_at > FORGET_SECONDS / 4 else []
        for old in forgotten:
            old.close()

    def _sweep(self) -> list[_Line]:
        """Remove the handles that were not used for a while."""
        self._swept_at = time.monotonic()
        forgotten = []
        for key, idle in list(self._idle.items()):
            while idle and (idle[0].last_used or 0.0) < self._swept_at - FORGET_SECONDS:
                forgotten.append(idle.popleft())
            if not idle:
                del self._idle[key]
        return forgotten

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            lines = [line for idle in self._idle.values() for line in idle]
            self._idle.clear()
        for line in lines:
            line.close()


@functools.cache
def client() -> GuardedClient:
    """Return the process's client, which honours OUTBOUND_ALLOWED_NETWORKS."""
    return GuardedClient(env.load().outbound_allowed_networks)
