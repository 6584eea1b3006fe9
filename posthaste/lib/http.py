"""Guarded outgoing HTTP: reaches public addresses only, and knows whether a request may have arrived.

Server-side request forgery is stopped where it counts, at the moment of connecting: each new connection resolves the
name, refuses addresses that are not public (or explicitly allowed), and connects to the very address that was checked,
so a second DNS answer cannot swap it. TLS still verifies the certificate for the name. Redirects are not followed and
proxy variables are ignored.
"""

import functools
import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3 import exceptions as urllib3_errors
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from posthaste import env
from posthaste.lib.deadlines import DeadlineResponse, limit_socket, note_sent, remaining, something_was_sent, time_limit

USER_AGENT = "Posthaste/1"
MAX_BODY_BYTES = 1 << 20
#: Idle connections older than this are not reused: many servers close theirs after 5 s, and a request that meets the
#: closing one would have an unknown outcome.
MAX_IDLE_SECONDS = 4.0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_lookups = ThreadPoolExecutor(max_workers=16, thread_name_prefix="dns")

# Refused although some releases of `ipaddress` call them global. The IPv6 ones carry an IPv4 address inside, or are
# routed by rules of their own; whoever needs one (NAT64, say) names it in the allowed networks.
_NEVER: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "::ffff:0:0/96",
        "::/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/23",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)


class OutboundError(Exception):
    """The request did not end with an answer. `sent`: bytes of it have left, so it may have been acted upon."""

    def __init__(self, code: str, detail: str, *, sent: bool) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.sent = sent


