"""The registered metrics in the formats that Prometheus reads.

Figures of the installation, not of this process: they come from Redis and the database, so one web process answers for all, and it does
not matter which one is asked. No label has a value for each process, tenant or host, so restarts and new tenants leave the number of
series as it is; `METRICS_DETAIL` adds those that providers and hosts have. They are read at most once a second a process. A metric whose
reader fails is left out and named in `posthaste_metric_errors`, and so is one that was not read by the deadline of the answer.
"""

import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from monitor import figures
from posthaste import env
from posthaste.lib import metrics
from posthaste.lib.metrics import Histogram, Samples

KEEP_SECONDS = 1.0
#: How long an answer takes at most, from the moment its request is handled. Prometheus gives up after 10 s by default.
ANSWER_SECONDS = 7.0
ERRORS = f"{metrics.PREFIX}metric_errors"


class _Figures(Collector):
    """The registry as prometheus-client wants it; scrapes that come together are answered by one reading."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def collect(self) -> Iterable[Metric]:
        yield from _families(within_seconds=self._deadline - time.monotonic())


def _families(*, within_seconds: float) -> Iterator[Metric]:
    errors = GaugeMetricFamily(ERRORS, "Metrics that could not be read for this answer, and are missing in it.", labels=["metric"])
    with_detail = env.load().metrics_detail
    for name, figure in sorted(figures.read(max_age_seconds=KEEP_SECONDS, within_seconds=within_seconds).items()):
        if figure.error:
            errors.add_metric([name], 1)
        if figure.samples is None:
            continue
        is_folded = figure.metric.fold is not None and not with_detail
        samples = figure.metric.folded(figure.samples) if is_folded else figure.samples
        yield _family(figure.metric, () if is_folded else figure.metric.labels, samples)
    yield errors


def _family(metric: metrics.Metric, labels: tuple[str, ...], samples: Samples) -> Metric:
    text = str(metric.help)
    if metric.kind == "histogram":
        histograms = HistogramMetricFamily(metric.full_name, text, labels=labels, unit=metric.unit)
        for values, found in samples:
            if isinstance(found, Histogram):
                histograms.add_metric(values, [(_bound(bound), count) for bound, count in found.counts], found.total)
        return histograms
    family: CounterMetricFamily | GaugeMetricFamily
    if metric.kind == "counter":
        family = CounterMetricFamily(metric.full_name, text, labels=labels)
    else:
        family = GaugeMetricFamily(metric.full_name, text, labels=labels, unit=metric.unit)
    for values, number in samples:
        if not isinstance(number, Histogram):
            family.add_metric(values, number)
    return family


def _bound(seconds: float) -> str:
    """Write the bound of a bucket as prometheus-client does, so that both forms of an answer agree."""
    return "+Inf" if seconds == float("inf") else repr(float(seconds))


def render(accept: str, *, deadline: float) -> tuple[str, bytes]:
    """Return content type and body of an answer in the best format that an Accept header names.

    What was not read at `deadline`, a time of `time.monotonic`, is left out.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(deadline))
    encode, content_type = choose_encoder(accept)
    return content_type, encode(registry)
