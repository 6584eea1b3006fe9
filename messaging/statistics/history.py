"""The charts' past: points of a quarter of an hour to a week, from the rollups."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from messaging.statistics.points import Flow, point
from messaging.statistics.rollups import HOUR, MINUTE, TEN_MINUTES, begin_of, flow_rows, gauges

#: A span that has just begun has no rate yet: a second more or less would change it by a multiple.
MIN_COVERED_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Range:
    """A range of the charts: how far it goes back, and the span of one point."""

    back: timedelta
    span: int


RANGES = {
    "15m": Range(timedelta(minutes=15), MINUTE),
    "1h": Range(timedelta(hours=1), MINUTE),
    "24h": Range(timedelta(hours=24), TEN_MINUTES),
    "7d": Range(timedelta(days=7), HOUR),
}


def history(*, name: str, tenant_id: int | None, now: datetime) -> dict[str, Any]:
    """Return the points of a range of `RANGES`, oldest first, and up to when they are known (None: nothing was rolled up).

    A span in which no process looked, and nothing was counted, has None for all that is not known.
    """
    chosen = RANGES[name]
    since = begin_of(now - chosen.back, chosen.span)
    until = begin_of(now, chosen.span) + timedelta(seconds=chosen.span)
    measured = gauges(span=chosen.span, since=since, until=until)
    flows: dict[int, Flow] = defaultdict(Flow)
    for starts_at, _tenant, channel, event, number, histogram in flow_rows(span=chosen.span, since=since, until=until, tenant_id=tenant_id):
        flows[int(starts_at.timestamp())].add(channel, event, number, histogram)
    points = []
    for at in range(int(since.timestamp()), int(until.timestamp()), chosen.span):
        gauge, looked_at = measured.get(at, (None, None))
        is_known = gauge is not None or at in flows
        covered = chosen.span
        if looked_at and at + chosen.span > now.timestamp():  # the span that is not over yet
            covered = int(looked_at.timestamp()) - at
            if covered < MIN_COVERED_SECONDS:
                break
        points.append(point(at=at, seconds=covered, flow=flows[at] if is_known else None, gauge=gauge))
    whole = Flow().merge(flows.values())
    return {
        "range": name,
        "step_seconds": chosen.span,
        "as_of": max((looked_at for _gauge, looked_at in measured.values()), default=None),
        "points": points,
        "total": {"events": whole.events, "success_rate": whole.success_rate, "latency_ms": whole.latency_ms()},
    }
