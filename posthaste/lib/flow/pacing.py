"""Pacing towards providers: a rate that is never exceeded, shared by all workers.

The generic cell rate algorithm (ITU-T I.371, 1996) in one atomic call, on Redis's own clock.
"""

from posthaste.lib import redis

# KEYS[1] the theoretical arrival time in µs; ARGV[1] messages wanted, ARGV[2] messages per second, ARGV[3] longest wait in ms
# returns the wait in ms before the first may go, or -(wait in ms) - 1 if that is longer than allowed (nothing reserved)
RESERVE = """
local now = redis.call('TIME')
local now_us = now[1] * 1000000 + now[2]
local step = 1000000 / tonumber(ARGV[2])
local at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now_us)
local wait_ms = math.ceil((at - now_us) / 1000)
if wait_ms > tonumber(ARGV[3]) then
  return -wait_ms - 1
end
local after = at + step * tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%d', after), 'PX', math.ceil((after - now_us) / 1000) + 1000)
return wait_ms
"""


def reserve(name: str, *, count: int, per_second: int, longest_wait_ms: int) -> int:
    """This function will reserve `count` turns and give the milliseconds to wait before taking them.

    A negative answer -(ms) - 1 means that the turn would come only after `ms`, and nothing was reserved.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    return int(redis.client().eval(RESERVE, 1, redis.key("rate", name), count, per_second, longest_wait_ms))
