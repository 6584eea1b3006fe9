"""Count events in this process, gather lines of traces that no pipeline carries, and publish both to Redis a few times a second.

Publishing once per group of messages would cost a round trip each. If the process dies, the live figures and those lines of its last
quarter of a second are lost; nothing else depends on them. Lines that are dropped because there are too many, or because Redis is away,
are counted (`tracing.services.losses`).
"""

import os
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from posthaste.lib import redis
from tracing.services import losses, record
from tracing.services.record import Counted
from tracing.services.totals import Totals

EVERY_SECONDS = 0.25
MAX_LINES = 20_000  # are held; more are dropped and counted, as they come faster than Redis takes them


class Tally:
    """Counts by second that are not published yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[datetime, Counter[Counted]] = {}
        self._lines: defaultdict[UUID, list[str]] = defaultdict(list)
        self._held = 0  # lines
        self._dropped = 0  # lines, since that was published
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
            for message_id, line in lines.items():
                if self._held >= MAX_LINES:
                    self._dropped += 1
                    continue
                self._lines[message_id].append(line)
                self._held += 1
            self._start()

    def _start(self) -> None:
        if self._pid != os.getpid():  # first use in this process: threads do not survive a fork
            self._pid = os.getpid()
            threading.Thread(target=self._publish_periodically, name="tally", daemon=True).start()

    def flush(self) -> None:
        """Publish counts and lines to Redis. While Redis is away, they are dropped; how many lines that were is told once it is back."""
        with self._lock:
            counts, self._counts = self._counts, {}
            lines, self._lines = self._lines, defaultdict(list)
            totals, self._totals = self._totals, Totals()
            dropped, self._dropped = self._dropped, 0
            held, self._held = self._held, 0
        if not counts and not lines and not dropped:
            return
        pipeline = redis.client().pipeline(transaction=False)
        for second, events in counts.items():
            record.count(pipeline, second, events)
        if counts:
            totals.publish(pipeline, max(counts))
        record.append(pipeline, lines)
        losses.note(pipeline, losses.LINES, dropped)
        try:
            pipeline.execute()
        except redis.Unavailable:
            with self._lock:
                self._dropped += dropped + held

    def _publish_periodically(self) -> None:
        pause = threading.Event()
        while not pause.wait(EVERY_SECONDS):
            self.flush()


tally = Tally()
