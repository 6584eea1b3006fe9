"""Notices from a Redis channel, for a task of an event loop that also looks by itself now and then: a notice only makes it look sooner."""

import asyncio
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from posthaste import env

REDIS_SECONDS = 0.5


class Notices:
    """A subscription to one channel. It comes back after Redis was away, and until then `wait` only waits."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._client = redis.asyncio.Redis.from_url(
            env.load().redis_url,
            socket_connect_timeout=REDIS_SECONDS,
            socket_timeout=REDIS_SECONDS,
            health_check_interval=30,
            retry=Retry(NoBackoff(), 0),
            client_name="posthaste",
        )
        self._subscription: Any = None

    async def wait(self, seconds: float) -> None:
        """Return when a notice comes or the time is up. Several notices at once count as one."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        try:
            if self._subscription is None:
                subscription = self._client.pubsub(ignore_subscribe_messages=True)
                await subscription.subscribe(self._channel)
                self._subscription = subscription
                return  # for what changed while there was no subscription
            while (left := until - loop.time()) > 0 and await self._subscription.get_message(timeout=left) is None:
                pass
            while await self._subscription.get_message(timeout=0.0) is not None:
                pass
        except redis.exceptions.RedisError:
            self._subscription = None
            await asyncio.sleep(max(0.0, until - loop.time()))

    async def close(self) -> None:
        """End the subscription."""
        await self._client.aclose()
