"""The process's one connection pool to Redis (or Valkey), and the names of keys."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from posthaste import env
from posthaste.lib.deadlines import time_by_kernel

Unavailable = redis.exceptions.RedisError
WrongType = redis.exceptions.ResponseError  # among others
SOCKET_SECONDS = 2.0


class _Patience(threading.local):
    """Whether this thread waits for Redis once only, and has done so."""

    is_limited = False
    is_spent = False


_patience = _Patience()


class _Pool(redis.ConnectionPool):
    """The pool of the shared client: a thread within `waiting_once` gets no connection after one that failed."""

    def get_connection(self, *args: Any, **options: Any) -> Any:
        if not _patience.is_limited:
            return super().get_connection(*args, **options)
        if _patience.is_spent:
            raise redis.exceptions.ConnectionError("Redis did not respond a moment ago.")
        try:
            return super().get_connection(*args, **options)
        except redis.exceptions.RedisError:
            _patience.is_spent = True
            raise

    def release(self, connection: Any) -> None:
        if _patience.is_limited and not connection.is_connected:  # it is closed when it fails or takes too long
            _patience.is_spent = True
        super().release(connection)


@contextmanager
def waiting_once() -> Iterator[None]:
    """Let this thread wait for Redis once at most: after one call of the shared client finds it away, the next ones fail at once."""
    _patience.is_limited, _patience.is_spent = True, False
    try:
        yield
    finally:
        _patience.is_limited = False


def wait_no_more() -> None:
    """Within `waiting_once`, let all further calls fail at once: Redis was found to be away in another way."""
    _patience.is_spent = True


@cache
def client() -> redis.Redis:
    """Return the shared client: thread-safe, binary answers, short time-outs.

    It never retries by itself: what talks to Redis on the hot path must fail quickly and go on without it.
    """
    pool = _Pool.from_url(
        env.load().redis_url,
        socket_connect_timeout=1.0,
        socket_timeout=SOCKET_SECONDS,
        health_check_interval=30,
        # One reconnect, as a pooled connection may have died while idle. What timed out once is not waited for again.
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        max_connections=200,
        client_name="posthaste",
    )
    return redis.Redis.from_pool(pool)


def short(seconds: float) -> redis.Redis:
    """Make a client of one's own for a thread that must not be held up: nothing takes longer than `seconds`."""
    return redis.Redis.from_url(
        env.load().redis_url,
        socket_connect_timeout=seconds,
        socket_timeout=seconds,
        health_check_interval=30,
        retry=Retry(NoBackoff(), 0),
        client_name="posthaste",
    )


class _OwnConnection(redis.Connection):
    """A plain TCP connection whose time-out the kernel watches."""

    kernel_seconds = SOCKET_SECONDS

    def _connect(self) -> Any:
        sock = super()._connect()  # type: ignore[no-untyped-call]
        time_by_kernel(sock, self.kernel_seconds)
        return sock


def own_connection(*, timeout_seconds: float = SOCKET_SECONDS) -> Any:
    """Make a connection for one user at a time: `send_command`, then `read_response`; `disconnect` after an error."""
    pool = client().connection_pool
    if pool.connection_class is not redis.Connection:
        return pool.connection_class(**pool.connection_kwargs)
    connection = _OwnConnection(**{**pool.connection_kwargs, "socket_timeout": timeout_seconds})  # type: ignore[no-untyped-call]
    connection.kernel_seconds = timeout_seconds
    return connection


class _Own(threading.local):
    """A thread's own connection, made when it is first needed; it closes with the thread."""

    connection: Any = None


_own = _Own()


def call(*command: str | bytes | int) -> Any:
    """Run one command on the calling thread's own connection and return the answer.

    For what is asked once a message: half the processor time of the shared client, which checks a connection out, looks
    whether it is alive, and back in. A broken connection is renewed once, so the command must bear being run twice.

    Raises:
        Unavailable: Redis is away or refused the command.
    """
    if _own.connection is None:
        _own.connection = own_connection()
    connection = _own.connection
    try:
        connection.send_command(*command)
        return connection.read_response()
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
        connection.disconnect()
    try:
        connection.send_command(*command)
        return connection.read_response()
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
        connection.disconnect()
        raise


def key(*parts: str | int) -> str:
    """Join the parts of a key behind the installation's prefix."""
    return ":".join((env.load().redis_prefix, *map(str, parts)))
