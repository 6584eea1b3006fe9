"""The side of a lock that lies in Redis: who holds it, who stands in line, and the counter of the tokens.

Four keys a lock, and three for all of them:

    locks:held:NAME    hash: id, owner, token, since (ms), lease (ms), count; expires with the lease
    locks:line:NAME    sorted set: who waits, in the order of their coming
    locks:alive:NAME   sorted set: until when each of them counts as alive (ms)
    locks:turn:ID      list that one waiter blocks on
    locks:names        sorted set: names that are held, until when (ms)
    locks:token        the last fencing token, of all locks
    locks:came         the last number in a line, of all locks
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from posthaste.lib import redis

ALIVE_MS = 3_000  # a waiter that has not looked for so long is dead, and the next one's turn comes
LINE_EXPIRES_MS = 60_000

#: Shared by the scripts: drops the dead from the head of the line and wakes the first that lives. Called as wake(line, alive, prefix
#: of the turns, now in ms).
WAKE = """
local function first(line, alive, now)
  for _, dead in ipairs(redis.call('ZRANGEBYSCORE', alive, '-inf', now)) do
    redis.call('ZREM', line, dead)
    redis.call('ZREM', alive, dead)
  end
  return redis.call('ZRANGE', line, 0, 0)[1]
end
local function wake(line, alive, turns, now)
  local head = first(line, alive, now)
  if head then
    redis.call('DEL', turns .. head)
    redis.call('RPUSH', turns .. head, '1')
    redis.call('PEXPIRE', turns .. head, 10000)
  end
end
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)
"""

# KEYS    held, line, alive, names, token, came
# ARGV    id of this acquisition, owner, lease (ms), for how long a waiter counts as alive (ms; 0: does not wait), name, line expires (ms)
# returns {token, 0} if it is ours (also when it already was: a repeated call changes nothing); {0, ms until the lease ends} if not
#
# The token is the greater of the counter plus one and the server's time in µs: so it rises even if Redis loses the counter.
TAKE = (
    WAKE
    + """
local held, line, alive, names = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, lease, patience = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local holder = redis.call('HMGET', held, 'id', 'token')
if holder[1] == id then return {tonumber(holder[2]), 0} end
local head = first(line, alive, now)
if not holder[1] and (not head or head == id) then
  local token = math.max(tonumber(redis.call('GET', KEYS[5]) or '0') + 1, micros)
  redis.call('SET', KEYS[5], string.format('%.0f', token))
  redis.call('HSET', held, 'id', id, 'owner', ARGV[2], 'token', string.format('%.0f', token), 'since', string.format('%.0f', now),
    'lease', lease, 'count', 1)
  redis.call('PEXPIRE', held, lease)
  redis.call('ZREM', line, id)
  redis.call('ZREM', alive, id)
  redis.call('ZADD', names, now + lease, ARGV[5])
  return {token, 0}
end
if patience > 0 then
  if not redis.call('ZSCORE', line, id) then redis.call('ZADD', line, redis.call('INCR', KEYS[6]), id) end
  redis.call('ZADD', alive, now + patience, id)
  redis.call('PEXPIRE', line, ARGV[6])
  redis.call('PEXPIRE', alive, ARGV[6])
end
return {0, math.max(0, redis.call('PTTL', held))}
"""
)

# KEYS    held, line, alive, names
# ARGV    id, prefix of the turns, name
# returns 1; 0 if it belonged to another holder or was free
RELEASE = (
    WAKE
    + """
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[4], ARGV[3])
wake(KEYS[2], KEYS[3], ARGV[2], now)
return 1
"""
)

# KEYS    held, line, alive
# ARGV    id, prefix of the turns
# returns nothing. Who leaves the line may have been woken just now: then it is the next one's turn. If the answer that gave us the
#         lock was lost, it is freed.
LEAVE = (
    WAKE
    + """
if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then redis.call('DEL', KEYS[1]) end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('DEL', ARGV[2] .. ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then wake(KEYS[2], KEYS[3], ARGV[2], now) end
"""
)

# KEYS    held, names
# ARGV    id, lease (ms; 0: it is only looked at), count (0: as it is), name
# returns 1; 0 if it belongs to another holder or is free by now
KEEP = (
    WAKE
    + """
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
if tonumber(ARGV[2]) > 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[4])
end
if tonumber(ARGV[3]) > 0 then redis.call('HSET', KEYS[1], 'count', ARGV[3]) end
return 1
"""
)

# KEYS    held, line, alive, names
# ARGV    prefix of the turns, name
# returns the fields of its holder, one after the other; nothing if it was free
FORCE = (
    WAKE
    + """
