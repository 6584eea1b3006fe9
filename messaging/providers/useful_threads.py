"""How many threads the caps and connections of the providers let work, by Little's law: calls in flight = calls a second × seconds a call.

A provider that takes 50 a second and needs 200 ms for each keeps 10 threads busy; an eleventh would only wait for its turn.
"""

from collections.abc import Collection, Iterable
from math import ceil

from messaging.providers.cache import LoadedProvider, provider_cache
from messaging.providers.latency import latencies

MARGIN = 1.2  # latencies vary, and rendering and writing take time too


def _threads_of(provider: LoadedProvider, processes: int) -> float | None:
    """Return the number of threads that one provider can keep busy: the lower of its connection limit and its caps."""
    bounds = []
    if provider.adapter.concurrency:
        bounds.append(float(provider.adapter.concurrency * processes))
    if provider.max_at_once:
        bounds.append(float(provider.max_at_once))  # of all processes together
    took_ms = latencies.of(provider.provider_id) if provider.provider_id and provider.max_per_second else None
    if took_ms is not None and provider.max_per_second:
        bounds.append(provider.max_per_second / max(1, provider.adapter.bulk_size) * took_ms / 1000)
    return min(bounds, default=None)


def threads_for(providers: Iterable[LoadedProvider], *, processes: int = 1) -> float | None:
    """Return the threads that providers can keep busy together; None where one has no bound or it is not known yet."""
    threads = 0.0
    for provider in providers:
        bound = _threads_of(provider, processes)
        if bound is None:
            return None
        threads += bound
    return threads


def useful_threads(routes: Collection[tuple[int, str]], *, processes: int = 1) -> int | None:
    """Return how many threads are of use for what is sent now, by (tenant, channel); None: no cap holds them back."""
    needed = [threads_for(providers, processes=processes) for route in routes if (providers := provider_cache.in_force(*route))]
    if not needed or None in needed:
        return None
    return ceil(MARGIN * sum(n for n in needed if n is not None)) + len(needed)
