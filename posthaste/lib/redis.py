"""The process's one connection pool to Redis (or Valkey), and the names of keys."""

from functools import cache

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from posthaste import env

Unavailable = redis.exceptions.RedisError
WrongType = redis.exceptions.ResponseError  # among others


@cache
def client() -> redis.Redis:
    """This function will give the shared client: thread-safe, binary answers, short time-outs.

    It never retries by itself: what talks to Redis on the hot path must fail quickly and go on without it.
    """
    return redis.Redis.from_url(
        env.load().redis_url,
        socket_connect_timeout=1.0,
        socket_timeout=2.0,
        health_check_interval=30,
        retry=Retry(NoBackoff(), 1),  # one reconnect: a pooled connection may have died while idle
        max_connections=200,
        client_name="posthaste",
    )


def key(*parts: str | int) -> str:
    """This function will join the parts of a key behind the installation's prefix."""
    return ":".join((env.load().redis_prefix, *map(str, parts)))