class Refused(OutboundError):
    """Nothing was sent: a bad address, a name that does not resolve, a refused connection, a failed handshake."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail, sent=False)


class TimedOut(OutboundError):
    """The time was used up; `sent` tells whether the request had left."""

    def __init__(self, detail: str, *, sent: bool) -> None:
        super().__init__("timeout", detail, sent=sent)


class BrokenOff(OutboundError):
    """The connection ended before the whole answer was there."""

    def __init__(self, detail: str, *, sent: bool) -> None:
        super().__init__("connection_lost", detail, sent=sent)


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


def is_permitted(address: Address, allowed: Iterable[Network]) -> bool:
    """This function will tell whether a connection to the address may be made."""
    if any(address in network for network in allowed if network.version == address.version):
        return True
    if address.is_multicast or any(address in network for network in _NEVER if network.version == address.version):
        return False
    return address.is_global


class GuardedClient:
    """A thread-safe HTTP client with connection pools a (scheme, host, port).

    `allowed_networks`: private networks (CIDR) that may be reached although they are not public.
    """

    def __init__(self, allowed_networks: Iterable[str] = (), *, pool_size: int = 200) -> None:
        self.allowed: tuple[Network, ...] = tuple(ipaddress.ip_network(text, strict=False) for text in allowed_networks)
        self._pools = urllib3.PoolManager(
            num_pools=64, maxsize=pool_size, block=False, retries=False, ssl_context=ssl.create_default_context()
        )
        self._pools.pool_classes_by_scheme = self.pool_classes()

    def pool_classes(self) -> dict[str, type[HTTPConnectionPool]]:
        """This function will give urllib3 pool classes whose connections go through this guard."""
        return {
            "http": type(
                "GuardedPool",
                (_FreshPool, HTTPConnectionPool),
                {"ConnectionCls": type("GuardedConnection", (_Guarded, HTTPConnection), {"guard": self})},
            ),
            "https": type(
                "GuardedTLSPool",
                (_FreshPool, HTTPSConnectionPool),
                {"ConnectionCls": type("GuardedTLSConnection", (_Guarded, HTTPSConnection), {"guard": self})},
            ),
        }

    def check_host(self, host: str, port: int, *, timeout: float | None = 10.0) -> list[tuple[Any, ...]]:
        """This function will resolve the host and give the socket addresses that may be reached, as getaddrinfo does.

        Raises:
            Refused: the name does not resolve, or none of its addresses is permitted.
            TimedOut: the lookup took too long.
        """
        name = host.strip("[]").rstrip(".")
        if not name or not 0 < port < 65536:
            raise Refused("bad_address", "The address has no usable host or port.")
        try:
            # A thread of its own: getaddrinfo knows no time-out.
            answers = _lookups.submit(socket.getaddrinfo, name, port, type=socket.SOCK_STREAM).result(timeout)
        except FutureTimeout:
            raise TimedOut(f"Looking up {name} took too long.", sent=False) from None
        except (OSError, UnicodeError):
            raise Refused("dns", f"The host name {name} does not resolve.") from None
        permitted = [answer for answer in answers if is_permitted(ipaddress.ip_address(str(answer[4][0]).partition("%")[0]), self.allowed)]
        if not permitted:
            raise Refused(
                "blocked_address", f"{name} is not at a public address. Private networks must be allowed by OUTBOUND_ALLOWED_NETWORKS."
            )
        return permitted

    def connect(
        self, host: str, port: int, *, timeout: float | None = 10.0, socket_options: Iterable[tuple[Any, ...]] | None = None
    ) -> socket.socket:
        """This function will open a TCP connection to a checked address of the host.

        Raises:
            Refused, TimedOut: no connection; nothing was sent.
        """
        error: OSError | None = None
        try:
            for family, kind, protocol, _, address in self.check_host(host, port, timeout=remaining(timeout)):
                sock = socket.socket(family, kind, protocol)
                try:
                    for option in socket_options or ():
                        sock.setsockopt(*option)
                    sock.settimeout(remaining(timeout))
                    sock.connect(address)
                    return sock
                except OSError as problem:
                    error = problem
                    sock.close()
        except TimeoutError as problem:  # the deadline, before a socket was there
            error = problem
        if isinstance(error, TimeoutError):
            raise TimedOut(f"Connecting to {host}:{port} took too long.", sent=False)
        raise Refused("connection_refused", f"{host}:{port} could not be reached: {error.strerror if error else 'no address'}.")

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
    ) -> Response:
        """This function will send one request and read its answer, following no redirect.

        Raises:
            Refused: nothing was sent.
            TimedOut, BrokenOff: see their `sent`.
        """
        try:
            parts = urlsplit(url)
            bad = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or parts.username is not None
        except ValueError:
            bad = True
        if bad:
            raise Refused("bad_address", "The address must be an http(s) URL with a host and without credentials.")
        sending = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **(headers or {})}
        timeout = urllib3.Timeout(connect=min(connect_timeout, total_timeout), read=total_timeout)
        with time_limit(total_timeout):
            try:
                answer = self._pools.urlopen(
                    method,
                    url,
                    body=body,
                    headers=sending,
                    timeout=timeout,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                )
                try:
                    content = answer.read(max_body + 1, decode_content=False)
                except BaseException:
                    answer.close()
                    raise
                truncated = len(content) > max_body
                if truncated:
                    answer.close()
                else:
                    answer.release_conn()
                return Response(answer.status, answer.headers, content[:max_body], truncated)
            except OutboundError:
                raise
            except (urllib3_errors.TimeoutError, TimeoutError):
                raise TimedOut(f"No answer from {parts.hostname} within {total_timeout:g} s.", sent=something_was_sent()) from None
            except (urllib3_errors.SSLError, ssl.SSLError) as problem:
                if something_was_sent():
                    raise BrokenOff(f"The connection to {parts.hostname} broke: {problem}", sent=True) from None
                raise Refused("tls", f"TLS with {parts.hostname} failed: {problem}") from None
            except (urllib3_errors.HTTPError, http.client.HTTPException, OSError) as problem:
                if something_was_sent():
                    raise BrokenOff(f"The connection to {parts.hostname} ended before the answer.", sent=True) from None
                raise Refused("connection_refused", f"{parts.hostname} could not be reached: {type(problem).__name__}.") from None
            except ValueError as problem:  # http.client: a header or URL with a forbidden character
                raise Refused("bad_request", str(problem)) from None

    def close(self) -> None:
        """This function will close idle connections."""
        self._pools.clear()


class _Guarded:
    """A urllib3 connection that is made by the guard and remembers that it has sent."""

    guard: GuardedClient
    sock: Any
    last_used: float = 0.0
    response_class = DeadlineResponse

    def _new_conn(self) -> socket.socket:
        timeout = self.timeout if isinstance(self.timeout, int | float) else None  # type: ignore[attr-defined]
        return self.guard.connect(self._dns_host, self.port, timeout=timeout, socket_options=self.socket_options)  # type: ignore[attr-defined]

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        note_sent()
        limit_socket(self.sock)
        super().send(data)  # type: ignore[misc]


class _FreshPool:
    """A pool that does not hand out connections that have been idle for long."""

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection = super()._get_conn(timeout)  # type: ignore[misc]
        if connection.sock is not None and time.monotonic() - connection.last_used > MAX_IDLE_SECONDS:
            connection.close()
        return connection

    def _put_conn(self, connection: Any) -> None:
        if connection is not None:
            connection.last_used = time.monotonic()
        super()._put_conn(connection)  # type: ignore[misc]


@functools.cache
def client() -> GuardedClient:
    """This function will give the process's client, which honours OUTBOUND_ALLOWED_NETWORKS."""
    return GuardedClient(env.load().outbound_allowed_networks)