local holder = redis.call('HGETALL', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[4], ARGV[2])
wake(KEYS[2], KEYS[3], ARGV[1], now)
return holder
"""
)

# KEYS    token
# ARGV    a token that was seen
# returns nothing. The counter never goes back.
RAISE = """
if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
"""


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that is held now, as the console shows it. `lease_seconds` is what is left of the lease, `waiters` how many stand in line."""

    name: str
    owner: str
    fencing_token: int
    age_seconds: float
    lease_seconds: float
    count: int
    waiters: int


@cache
def _script(text: str) -> Any:
    return redis.client().register_script(text)


def _run(text: str, keys: list[str], args: list[str | int]) -> Any:
    return _script(text)(keys=keys, args=args, client=redis.client())


def _key(kind: str, *name: str) -> str:
    return redis.key("locks", kind, *name)


def _turns() -> str:
    return _key("turn", "")


def take(name: str, *, holder: str, owner: str, lease_ms: int, waits: bool) -> tuple[int, int]:
    """Take the lock if it is free and no one is ahead in the queue.

    Returns the token, or 0 and the milliseconds that the present lease lasts. A caller that `waits` joins the queue or stays in it.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away. The call may be repeated.
    """
    keys = [_key("held", name), _key("line", name), _key("alive", name), _key("names"), _key("token"), _key("came")]
    token, left_ms = _run(TAKE, keys, [holder, owner, lease_ms, ALIVE_MS if waits else 0, name, LINE_EXPIRES_MS])
    return int(token), int(left_ms)


def await_turn(holder: str, *, seconds: float) -> None:
    """Sleep until it is this waiter's turn, at most so many seconds."""
    redis.client().blpop([_key("turn", holder)], timeout=max(0.01, seconds))


def leave(name: str, *, holder: str) -> None:
    """Take a waiter out of the line."""
    _run(LEAVE, [_key("held", name), _key("line", name), _key("alive", name)], [holder, _turns()])


def release(name: str, *, holder: str) -> bool:
    """Free the lock and wake who is next; False if it was not ours any more."""
    return bool(_run(RELEASE, [_key("held", name), _key("line", name), _key("alive", name), _key("names")], [holder, _turns(), name]))


def keep(name: str, *, holder: str, lease_ms: int = 0, count: int = 0) -> bool:
    """Renew the lease, and write how often it is held; False if it is not ours any more."""
    return bool(_run(KEEP, [_key("held", name), _key("names")], [holder, lease_ms, count, name]))


def held() -> list[Held]:
    """Return the locks that are held now, by name."""
    client = redis.client()
    found: Any = client.zrange(_key("names"), 0, -1)
    names = [name.decode() for name in found]
    pipeline = client.pipeline(transaction=False)
    pipeline.time()
    for name in names:
        pipeline.hgetall(_key("held", name))
        pipeline.pttl(_key("held", name))
        pipeline.zcard(_key("line", name))
    (seconds, micros), *answers = pipeline.execute()
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    client.zremrangebyscore(_key("names"), "-inf", now_ms - LINE_EXPIRES_MS)
    found = []
    for name, fields, left_ms, waiters in zip(names, answers[::3], answers[1::3], answers[2::3], strict=True):
        if fields:
            found.append(_held(name, fields, left_ms=left_ms, waiters=waiters, now_ms=now_ms))
    return sorted(found, key=lambda lock: lock.name)


def _held(name: str, fields: dict[bytes, bytes], *, left_ms: int, waiters: int, now_ms: int) -> Held:
    return Held(
        name=name,
        owner=fields[b"owner"].decode(),
        fencing_token=int(fields[b"token"]),
        age_seconds=max(0, now_ms - int(fields[b"since"])) / 1000,
        lease_seconds=max(0, left_ms) / 1000,
        count=int(fields[b"count"]),
        waiters=int(waiters),
    )


def force_release(name: str) -> Held | None:
    """Take the lock from its holder, wake the next waiter, and return the former holder.

    The former holder learns of it within a second; the fence refuses what it writes after the next one took the lock.
    """
    flat = _run(FORCE, [_key("held", name), _key("line", name), _key("alive", name), _key("names")], [_turns(), name])
    if not flat:
        return None
    client = redis.client()
    seconds, micros = client.time()
    waiters = client.zcard(_key("line", name))
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    return _held(name, dict(zip(flat[::2], flat[1::2], strict=True)), left_ms=0, waiters=waiters, now_ms=now_ms)


def at_least(token: int) -> None:
    """Let the next tokens be greater than one that was seen, should Redis have lost its counter."""
    _run(RAISE, [_key("token")], [token])
