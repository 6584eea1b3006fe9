"""Distributed locks on redis-py's own lock, with a fencing token that writers can check.

The token comes from a counter that never goes back, so of two holders the later one has the larger token
(Kleppmann, "How to do distributed locking", 2016).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import LockError

from posthaste.lib import redis


class NotAcquired(Exception):
    """Somebody else holds the lock."""


@contextmanager
def fenced(name: str, *, lease_seconds: float, wait_seconds: float = 0.0) -> Iterator[int]:
    """This function will hold the lock `name` for the block and give its fencing token.

    Raises:
        NotAcquired: it was not free within `wait_seconds`.
    """
    client = redis.client()
    lock = client.lock(redis.key("lock", name), timeout=lease_seconds, thread_local=False)
    if not lock.acquire(blocking=wait_seconds > 0, blocking_timeout=wait_seconds or None):
        raise NotAcquired(name)
    try:
        yield int(client.incr(redis.key("fence", name)))
    finally:
        try:
            lock.release()
        except LockError:
            pass  # the lease ran out: whoever came after has a larger token
