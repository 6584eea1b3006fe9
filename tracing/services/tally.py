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
from tracing.services.record import Counted
from tracing.services.totals import Totals

EVERY_SECONDS = 0.25
MAX_TRACED = 20_000  # messages whose lines are held; more are dropped, as they come faster than Redis takes them


class Tally:
    """Counts by second that are not published yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[datetime, Counter[Counted]] = {}
        self._lines: defaultdict[UUID, list[str]] = defaultdict(list)
        self._totals = Totals()
        self._pid = 0

    def add(self, now: datetime, events: "Counter[Counted]") -> None:
        """Count what happened now."""
        second = now.replace(microsecond=0)
        with self._lock:
            self._counts.setdefault(second, Counter()).update(events)
            self._totals.add(events)
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
            counts, self._counts = self._counts, {}
            lines, self._lines = self._lines, defaultdict(list)
            totals, self._totals = self._totals, Totals()
        if not counts and not lines:
            return
        pipeline = redis.client().pipeline(transaction=False)
        for second, events in counts.items():
            record.count(pipeline, second, events)
        if counts:
            totals.publish(pipeline, max(counts))
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
