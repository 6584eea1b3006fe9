"""Guarded outgoing connections: public addresses only.

Server-side request forgery is stopped where it counts, at the moment of connecting: each new connection resolves the
name, refuses addresses that are not public (or explicitly allowed), and connects to the very address that was checked,
so a second DNS answer cannot swap it.
"""

import ipaddress
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from posthaste.lib.deadlines import remaining

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_lookups = ThreadPoolExecutor(max_workers=16, thread_name_prefix="dns")

#: What of IPv6 is in public use at all (https://www.iana.org/assignments/ipv6-address-space). Outside of it lie the forms that carry
#: an IPv4 address inside: mapped, translated (`::ffff:0:127.0.0.1`) and NAT64. An installation that needs one names it in the allowed
#: networks.
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
# Refused although they lie in there, or some releases of `ipaddress` call them global.
_NEVER: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "2001::/23",  # Teredo and other special purposes
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "3ffe::/16",  # the 6bone, given back
        "3fff::/20",  # documentation
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


def is_permitted(address: Address, allowed: Iterable[Network]) -> bool:
    """Return whether a connection to the address may be made."""
    if any(address in network for network in allowed if network.version == address.version):
        return True
    if address.is_multicast or any(address in network for network in _NEVER if network.version == address.version):
        return False
    return address.is_global and (address.version == 4 or address in _PUBLIC_V6)


def is_numeric(host: str) -> bool:
    """Return whether a host is an address, so that nothing has to be asked to find it."""
    try:
        socket.getaddrinfo(host.strip("[]").rstrip("."), None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False
    return True


class Guard:
    """Opens TCP connections to addresses that may be reached.

    `allowed_networks`: private networks (CIDR) that may be reached although they are not public.
    """

    def __init__(self, allowed_networks: Iterable[str] = ()) -> None:
        self.allowed: tuple[Network, ...] = tuple(ipaddress.ip_network(text, strict=False) for text in allowed_networks)

    def check_host(self, host: str, port: int, *, timeout: float | None = 10.0) -> list[tuple[Any, ...]]:
        """Resolve the host and return the socket addresses that may be reached, as getaddrinfo does.

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
        """Open a TCP connection to a checked address of the host.

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
