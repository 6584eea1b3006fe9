"""The note in Redis that a feeder stays ready, so that beat need not start one each second."""

from posthaste.lib import redis
from posthaste.lib.ids import new_id

NOTE_MS = 2_500  # a feeder that has not renewed its note for so long is gone


class Readiness:
    """One feeder's note. It only saves work: two feeders at once are kept apart by the lock."""

    def __init__(self) -> None:
        self._me = new_id().hex

    def claim(self) -> bool:
        """Write or renew the note; False if another feeder stays ready, or Redis is away."""
        client, name = redis.client(), redis.key("feeder")
        try:
            if client.set(name, self._me, nx=True, px=NOTE_MS):
                return True
            return client.get(name) == self._me.encode() and bool(client.pexpire(name, NOTE_MS))
        except redis.Unavailable:
            return False

    def end(self) -> None:
        """Take the note away, so that beat publishes the next run."""
        try:
            if redis.client().get(redis.key("feeder")) == self._me.encode():
                redis.client().delete(redis.key("feeder"))
        except redis.Unavailable:
            pass  # it expires


def no_feeder_is_ready() -> bool:
    """Return whether a feeder has to be started.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    return not redis.client().exists(redis.key("feeder"))
