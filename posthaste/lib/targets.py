"""Where a request to a URL goes, and one name for each host however it is written."""

import functools
import ipaddress
import re
import socket
from dataclasses import dataclass

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from posthaste.lib.guard import Refused

AUTHORITY = re.compile(r"[^:/?#]*://([^/?#\\]*)")


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address; `url` is normalised and escaped."""

    url: str
    scheme: str
    host: str
    port: int


@functools.lru_cache(maxsize=1_000)
def target_of(url: str) -> Target:
    """Return the target of a URL.

    Raises:
        Refused: it is no http(s) URL with a host and without credentials.
    """
    try:
        parts = parse_url(url)
    except LocationParseError:
        parts = None
    if parts is None or parts.scheme not in ("http", "https") or not parts.host or parts.port == 0 or parts.auth is not None:
        raise Refused("bad_address", "The address must be an http(s) URL with a host and without credentials.")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Target(parts._replace(fragment=None).url, parts.scheme, parts.host.strip("[]"), port)


def host_and_port(url: str) -> tuple[str, int]:
    """Return the host and port that a request to a URL goes to.

    Raises:
        Refused: it is no http(s) URL with a host and without credentials.
    """
    target = target_of(url)
    return target.host, target.port


def is_address(url: str) -> bool:
    """Return whether a request can be made to a URL, by its spelling."""
    try:
        target_of(url)
    except Refused:
        return False
    return True


@functools.lru_cache(maxsize=1_000)
def host_name(url: str) -> str:
    """Return the host that a request to a URL goes to, with its port unless that is 80 or 443: the same text for each way to write it.

    It never raises, and has at most 200 characters. What `host_and_port` refuses is named by what stands where its host would be.
    """
    try:
        host, port = host_and_port(url)
    except Refused:
        found = AUTHORITY.match(url)
        return (found[1] if found else url).rpartition("@")[2].lower()[:200]
    return f"{_one_spelling(host)}{'' if port in (80, 443) else f':{port}'}"[-200:]


def _one_spelling(host: str) -> str:
    """Return a name in lower case and without the dot of the root, and an address as `ipaddress` writes it."""
    name = host.rstrip(".").lower()
    try:
        if ":" in name:
            return f"[{ipaddress.IPv6Address(name)}]"
        return socket.inet_ntoa(socket.inet_aton(name))  # takes what getaddrinfo takes: 127.1, 0x7f.1, 2130706433
    except (OSError, ValueError):
        return name
