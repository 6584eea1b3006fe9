"""The last hours of each watched metric, for the plot on an alarm's page: one sample every fifteen seconds, in Redis."""

import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from posthaste.lib import redis

EVERY = timedelta(seconds=15)
KEPT = 1_440  # six hours
EXPIRES = timedelta(hours=12)
MAX_SERIES = 200  # of a rule
_FORM = struct.Struct("<Id")  # seconds since 1970, value


def write(values: Mapping[tuple[str, str], float], *, now: datetime) -> None:
    """Keep a sample of each series of each rule, in one round trip.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    pipeline = redis.client().pipeline(transaction=False)
    for (rule, series), value in list(values.items()):
        key = _key(rule, series)
        pipeline.lpush(key, _FORM.pack(int(now.timestamp()), value))
        pipeline.ltrim(key, 0, KEPT - 1)
        pipeline.expire(key, EXPIRES)
    if values:
        pipeline.execute()


def read(rule: str, series: str, *, since: datetime) -> list[tuple[datetime, float]]:
    """Return the samples of a series, the oldest first.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    found = []
    for packed in redis.client().lrange(_key(rule, series), 0, KEPT - 1):
        if isinstance(packed, bytes) and len(packed) == _FORM.size:
            seconds, value = _FORM.unpack(packed)
            if seconds >= since.timestamp():
                found.append((datetime.fromtimestamp(seconds, UTC), value))
    return sorted(found)


def runs(samples: list[tuple[datetime, float]]) -> list[list[tuple[datetime, float]]]:
    """Split samples where some are missing, so that a line is not drawn across a gap."""
    if not samples:
        return []
    found = [[samples[0]]]
    for before, after in pairwise(samples):
        if after[0] - before[0] > 4 * EVERY:
            found.append([])
        found[-1].append(after)
    return found


def _key(rule: str, series: str) -> str:
    return redis.key("alarms", "samples", rule, series)
