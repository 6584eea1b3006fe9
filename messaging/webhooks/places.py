"""How many requests may reach a host at the same time."""

from collections.abc import Iterator
from contextlib import contextmanager

from messaging.configuration import webhooks
from messaging.providers import breakers as breaker_rules
from posthaste.lib.flow.concurrency_leases import concurrency_leases
from posthaste.lib.flow.limiter import Pass

CAP_SECONDS = 0.5  # waited for a place at the host


@contextmanager
def places(host: str, of_tenant: str) -> Iterator[bool]:
    """Hold a place among a tenant's requests to a host and one among those of all; False where there is none."""
    settings = webhooks.value
    caps = ((of_tenant, settings.at_once_per_host), (breaker_rules.of_host(host), settings.at_once_per_host_in_total))
    taken: list[Pass] = []
    try:
        for name, at_once in caps:
            place = concurrency_leases.take(name, at_once=at_once, max_wait_seconds=CAP_SECONDS)
            if place is None:
                break
            taken.append(place)
        yield len(taken) == len(caps)
    finally:
        for place in taken:
            concurrency_leases.leave(place)
