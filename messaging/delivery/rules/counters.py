"""Duplicates and frequency caps: claims and counts in Redis, for a whole chunk in one round trip.

A claim and a count belong to a message's id. So the same message may ask again (a retry, a worker that died, a task that came
twice) and is neither its own duplicate nor counted twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from posthaste.lib import redis

# For each message: whether it may go, and if so its claim is made and it is counted; if not, nothing of it is kept.
# KEYS for each message in order: the key of its content if duplicates are looked at, then a sorted set (id → ms) for each cap
# ARGV[1] now in ms; then for each message: id, ms that its claim lasts (0: not looked at), number of caps; for each cap: window ms, most
# returns for each message two numbers: 0 it may go, -1 a duplicate, n the n-th cap is reached; and the ms until that changes
CHECK = """
local now, answers, key, arg = tonumber(ARGV[1]), {}, 1, 2
while arg <= #ARGV do
  local id, lasts, caps = ARGV[arg], tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
  local verdict, wait, first = 0, 0, key
  arg = arg + 3
  if lasts > 0 then
    local holder = redis.call('GET', KEYS[key])
    if holder and holder ~= id then
      verdict, wait = -1, redis.call('PTTL', KEYS[key])
    end
    key = key + 1
  end
  for cap = 1, caps do
    if verdict == 0 then
      local counts, window, most = KEYS[key + cap - 1], tonumber(ARGV[arg + 2 * cap - 2]), tonumber(ARGV[arg + 2 * cap - 1])
      redis.call('ZREMRANGEBYSCORE', counts, '-inf', now - window)
      local number = redis.call('ZCARD', counts)
      if number >= most and not redis.call('ZSCORE', counts, id) then
        local oldest = redis.call('ZRANGE', counts, number - most, number - most, 'WITHSCORES')
        verdict, wait = cap, tonumber(oldest[2]) + window - now
      end
    end
  end
  if verdict == 0 then
    if lasts > 0 then
      redis.call('SET', KEYS[first], id, 'PX', lasts)
    end
    for cap = 1, caps do
      local counts, window = KEYS[key + cap - 1], tonumber(ARGV[arg + 2 * cap - 2])
      redis.call('ZADD', counts, 'NX', now, id)
      redis.call('PEXPIRE', counts, window)
    end
  end
  key, arg = key + caps, arg + 2 * caps
  answers[#answers + 1] = verdict
  answers[#answers + 1] = math.ceil(wait)
end
return answers
"""

# Gives back what a message had claimed and counted, as it will never go out.
# KEYS as above; ARGV for each message: id, 1 if its first key is a claim, number of caps; returns nothing
RELEASE = """
local key = 1
for arg = 1, #ARGV, 3 do
  local id = ARGV[arg]
  if ARGV[arg + 1] == '1' then
    if redis.call('GET', KEYS[key]) == id then
      redis.call('DEL', KEYS[key])
    end
    key = key + 1
  end
  for _ = 1, tonumber(ARGV[arg + 2]) do
    redis.call('ZREM', KEYS[key], id)
    key = key + 1
  end
end
"""


@dataclass(frozen=True, slots=True)
class Cap:
    """One count that a message adds to."""

    key: str
    window_ms: int
    most: int


@dataclass(frozen=True, slots=True)
class RuleQuery:
    """What has to be asked about one message."""

    id: UUID
    content_key: str = ""  # empty: duplicates do not matter
    lasts_ms: int = 0
    caps: tuple[Cap, ...] = field(default=())

    @property
    def keys(self) -> list[str]:
        return [*([self.content_key] if self.content_key else []), *(cap.key for cap in self.caps)]


@dataclass(frozen=True, slots=True)
class RuleAnswer:
    """The answer: 0 it may go, -1 it is a duplicate, n its n-th cap is reached; and how long that lasts."""

    verdict: int
    wait: timedelta


def check(queries: Sequence[RuleQuery], *, now: datetime) -> list[RuleAnswer]:
    """Ask about all messages at once, in their order, and keep what those claim that may go.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away; nothing is known and nothing was kept, or all of it was.
    """
    if not queries:
        return []
    words: list[str | bytes | int] = [int(now.timestamp() * 1000)]
    for one in queries:
        words += [one.id.bytes, one.lasts_ms if one.content_key else 0, len(one.caps)]
        for cap in one.caps:
            words += [cap.window_ms, cap.most]
    keys = [key for one in queries for key in one.keys]
    answers = redis.client().eval(CHECK, len(keys), *keys, *words)  # numbers are words as well
    return [RuleAnswer(int(answers[n]), timedelta(milliseconds=int(answers[n + 1]))) for n in range(0, len(answers), 2)]


def release(queries: Sequence[RuleQuery]) -> None:
    """Give back what messages had claimed that will never go out; while Redis is away, the claims expire."""
    keys = [key for one in queries for key in one.keys]
    if not keys:
        return
    words: list[str | bytes | int] = []
    for one in queries:
        words += [one.id.bytes, 1 if one.content_key else 0, len(one.caps)]
    try:
        redis.client().eval(RELEASE, len(keys), *keys, *words)  # numbers are words as well
    except redis.Unavailable:
        pass
