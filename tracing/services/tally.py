"""Count events in this process, gather lines of traces that no pipeline carries, and publish both to Redis a few times a second.

Publishing once per group of messages would cost a round trip each. If the process dies, the live figures and those lines of its last
quarter of a second are lost; nothing else depends on them.
"""

import os
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from posthaste.lib import redis
from tracing.services import record
from tracing.services.totals import Totals

EVERY_SECONDS = 0.25
MAX_TRACED = 20_000  # messages whose lines are held; more are dropped, as they come faster than Redis takes them


class Tally:
    """Counts of (second, tenant, event) that are not published yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[datetime, int, str]] = Counter()
        self._lines: defaultdict[UUID, list[str]] = defaultdict(list)
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
            self._start()

    def trace(self, lines: "Mapping[UUID, str]") -> None:
        """Gather a line for the trace of each of some messages."""
        with self._lock:
            if len(self._lines) < MAX_TRACED:
                for message_id, line in lines.items():
                    self._lines[message_id].append(line)
            self._start()

    def _start(self) -> None:
        if self._pid != os.getpid():  # first use in this process: threads do not survive a fork
            self._pid = os.getpid()
            threading.Thread(target=self._publish_periodically, name="tally", daemon=True).start()

    def flush(self) -> None:
        """Publish counts and lines to Redis. While Redis is away, they are dropped."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            lines, self._lines = self._lines, defaultdict(list)
            totals, self._totals = self._totals, Totals()
        if not counts and not lines:
            return
        pipeline = redis.client().pipeline(transaction=False)
        for (second, tenant_id, event), number in counts.items():
            record.count(pipeline, second, tenant_id, event, number)
        if counts:
            totals.publish(pipeline, max(second for second, _tenant, _event in counts))
        record.append(pipeline, lines)
        try:
            pipeline.execute()
        except redis.Unavailable:
            pass

    def _publish_periodically(self) -> None:
        pause = threading.Event()
        while not pause.wait(EVERY_SECONDS):
            self.flush()


tally = Tally()
