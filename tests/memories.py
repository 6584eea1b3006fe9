"""What this process remembers between calls, and what belongs to all processes in Redis: emptied between tests."""

from contextlib import suppress


def forget(*, in_redis: bool) -> None:
    """Empty what this process remembers, and on request what belongs to all processes in Redis and is not a row."""
    from django.apps import apps

    if not apps.ready:  # a test without Django
        return
    from messaging.queueing import admission
    from posthaste.lib import process_state, redis

    process_state.reset()
    if not in_redis:
        return
    with suppress(redis.Unavailable):
        redis.client().delete(*admission.redis_keys(), redis.key("breakers"), redis.key("breakers", "waits"))
