"""Webhooks yield to messages: while many are being sent, events wait a little.

Sending 100,000 messages keeps the processors busy; telling of each at the same time made that take a seventh longer on a machine with two.
So while messages leave fast and many wait, the senders of a process together use a small share of a processor, and catch up afterwards. An
event that is older than `webhooks.max_lag_seconds` is sent at once in any case, so under a load that never ends events are late by
that time, and not by more.
"""

import threading
import time
from datetime import datetime

from messaging.configuration import webhooks
from messaging.queueing import queue_statistics
from posthaste.lib.process_state import on_reset

BUSY_PER_SECOND, BUSY_MESSAGES = 500, 1_000
SHARE = 0.05  # of a processor
LOOK_SECONDS = 0.5
MAX_WAIT_SECONDS = 1.0


class Pacing:
    """What the senders of this process have used; one object a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._free_at = 0.0
        self._looked_at = float("-inf")
        self._is_busy = False

    @property
    def is_busy(self) -> bool:
        """Whether many messages are being sent now."""
        if time.monotonic() - self._looked_at > LOOK_SECONDS:
            self._looked_at = time.monotonic()
            waiting = queue_statistics.latest()
            self._is_busy = (waiting.per_second or 0.0) >= BUSY_PER_SECOND and waiting.total >= BUSY_MESSAGES
        return self._is_busy

    def spent(self, seconds: float) -> None:
        """Note what a request has cost, in seconds of a processor."""
        with self._lock:
            self._free_at = min(max(self._free_at, time.monotonic()) + seconds / SHARE, time.monotonic() + MAX_WAIT_SECONDS)

    def wait_seconds(self, *, oldest: datetime, now: datetime) -> float:
        """Return how long a sender waits with a request whose oldest event happened at `oldest`."""
        if (now - oldest).total_seconds() >= webhooks.value.max_lag_seconds or not self.is_busy:
            return 0.0
        return max(0.0, self._free_at - time.monotonic())


pacing = Pacing()
on_reset(pacing.forget)
