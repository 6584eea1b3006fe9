"""How many threads the caps and connections of the providers let work, by Little's law: calls in flight = calls a second × seconds a call.

A provider that takes 50 a second and needs 200 ms for each keeps 10 threads busy; an eleventh would only wait for its turn.
"""

from collections.abc import Collection, Iterable
from math import ceil

from messaging.providers.latency import latencies
from messaging.providers.loaded import LoadedProvider, book

MARGIN = 1.2  # latencies vary, and rendering and writing take time too


def _threads_of(carrier: LoadedProvider, processes: int) -> float | None:
    """What one carrier keeps busy: as many calls as its connections allow, or as its caps let through, whichever is less."""
    bounds = []
    if carrier.adapter.concurrency:
        bounds.append(float(carrier.adapter.concurrency * processes))
    if carrier.max_at_once:
        bounds.append(float(carrier.max_at_once))  # of all processes together
    took_ms = latencies.of(carrier.provider_id) if carrier.provider_id and carrier.max_per_second else None
    if took_ms is not None and carrier.max_per_second:
        bounds.append(carrier.max_per_second / max(1, carrier.adapter.bulk_size) * took_ms / 1000)
    return min(bounds, default=None)


def threads_for(carriers: Iterable[LoadedProvider], *, processes: int = 1) -> float | None:
    """Return the threads that carriers can keep busy together; None where one has no bound or it is not known yet."""
    threads = 0.0
    for carrier in carriers:
        bound = _threads_of(carrier, processes)
        if bound is None:
            return None
        threads += bound
    return threads


def useful_threads(routes: Collection[tuple[int, str]], *, processes: int = 1) -> int | None:
    """Return how many threads are of use for what is sent now, by (tenant, channel); None: no cap holds them back."""
    needed = [threads_for(carriers, processes=processes) for route in routes if (carriers := book.carriers(*route))]
    if not needed or None in needed:
        return None
    return ceil(MARGIN * sum(n for n in needed if n is not None)) + len(needed)
