"""What open pages show each second: made once for the whole installation, whatever the number of viewers and tenants.

The last quarter of an hour is kept in steps of five seconds. Each look reads only the newest seconds anew, as processes publish what they
have counted a moment late; the rest stays as it was.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from messaging.queueing import broker, queue_statistics
from messaging.statistics import EVENTS, RATE_SECONDS, pools_for, queues_with, sum_of
from messaging.statistics.points import Flow, Gauge, point
from messaging.statistics.rollups import EVERY, MINUTE, gauges
from posthaste.lib.queues import SEND
from tracing.selectors import counted, event_and_bucket

STEP = 5
STEPS = 180
#: The newest seconds are read again at each look: those of the rates, to the begin of their step.
FRESH_SECONDS = RATE_SECONDS + STEP
RECENT_STEPS = 12  # a minute, for percentiles of now
NOTHING: Mapping[tuple[str, str], int] = {}
Counts = Counter[tuple[str, str]]  # by channel and event


class BrokerDepths:
    """The tasks in the broker's queues, asked in a thread of its own: a broker that does not answer must not delay the figures."""

    EVERY_SECONDS = 2.0
    VALID_SECONDS = 6.0

    def __init__(self, ask: Callable[[], dict[str, int]] = broker.depths) -> None:
        self._ask = ask
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live_broker")
        self._asked: Future[dict[str, int]] | None = None
        self._asked_at = self._answered_at = float("-inf")
        self._known: dict[str, int] = {}

    def latest(self) -> dict[str, int]:
        """Return the last answer, or nothing where it is too old; ask again without waiting."""
        clock = monotonic()
        if self._asked is not None and self._asked.done():
            if self._asked.exception() is None:
                self._known, self._answered_at = self._asked.result(), clock
            self._asked = None
        if self._asked is None and clock - self._asked_at >= self.EVERY_SECONDS:
            self._asked, self._asked_at = self._thread.submit(self._ask), clock
        return self._known if clock - self._answered_at < self.VALID_SECONDS else {}


class LiveFigures:
    """The figures of the last quarter of an hour. One thread uses it at a time."""

    def __init__(self, depths: Callable[[], Mapping[str, int]]) -> None:
        self._depths = depths
        self.forget()

    def forget(self) -> None:
        """Begin anew: the next look reads all that Redis still has."""
        self._steps: dict[int, dict[int | None, Counts]] = {}
        self._gauges: dict[int, Gauge] = {}
        self._recent: dict[int | None, Counter[str]] = {}
        self._now = datetime.fromtimestamp(0, UTC)
        self.fresh_since = 0  # the first step that the last look has read anew
        self._measured: dict[str, Any] = {}

    def look(self, now: datetime) -> None:
        """Read what has happened since the last look.

        Raises:
            posthaste.lib.redis.Unavailable: Redis is away.
        """
        second = int(now.timestamp())
        newest, oldest = second // STEP * STEP, (second // STEP - STEPS + 1) * STEP
        is_first = not self._steps
        read_to = max(self._steps, default=oldest)
        first = max(oldest, min(read_to, (second - FRESH_SECONDS) // STEP * STEP))
        found = counted(range(first, second + 1))
        waiting, pools = queue_statistics.measured(), queue_statistics.reported_pools()
        fresh: dict[int, dict[int | None, Counts]] = {step: defaultdict(Counter) for step in range(first, newest + STEP, STEP)}
        recent: dict[int | None, Counter[str]] = defaultdict(Counter)
        for at, events in found.items():
            counts, is_recent = fresh[at // STEP * STEP], second - RATE_SECONDS <= at < second
            for (tenant_id, channel, event), number in events.items():
                for whose in (tenant_id, None):
                    counts[whose][channel, event] += number
                    if is_recent:
                        recent[whose][event_and_bucket(event)[0]] += number
        self._steps = {at: step for at, step in (self._steps | fresh).items() if at >= oldest}
        self._recent = recent
        self._now, self.fresh_since = now, first
        pools = sorted(({"queue": SEND, **pool} for pool in pools), key=lambda pool: pool["instance"])
        pool = sum_of(pools)
        self._measured = {"queues": queues_with(self._depths(), waiting), "pools": pools, "pool": pool}
        depth, capacity = (self._measured["queues"][SEND][name] for name in ("depth", "capacity"))
        if is_first:
            self._gauges = self._rolled_up(now)
        self._gauges[newest] = Gauge(depth=depth, capacity=capacity, threads=pool["threads"], busy=pool["active_count"])
        self._gauges = {at: gauge for at, gauge in self._gauges.items() if at >= oldest}

    @staticmethod
    def _rolled_up(now: datetime) -> dict[int, Gauge]:
        """Return the gauges of the time before the first look, each of a minute, or none where the database is away.

        What was measured holds until it is measured again, so that no minute of a platform that runs has a hole at its end.
        """
        since = now - timedelta(seconds=STEP * STEPS)
        try:
            found = gauges(span=MINUTE, since=since, until=now)
        except Exception:  # noqa: BLE001 - the live figures need no database; the charts begin now
            return {}
        return {
            step: gauge
            for at, (gauge, until) in found.items()
            for step in range(at, at + MINUTE, STEP)
            if step < (until + EVERY).timestamp()
        }

    def head(self, tenant_id: int | None) -> dict[str, Any]:
        """Return the figures of this moment."""
        steps = sorted(self._steps)
        minute = Flow().merge(self._flow(at, tenant_id) for at in steps[-RECENT_STEPS:])
        whole = Flow().merge(self._flow(at, tenant_id) for at in steps)
        rates = self._recent.get(tenant_id, Counter())
        return {
            "as_of": self._now,
            "rates_per_second": {event: round(rates[event] / RATE_SECONDS, 1) for event in EVENTS},
            "success_rate": whole.success_rate,  # of the quarter of an hour
            "latency_ms": minute.latency_ms(),
            **self._measured,
            "pools": pools_for(tenant_id, self._measured["pools"]),
        }

    def points(self, tenant_id: int | None, *, since: int = 0) -> dict[int, dict[str, Any]]:
        """Return the points of the steps from `since` on (Unix seconds), by their begin."""
        now = self._now.timestamp()
        return {
            at: point(
                at=at,
                seconds=round(min(STEP, max(1.0, now - at)), 1),
                flow=self._flow(at, tenant_id),
                gauge=self._gauges.get(at),
            )
            for at in sorted(self._steps)
            if at >= since
        }

    def _flow(self, at: int, tenant_id: int | None) -> Flow:
        flow = Flow()
        for (channel, event), number in self._steps[at].get(tenant_id, NOTHING).items():
            flow.add(channel, event, number)
        return flow
