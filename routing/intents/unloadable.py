"""Tenants whose active model some process could not load: noted in Redis for the alarm, until a process loads it."""

from contextlib import suppress

from posthaste.lib import redis

EXPIRES_SECONDS = 600


def _key() -> str:
    return redis.key("intents", "unloadable")


def note(tenant_id: int, number: int) -> None:
    """Note that a version can't be loaded. The note goes if nothing confirms it for ten minutes."""
    with suppress(redis.Unavailable):
        pipeline = redis.client().pipeline(transaction=False)
        pipeline.hset(_key(), str(tenant_id), str(number))
        pipeline.expire(_key(), EXPIRES_SECONDS)
        pipeline.execute()


def settle(tenant_id: int) -> None:
    """Take the note about a tenant away."""
    with suppress(redis.Unavailable):
        redis.client().hdel(_key(), str(tenant_id))


def number() -> int:
    """Return the number of tenants with a note.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    return int(redis.client().hlen(_key()))
