"""From one subscription of Redis to all connections of this process.

A hub runs two tasks while it has connections, and none while it has not: one hears a channel of Redis, the other takes the hub's own turns.
"""

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any

import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from posthaste import env

REDIS_SECONDS = 0.5
WAIT_SECONDS = 1.0


class Hub(ABC):
    """The connections of this process that one channel of Redis is for."""

    #: A subscription that has told nothing for so long is made anew, whatever its connection looks like.
    silent_seconds = float("inf")

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    @property
    @abstractmethod
    def is_used(self) -> bool:
        """Whether there is a connection."""

    @abstractmethod
    def channel(self) -> str:
        """Return the name of the channel."""

    @abstractmethod
    async def hear(self, client: "redis.asyncio.Redis", data: bytes) -> None:
        """Take in what the channel tells."""

    @abstractmethod
    async def take_turns(self) -> None:
        """Do what is to be done from time to time, and return when there is no connection any more."""

    def subscribed(self) -> None:  # noqa: B027 - many have nothing to make up for
        """Make up for what the channel may have told while there was no subscription."""

    def start(self) -> None:
        """Start the tasks unless they run; to be called whenever a connection has come."""
        if not self._tasks or any(task.done() for task in self._tasks):
            for task in self._tasks:
                task.cancel()
            loop = asyncio.get_running_loop()
            self._tasks = [loop.create_task(self._listen()), loop.create_task(self.take_turns())]

    async def _listen(self) -> None:
        """Take in what comes, and subscribe again when the subscription ends or is silent."""
        client = redis.asyncio.Redis.from_url(
            env.load().redis_url,
            socket_connect_timeout=REDIS_SECONDS,
            socket_timeout=REDIS_SECONDS,
            retry=Retry(NoBackoff(), 0),
            client_name="posthaste",
        )
        try:
            while self.is_used:
                try:
                    await self._hear_all(client)
                except (redis.RedisError, OSError):
                    await asyncio.sleep(REDIS_SECONDS)
        finally:
            with suppress(redis.RedisError, OSError):
                await client.aclose()

    async def _hear_all(self, client: "redis.asyncio.Redis") -> None:
        async with client.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(self.channel())
            self.subscribed()
            loop = asyncio.get_running_loop()
            heard_at = loop.time()
            while self.is_used and loop.time() - heard_at < self.silent_seconds:
                message: Any = await subscription.get_message(timeout=WAIT_SECONDS)
                if message is not None:
                    heard_at = loop.time()
                    await self.hear(client, message["data"])
