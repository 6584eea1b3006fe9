"""Tell a worker that customers wait for the bot."""

from messaging.queueing.publish import BrokerAway, broker_is_up, send_task
from posthaste.lib import redis

TASK = "routing.bot"
#: A kick that no worker took within this time is lost: the next text kicks again.
KICK_MS = 3_000


def _key() -> str:
    return redis.key("routing", "bot-kick")


def kick() -> None:
    """Ask a worker to let the bot answer, unless a task for that waits already. Losing the kick does no harm: the sweep looks too."""
    try:
        if redis.client().set(_key(), 1, nx=True, px=KICK_MS) and broker_is_up():
            send_task(TASK, expires=60.0)
    except (BrokerAway, redis.Unavailable):
        pass


def kick_taken() -> None:
    """Note that a worker begins: what comes from now on needs another kick."""
    try:
        redis.client().delete(_key())
    except redis.Unavailable:
        pass
