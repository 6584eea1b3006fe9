"""What failed in a sweep rests for a while, so that it holds up nothing that comes after it.

A sweep takes the first rows that are due. What fails stays due, and enough of it would be all that the sweep ever takes. So a sweep leaves
out what rests here, longer after each failure. It is kept in Redis, as no row of a table should be written for what can't be written. While
Redis is away nothing rests: each sweep then tries everything, as if it had not failed before.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import structlog

from posthaste.lib import redis

log = structlog.get_logger(__name__)
BACK_OFF = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 900, 3_600))
#: A failure counts as the first again, if nothing failed for this long after the rest.
FORGOTTEN = timedelta(hours=6)
#: What rests in one sweep at most: the ids are parameters of a statement.
MOST = 5_000


class Resting:
    """What rests in one sweep, by the text of its id."""

    def __init__(self, sweep: str) -> None:
        self.sweep = sweep

    @property
    def _key(self) -> str:
        return redis.key("resting", self.sweep)

    def ids(self, *, now: datetime) -> list[str]:
        """Return what is left out now."""
        return [one for one, (_failures, until) in self._read(now).items() if until > now.timestamp()]

    def failed(self, one: object, *, now: datetime) -> None:
        """Let something rest that has failed, longer each time."""
        known = self._read(now)
        failures = known[str(one)][0] if str(one) in known else 0
        self._write(str(one), failures + 1, now + BACK_OFF[min(failures, len(BACK_OFF) - 1)], known)

    def _read(self, now: datetime) -> dict[str, tuple[int, float]]:
        oldest = (now - FORGOTTEN).timestamp()
        found, old = {}, []
        try:
            kept: Any = redis.client().hgetall(self._key)
            for one, value in kept.items():
                failures, _, until = value.decode().partition(":")
                if float(until) > oldest:
                    found[one.decode()] = (int(failures), float(until))
                else:
                    old.append(one)
            if old:
                redis.client().hdel(self._key, *old)
        except redis.Unavailable:
            pass
        return found

    def _write(self, one: str, failures: int, until: datetime, known: Collection[str]) -> None:
        if one not in known and len(known) >= MOST:
            log.error("too much fails in a sweep", sweep=self.sweep, most=MOST)
            return
        try:
            with redis.client().pipeline(transaction=False) as pipe:
                pipe.hset(self._key, one, f"{failures}:{until.timestamp()}")
                pipe.expire(self._key, FORGOTTEN + BACK_OFF[-1])
                pipe.execute()
        except redis.Unavailable:
            pass
