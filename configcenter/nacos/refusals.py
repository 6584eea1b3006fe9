"""Clients that are refused and ask again without a pause: answered late, and logged once a minute.

Many clients repeat a refused request in a tight loop. The first few refusals within a minute are answered at once; each later one
waits longer, up to what such a client bears before it gives up and hides the reason.
"""

import asyncio
import time
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger(__name__)

FREE = 5  # refusals within WINDOW_SECONDS that are answered at once
WINDOW_SECONDS = 60.0
FIRST_SECONDS, MAX_SECONDS = 0.25, 2.0  # clients wait three seconds and longer
MAX_SECONDS_OF_LISTENERS = 10.0  # they wait thirty
MAX_REMEMBERED = 10_000
MAX_WAITING = 2_000  # answers held back at a time; one more is given at once


@dataclass(slots=True)
class _Refused:
    """What is known of one client that was refused."""

    last: float = 0.0
    count: int = 0
    logged_at: float = field(default=float("-inf"))
    since_logged: int = 0


class Refusals:
    """The refusals of one process; all in one event loop."""

    def __init__(self) -> None:
        self._of: dict[str, _Refused] = {}
        self._waiting = 0

    def delay(self, client: str, *, is_listener: bool, now: float) -> float:
        """Count a refusal and return for how many seconds its answer is held back."""
        if len(self._of) > MAX_REMEMBERED:
            self._of = {name: known for name, known in self._of.items() if now - known.last < WINDOW_SECONDS}
            if len(self._of) > MAX_REMEMBERED:
                self._of.clear()
        known = self._of.setdefault(client, _Refused())
        known.count = known.count + 1 if now - known.last < WINDOW_SECONDS else 1
        known.last = now
        if known.count <= FREE:
            return 0.0
        longest = MAX_SECONDS_OF_LISTENERS if is_listener else MAX_SECONDS
        return float(min(FIRST_SECONDS * 2.0 ** min(known.count - FREE - 1, 10), longest))

    def to_log(self, client: str, *, now: float) -> int:
        """Return how many refusals a line in the log is due for: 0 if there was one within the last minute."""
        known = self._of.setdefault(client, _Refused())
        known.since_logged += 1
        if now - known.logged_at < WINDOW_SECONDS:
            return 0
        known.logged_at, due, known.since_logged = now, known.since_logged, 0
        return due

    async def hold_back(self, address: str, shown: str, *, is_listener: bool, status: int, code: str) -> None:
        """Note a refusal in the log, and wait as long as a client with these credentials is to wait."""
        now = time.monotonic()
        seconds = self.delay(shown, is_listener=is_listener, now=now)
        if count := self.to_log(address, now=now):
            log.warning("Nacos client refused", ip=address, status=status, code=code, refusals=count)
        if seconds and self._waiting < MAX_WAITING:
            self._waiting += 1
            try:
                await asyncio.sleep(seconds)
            finally:
                self._waiting -= 1
