"""One computation a second for the whole installation: the process that holds a lease makes the figures of all wanted tenants.

Each process with viewers calls `turn` once a second. It notes whose figures its viewers look at, and takes the lease if no other process
has it. The holder publishes one frame on one Redis channel, and keeps a snapshot of each tenant for processes that come later. What if it
dies: another process has the lease within `LEASE_MS`. Two at once: Redis gives numbers to the frames of the holder only.

A frame is `NUMBER`, and a line a tenant: name, figures of this moment, and the newest points as `BEGIN=POINT`, separated by tabs. All are
JSON, which holds neither line ends nor tabs, so a process passes on what it reads without parsing it.
"""

import secrets
from collections.abc import Collection, Mapping
from datetime import datetime
from time import monotonic
from typing import Any

import orjson

from messaging.statistics.live import BrokerDepths, LiveFigures
from posthaste.lib import redis

LEASE_MS = 2_500
WANTED_SECONDS = 5
SNAPSHOT_EVERY_SECONDS = 5.0
SNAPSHOT_EXPIRES_SECONDS = 30
REDIS_SECONDS = 1.0
ALL = "all"  # the name of all tenants together

# KEYS lease, wanted tenants. ARGV token, ms of the lease, seconds for which a tenant is wanted, tenants …
# Returns the tenants that any process wants if the lease is ours, otherwise nothing.
CLAIM = """
local now = tonumber(redis.call('TIME')[1])
for i = 4, #ARGV do redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[i]) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 1)
redis.call('EXPIRE', KEYS[2], 60)
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return false end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('ZRANGE', KEYS[2], 0, -1)
"""

# KEYS lease, number of the last frame, snapshots. ARGV token, channel, frame, seconds that snapshots last, tenant, snapshot, …
# Returns the number of the frame, or 0 if the lease is not ours any more. Numbers rise, and are not below the Unix time: if Redis loses the
# last one, or nothing is published for a while, the next one shows that something is missing.
PUBLISH = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local number = math.max(tonumber(redis.call('GET', KEYS[2]) or 0) + 1, tonumber(redis.call('TIME')[1]))
redis.call('SET', KEYS[2], number)
for i = 5, #ARGV, 2 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
if #ARGV > 4 then redis.call('EXPIRE', KEYS[3], ARGV[4]) end
redis.call('PUBLISH', ARGV[2], string.format('%d', number) .. string.char(10) .. ARGV[3])
return number
"""

# KEYS lease. ARGV token. Ends the lease if it is ours.
LEAVE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


def channel() -> str:
    """Return the name of the Redis channel on which frames are published."""
    return redis.key("live")


def snapshots_key() -> str:
    """Return the key of the hash with each tenant's snapshot."""
    return redis.key("live", "snapshots")


def name_of(tenant_id: int | None) -> str:
    """Return the name of a tenant in a frame."""
    return ALL if tenant_id is None else str(tenant_id)


def tenant_of(name: str) -> int | None:
    """Return the tenant of a name; see `name_of`."""
    return None if name == ALL else int(name)


def line(tenant_id: int | None, head: Mapping[str, Any], points: Mapping[int, Mapping[str, Any]]) -> bytes:
    """Return the figures of a tenant as a line of a frame."""
    written = (b"%d=%s" % (at, orjson.dumps(point)) for at, point in points.items())
    return b"\t".join((name_of(tenant_id).encode(), orjson.dumps(head), *written))


class Computer:
    """This process as one that may compute. One thread uses it at a time."""

    def __init__(self) -> None:
        self._token = secrets.token_hex(8)
        self._figures = LiveFigures(BrokerDepths().latest)
        self._had: set[int | None] = set()  # tenants that have a snapshot
        self._kept_at = float("-inf")
        self._client: Any = None

    def turn(self, tenants: Collection[int | None], *, now: datetime) -> int:
        """Say which tenants are looked at here, compute if it is this process's part, and return the number of the frame, or 0.

        Raises:
            posthaste.lib.redis.Unavailable: Redis is away.
        """
        self._client = self._client or redis.short(REDIS_SECONDS)
        keys = redis.key("live", "lease"), redis.key("live", "wanted")
        wanted = self._client.eval(CLAIM, 2, *keys, self._token, LEASE_MS, WANTED_SECONDS, *map(name_of, tenants))
        if wanted is None:
            self.forget()
            return 0
        return self._publish([tenant_of(name.decode()) for name in wanted], now)

    def leave(self) -> None:
        """Let another process compute, as there is no viewer left here.

        Raises:
            posthaste.lib.redis.Unavailable: Redis is away; the lease runs out.
        """
        self.forget()
        if self._client is not None:
            self._client.eval(LEAVE, 1, redis.key("live", "lease"), self._token)

    def forget(self) -> None:
        """Begin anew when it is this process's part again."""
        self._figures.forget()
        self._had.clear()
        self._kept_at = float("-inf")

    def _publish(self, wanted: Collection[int | None], now: datetime) -> int:
        self._figures.look(now)
        clock = monotonic()
        is_time = clock - self._kept_at >= SNAPSHOT_EVERY_SECONDS
        frame, snapshots = [], []
        for tenant_id in wanted:
            head = self._figures.head(tenant_id)
            frame.append(line(tenant_id, head, self._figures.points(tenant_id, since=self._figures.fresh_since)))
            if is_time or tenant_id not in self._had:
                snapshots += [name_of(tenant_id), line(tenant_id, head, self._figures.points(tenant_id))]
        keys = redis.key("live", "lease"), redis.key("live", "number"), snapshots_key()
        values = self._token, channel(), b"\n".join(frame), SNAPSHOT_EXPIRES_SECONDS, *snapshots
        number = int(self._client.eval(PUBLISH, 3, *keys, *values))
        if number:  # else nothing was kept: the next frame brings the snapshots again
            self._had = set(wanted)
            self._kept_at = clock if is_time else self._kept_at
        return number
