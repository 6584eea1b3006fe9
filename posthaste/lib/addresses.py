"""Whose request it is: the client's address behind however many proxies we were told of."""

import ipaddress

from django.http import HttpRequest

from posthaste import env


def client_ip(request: HttpRequest) -> str:
    """Return the IP address of an HTTP request's sender."""
    return client_ip_behind_proxies(
        remote=request.META.get("REMOTE_ADDR") or "", forwarded_for=request.META.get("HTTP_X_FORWARDED_FOR", "")
    )


def client_ip_behind_proxies(*, remote: str, forwarded_for: str) -> str:
    """Return the client's IP address, from the connection's other end and what proxies wrote.

    `X-Forwarded-For` is believed only as far back as TRUSTED_PROXIES says: what stands left of that was written by
    the client and may be anything.
    """
    proxies = env.load().trusted_proxies
    if proxies:
        hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
        if len(hops) >= proxies and (hop := _address(hops[-proxies])):
            return hop
    return _address(remote) or "127.0.0.1"


def _address(text: str) -> str:
    """Return the address in `10.0.0.1`, `10.0.0.1:4711`, `2001:db8::1` or `[2001:db8::1]:4711`; None where there is none."""
    for candidate in (text, text.strip("[]"), text.rpartition(":")[0].strip("[]")):
        try:
            return str(ipaddress.ip_address(candidate))
        except ValueError:
            continue
    return ""
