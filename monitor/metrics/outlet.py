"""The registered metrics in the formats that Prometheus reads.

Figures of the installation, not of this process: most come from Redis and the database, so one web process answers for all, and it does
not matter which one is asked. They are read at most once a second a process. A metric whose reader fails is left out and named in
`posthaste_metric_errors`.
"""

import threading
import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from posthaste.lib import metrics

KEEP_SECONDS = 1.0
ERRORS = f"{metrics.PREFIX}metric_errors"


class _Figures(Collector):
    """The registry as prometheus-client wants it, remembered for a moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._families: list[Metric] = []

    def collect(self) -> Iterable[Metric]:
        with self._lock:  # scrapes that come together are answered by one reading
            if time.monotonic() - self._read_at >= KEEP_SECONDS:
                self._families = list(_families())
                self._read_at = time.monotonic()
            return list(self._families)

    def forget(self) -> None:
        """Read anew at the next scrape."""
        with self._lock:
            self._read_at = float("-inf")


def _families() -> Iterator[Metric]:
    errors = GaugeMetricFamily(ERRORS, "Metrics that could not be read for this answer, and are missing in it.", labels=["metric"])
    for declared, samples in metrics.read_all():
        if samples is None:
            errors.add_metric([declared.name], 1)
            continue
        family: GaugeMetricFamily | CounterMetricFamily
        if declared.kind == "counter":
            family = CounterMetricFamily(declared.full_name, str(declared.help), labels=declared.labels)
        else:
            family = GaugeMetricFamily(declared.full_name, str(declared.help), labels=declared.labels, unit=declared.unit)
        for values, number in samples:
            family.add_metric(values, number)
        yield family
    yield errors


figures = _Figures()
_registry = CollectorRegistry(auto_describe=False)
_registry.register(figures)


def render(accept: str) -> tuple[str, bytes]:
    """Return content type and body of an answer in the best format that an Accept header names."""
    encode, content_type = choose_encoder(accept)
    return content_type, encode(_registry)
