"""Pacing towards providers: a rate that is never exceeded, shared by all workers.

Turns are handed out evenly by the generic cell rate algorithm (ITU-T I.371, 1996), on Redis's own clock. A caller that had to wait wakes up
a little late, each by another time, so turns alone would let some come closer together than they were handed out. So what goes is
also counted in the second in which it goes, and one that would exceed the rate there waits a moment longer.
"""

import math
import os
import threading
import time

from posthaste.lib import redis

LOOK_SECONDS = 1.0

# KEYS[1] the theoretical arrival time in µs
# KEYS[2] what went, by hundredths of a second (hash)
# ARGV[1] messages wanted, ARGV[2] messages per second, ARGV[3] longest wait in ms; or -1: the turn has come, may it go now?
# returns the wait in ms before the first may go, or -(wait in ms) - 1 if that is longer than allowed (nothing reserved)
RESERVE = """
local now = redis.call('TIME')
local now_us = now[1] * 1000000 + now[2]
local count, rate, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

-- 0 and counted, or the wait in ms until enough of what went is a second old; a lot larger than the rate goes when nothing went
local function go()
  local part = math.floor(now_us / 10000)
  local total, oldest = 0, nil
  local fields = redis.call('HGETALL', KEYS[2])
  for i = 1, #fields, 2 do
    local at = tonumber(fields[i])
    if at < part - 100 then
      redis.call('HDEL', KEYS[2], fields[i])
    else
      total = total + tonumber(fields[i + 1])
      if not oldest or at < oldest then oldest = at end
    end
  end
  if total == 0 or total + count <= rate then
    redis.call('HINCRBY', KEYS[2], part, count)
    redis.call('PEXPIRE', KEYS[2], 2000)
    return 0
  end
  return math.max(1, math.ceil(((oldest + 101) * 10000 - now_us) / 1000))
end

if longest < 0 then return go() end
local step = 1000000 / rate
local at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now_us)
local wait_ms = math.ceil((at - now_us) / 1000)
if wait_ms > longest then
  return -wait_ms - 1
end
local after = at + step * count
redis.call('SET', KEYS[1], string.format('%d', after), 'PX', math.ceil((after - now_us) / 1000) + 1000)
if wait_ms == 0 then return go() end
return wait_ms
"""


def _ask(name: str, count: int, per_second: int, max_wait_ms: int) -> int:
    return int(redis.client().eval(RESERVE, 2, redis.key("rate", name), redis.key("rate", name, "went"), count, per_second, max_wait_ms))


class _Known:
    """How many processes send, as they told each other while Redis was there, and the turns of this one while it is not."""

    def __init__(self) -> None:
        self.processes = 1
        self._lock = threading.Lock()
        self._looked_at = -60.0
        self._free: dict[str, float] = {}

    def look(self) -> None:
        clock = time.monotonic()
        if clock - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = clock
        now, names = time.time(), redis.key("rate", "processes")
        pipeline = redis.client().pipeline(transaction=False)
        pipeline.zadd(names, {f"{os.uname().nodename}:{os.getpid()}": now})
        pipeline.zremrangebyscore(names, "-inf", now - 10 * LOOK_SECONDS)
        pipeline.zcard(names)
        pipeline.expire(names, 60)
        self.processes = max(1, int(pipeline.execute()[2]))

    def reserve(self, name: str, count: int, per_second: int, max_wait_ms: int) -> int:
        clock = time.monotonic()
        with self._lock:
            at = max(clock, self._free.get(name, 0.0))
            wait_ms = math.ceil(1000 * (at - clock))
            if wait_ms > max_wait_ms:
                return -wait_ms - 1
            self._free[name] = at + count * self.processes / per_second
        return wait_ms


_known = _Known()


def reserve(name: str, *, count: int, per_second: int, max_wait_ms: int) -> int:
    """Reserve `count` turns and return the milliseconds to wait before taking them.

    0 means now. After a wait, `take_turn` is to be called. A negative answer -(ms) - 1 means that the turn would come only after `ms`,
    and nothing was reserved.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    _known.look()
    return _ask(name, count, per_second, max_wait_ms)


def reserve_alone(name: str, *, count: int, per_second: int, max_wait_ms: int) -> int:
    """Do as `reserve` while Redis is away, at this process's share of the rate."""
    return _known.reserve(name, count, per_second, max_wait_ms)


def take_turn(name: str, *, count: int, per_second: int, wait_ms: int) -> None:
    """Wait for reserved turns and return when they may be taken: never more than the rate in any second.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away; the reserved wait is over all the same.
    """
    while wait_ms > 0:
        time.sleep(wait_ms / 1000)
        wait_ms = _ask(name, count, per_second, -1)


def wait_for_turn(name: str, *, count: int, per_second: int, max_wait_ms: int) -> int:
    """Wait until `count` may go, by the common rate or, while Redis is away, by this process's share of it.

    A negative answer -(ms) - 1 means that the turn would come only after `ms`; then it has not waited and nothing was reserved.
    """
    try:
        wait_ms = reserve(name, count=count, per_second=per_second, max_wait_ms=max_wait_ms)
    except redis.Unavailable:
        wait_ms = reserve_alone(name, count=count, per_second=per_second, max_wait_ms=max_wait_ms)
    if wait_ms > 0:
        try:
            take_turn(name, count=count, per_second=per_second, wait_ms=wait_ms)
        except redis.Unavailable:
            pass  # it has waited for its turn
    return wait_ms
