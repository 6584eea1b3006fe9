"""How many threads the caps of the providers let work, by Little's law: calls in flight = calls a second × seconds a call.

A provider that takes 50 a second and needs 200 ms for each keeps 10 threads busy; an eleventh would only wait for its turn.
"""

from collections.abc import Collection, Iterable
from math import ceil

from messaging.services.latency import latencies
from messaging.services.providers import Carrier, book

MARGIN = 1.2  # latencies vary, and rendering and writing take time too


def threads_for(carriers: Iterable[Carrier]) -> float | None:
    """This function will give the threads that carriers can keep busy together; None where one has no cap or is not known yet."""
    threads = 0.0
    for carrier in carriers:
        took_ms = latencies.of(carrier.provider_id) if carrier.provider_id and carrier.max_per_second else None
        if took_ms is None or not carrier.max_per_second:
            return None
        threads += carrier.max_per_second / max(1, carrier.adapter.bulk_size) * took_ms / 1000
    return threads


def useful_threads(routes: Collection[tuple[int, str]]) -> int | None:
    """This function will give how many threads are of use for what is sent now, by (tenant, channel); None: no cap holds them back."""
    needed = [threads_for(carriers) for route in routes if (carriers := book.carriers(*route))]
    if not needed or None in needed:
        return None
    return ceil(MARGIN * sum(n for n in needed if n is not None)) + len(needed)
