"""Admission to the broker: how many more messages it may be given, for all processes together.

There are two limits. `queue_capacity` is never exceeded. The window is smaller and follows the drain rate: the broker is first come,
first served, so it holds only what leaves it within a moment. One tenant's million waits in the database, where tenants take turns.

A process reserves room first, in one script. A reservation counts until the next count of the table must show it: after SETTLED_MS
for the window, after MAX_MS for the capacity. So the capacity holds exactly as long as no commit takes longer than a second. Priorities
9 and 10 need no room. While Redis is away nothing goes straight to the broker: messages wait for the feeder.
"""

import threading
import time
from collections import Counter
from collections.abc import Collection
from functools import cache
from typing import Any

from messaging.configuration import queues
from messaging.queueing import queue_statistics
from posthaste.lib import redis
from posthaste.lib.process_state import on_reset

FRESH_SECONDS = 0.25
REST_SECONDS = 2.0  # Redis is not asked again for so long after it was away
STALE_MS = 2_500  # an older count proves nothing: the feeder is gone, so the caller counts
SETTLED_MS = 100
MAX_MS = 1_000
SPARE = 50  # so many fit beside a backlog, for tenants that have none

# KEYS[1] admission (hash): counted, at (ms), window, capacity, fed (by the feeder since the count), total (ever taken), t<n>
#         (taken in the n-th tenth of a second)
# KEYS[2] tenants (set) whose single messages wait in the database: they take their turns there
# ARGV    stale, settled, longest (ms), spare; then tenant and number wanted, as often as needed; tenant 0 is the feeder
# returns the numbers granted, or nothing if the last count is too old to tell
TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local room = {}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do room[fields[i]] = tonumber(fields[i + 1]) end
if not (room.at and room.counted and room.window) or now - room.at > tonumber(ARGV[1]) then return {} end
local recent, possible = 0, 0
for field, number in pairs(room) do
  local tenth = tonumber(string.match(field, '^t(%d+)$'))
  if tenth then
    local ended = tenth * 100 + 100
    if ended > room.at - tonumber(ARGV[2]) then recent = recent + number end
    if ended > room.at - tonumber(ARGV[3]) then possible = possible + number else redis.call('HDEL', KEYS[1], field) end
  end
end
local counted = room.counted + (room.fed or 0)
local granted = {}
local taken = 0
for i = 5, #ARGV, 2 do
  local window = room.window
  if ARGV[i] ~= '0' then window = window + math.max(math.floor(window / 2), tonumber(ARGV[4])) end
  local left = math.min(window - counted - recent, room.capacity - counted - possible) - taken
  local grant = math.max(0, math.min(tonumber(ARGV[i + 1]), left))
  if ARGV[i] ~= '0' and redis.call('SISMEMBER', KEYS[2], ARGV[i]) == 1 then grant = 0 end
  if grant > 0 then
    taken = taken + grant
    if ARGV[i] == '0' then
      redis.call('HINCRBY', KEYS[1], 'fed', grant)
    else
      redis.call('HINCRBY', KEYS[1], 't' .. math.floor(now / 100), grant)
    end
  end
  granted[#granted + 1] = grant
end
if taken > 0 then redis.call('HINCRBY', KEYS[1], 'total', taken) end
return granted
"""
FEEDER = 0


@cache
def _script() -> Any:
    return redis.client().register_script(TAKE)


def redis_keys() -> list[str]:
    """Return the keys that all processes share."""
    return [redis.key("admission"), redis.key("admission", "behind")]


def now_ms() -> int:
    """Return the time of Redis in milliseconds.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    seconds, micros = redis.client().time()
    return int(seconds) * 1000 + int(micros) // 1000


def take(wanted: dict[int, int]) -> dict[int, int]:
    """Take room for so many messages of each tenant and return the numbers granted.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    arguments: list[int] = [STALE_MS, SETTLED_MS, MAX_MS, SPARE]
    for tenant_id, number in wanted.items():
        arguments += (tenant_id, number)
    granted = _script()(keys=redis_keys(), args=arguments, client=redis.client())
    return dict(zip(wanted, granted, strict=True)) if granted else {}


def give_back(number: int) -> None:
    """Give back room that the feeder reserved and did not need.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    pipeline = redis.client().pipeline(transaction=True)
    pipeline.hincrby(redis.key("admission"), "fed", -number)
    pipeline.hincrby(redis.key("admission"), "total", -number)
    pipeline.execute()


def count() -> tuple[int, int]:
    """Return the number of messages in the broker and the number ever admitted.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    client = redis.client()
    at = now_ms()
    counted = queue_statistics.count_queued()
    pipeline = client.pipeline(transaction=True)
    pipeline.hset(redis.key("admission"), mapping={"counted": counted, "at": at, "fed": 0})
    pipeline.hget(redis.key("admission"), "total")
    total = pipeline.execute()[-1]
    return counted, int(total or 0)


def renew_count(*, at: int) -> tuple[int, int]:
    """Say that the last count was still right at that time (see `now_ms`), and return it (-1: there is none) and the number ever admitted.

    It leaves the numbers alone, so it needs no lock: what another feeder takes meanwhile stays counted.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    pipeline = redis.client().pipeline(transaction=True)
    pipeline.hset(redis.key("admission"), "at", str(at))
    pipeline.hmget(redis.key("admission"), ["counted", "total"])
    counted, total = pipeline.execute()[-1]
    return -1 if counted is None else int(counted), int(total or 0)


def bound(*, window: int, capacity: int, behind: Collection[int] = ()) -> None:
    """Set the bounds, and which tenants' messages wait their turn.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    admission, behind_key = redis_keys()
    pipeline = redis.client().pipeline(transaction=True)
    pipeline.hset(admission, mapping={"window": min(window, capacity), "capacity": capacity})
    pipeline.delete(behind_key)
    if behind:
        pipeline.sadd(behind_key, *behind)
        pipeline.pexpire(behind_key, STALE_MS)
    pipeline.execute()


class AdmissionControl:
    """The way straight to the broker, as accept uses it, and the bound of the backlog."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a process that has just started."""
        self._lock = threading.Lock()
        self._read_at = -60.0
        self._is_full = False
        self._rests_until = 0.0

    def admit(self, wanted: "Counter[int]") -> dict[int, int]:
        """Return how many messages of each tenant may go straight to the broker; the rest wait for the feeder."""
        if not wanted or time.monotonic() < self._rests_until:
            return {}
        try:
            granted = take(wanted)
            if not granted:
                # No feeder runs, so no backlog is served first: the broker may fill up to its capacity.
                capacity = queues.value.queue_capacity
                bound(window=capacity, capacity=capacity)
                count()
                granted = take(wanted)
        except redis.Unavailable:
            self._rests_until = time.monotonic() + REST_SECONDS
            return {}
        return granted

    def is_full(self) -> bool:
        """Return whether the backlog has passed its bound, so that callers must slow down."""
        clock = time.monotonic()
        if clock - self._read_at > FRESH_SECONDS:
            with self._lock:
                if clock - self._read_at > FRESH_SECONDS:
                    self._is_full, self._read_at = queue_statistics.latest().is_too_much, clock
        return self._is_full


admission_control = AdmissionControl()
on_reset(admission_control.forget)
