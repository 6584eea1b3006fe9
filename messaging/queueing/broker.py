"""Asking the broker how many tasks stand in its queues."""

from celery import current_app

from messaging.queueing.publish import BROKER_ERRORS
from posthaste.lib.queues import NAMES, declared

__all__ = ["BROKER_ERRORS", "declare", "depth", "depths"]


def depths() -> dict[str, int]:
    """Return the number of tasks that wait in each queue.

    Raises:
        BROKER_ERRORS: the broker is away.
    """
    with current_app.pool.acquire(block=True, timeout=2) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=3)
        with connection.channel() as channel:
            return {
                queue.name: queue.bind(channel).queue_declare(passive=False).message_count for queue in declared() if queue.name in NAMES
            }


def depth(name: str) -> int:
    """Return the number of tasks that wait in one queue."""
    return depths()[name]


def declare() -> None:
    """Make sure that the queues and their exchange exist, so that no task is published into nothing."""
    with current_app.pool.acquire(block=True, timeout=5) as connection:
        for queue in declared():
            queue.bind(connection.default_channel).declare()
