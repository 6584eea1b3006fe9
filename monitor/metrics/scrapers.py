"""Who may read the metrics without an API key: scrapers that know the token, or come from a network that is named."""

import ipaddress
from functools import cache

from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from posthaste import env
from posthaste.lib.addresses import client_ip


@cache
def _networks() -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(network) for network in env.load().metrics_networks)


def may_scrape(request: HttpRequest) -> bool:
    """Return whether METRICS_TOKEN or METRICS_NETWORKS lets a request read the metrics."""
    token = env.load().metrics_token.get_secret_value()
    scheme, _space, given = request.headers.get("Authorization", "").partition(" ")
    if token and scheme.lower() == "bearer" and constant_time_compare(given.strip(), token):
        return True
    address = ipaddress.ip_address(client_ip(request))
    return any(address in network for network in _networks())
