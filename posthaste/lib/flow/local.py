"""The limiter while Redis is away: each process by itself, with its share of every limit. Never open, never dead.

The share is one of as many as there were live processes when Redis was last heard. A limit smaller than that leaves one to each.
"""

import threading
import time
from collections.abc import Sequence
from functools import lru_cache

from posthaste.lib.flow.model import Answer, Model
from posthaste.lib.flow.rules import Check

MAX_COUNTERS = 10_000


@lru_cache(maxsize=4096)
def share_of(check: Check, processes: int) -> Check:
    """Return a process's share of a check."""
    limit = max(1.0, float(int(check.limit / processes))) if check.kind != "q" else check.limit / processes
    return check._replace(limit=limit, rate=check.rate / processes)


class LocalLimiter:
    """The model on the process's own clock."""

    def __init__(self) -> None:
        self.processes = 1
        self._model = Model(max_counters=MAX_COUNTERS)
        self._lock = threading.Lock()

    def enter(self, checks: Sequence[Check], *, cost: int, urgent: bool, lease: str) -> Answer:
        """Let a request in or refuse it, by this process's share."""
        mine = [share_of(check, self.processes) for check in checks]
        now_us = time.monotonic_ns() // 1000
        with self._lock:
            answer = self._model.enter(mine, cost=cost, urgent=urgent, lease=lease, now_us=now_us)
            if answer.verdict == -1:  # too large for a share, not for the rule: it is let in when the share is untouched
                whole = list(checks)
                answer = self._model.enter(whole, cost=cost, urgent=urgent, lease=lease, now_us=now_us)
        return answer

    def leave(self, keys: Sequence[str], lease: str) -> None:
        """Return back a request's leases."""
        with self._lock:
            self._model.leave(keys, lease)
