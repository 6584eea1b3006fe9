"""Count events in this process and publish the counts to Redis a few times a second.

Publishing once per group of messages would cost a round trip each. If the process dies, the live figures of its last quarter of a second
are lost; nothing else depends on them.
"""

import os
import threading
from collections import Counter
from datetime import datetime

from posthaste.lib import redis
from tracing.services import record
from tracing.services.totals import Totals

EVERY_SECONDS = 0.25


class Tally:
    """Counts of (second, tenant, event) that are not published yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[datetime, int, str]] = Counter()
        self._totals = Totals()
        self._pid = 0

    def add(self, now: datetime, events: "Counter[tuple[int, str]]", by_channel: "Counter[tuple[str, str]]") -> None:
        """Count what happened now: by tenant and event, and the same by channel and event."""
        second = now.replace(microsecond=0)
        with self._lock:
            for (tenant_id, event), number in events.items():
                self._counts[second, tenant_id, event] += number
            for (channel, event), number in by_channel.items():
                self._totals.count(channel, event, number)
            if self._pid != os.getpid():  # first use in this process: threads do not survive a fork
                self._pid = os.getpid()
                threading.Thread(target=self._publish_periodically, name="tally", daemon=True).start()

    def flush(self) -> None:
        """Publish the counts to Redis. While Redis is away, they are dropped."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            totals, self._totals = self._totals, Totals()
        if not counts:
            return
        pipeline = redis.client().pipeline(transaction=False)
        for (second, tenant_id, event), number in counts.items():
            record.count(pipeline, second, tenant_id, event, number)
        totals.publish(pipeline, max(second for second, _tenant, _event in counts))
        try:
            pipeline.execute()
        except redis.Unavailable:
            pass

    def _publish_periodically(self) -> None:
        pause = threading.Event()
        while not pause.wait(EVERY_SECONDS):
            self.flush()


tally = Tally()
