"""From one subscription to all sockets of this process that watch conversations.

A notice only says that a conversation has something new; each socket then reads from the database what it lacks, from its own place, in
order. So nothing is lost if a notice is, or if Redis reconnects: every `LOOK_SECONDS` one query finds what has changed unnoticed, and
another which sessions hold no more. Nothing runs while there are no sockets.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, ParamSpec, Protocol, TypeVar
from uuid import UUID

import orjson
import redis.asyncio
import structlog
from channels.db import DatabaseSyncToAsync
from django.utils import timezone
from redis.backoff import NoBackoff
from redis.retry import Retry

from posthaste import env
from routing.conversations import notices, selectors
from routing.entrances.portal import sessions
from routing.models import ConversationStatus

log = structlog.get_logger(__name__)
P = ParamSpec("P")
R = TypeVar("R")
REDIS_SECONDS = 0.5
LOOK_SECONDS = 2.0
LOOKS_AT_QUEUE = 3
#: Conversations that were resolved this recently may still change.
RECENT = timedelta(hours=1)
#: Threads for the database, shared by all sockets of the process.
_threads = ThreadPoolExecutor(4, thread_name_prefix="chat")


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run what asks the database in a thread."""
    result: R = await DatabaseSyncToAsync(function, thread_sensitive=False, executor=_threads)(*args, **kwargs)
    return result


class Watcher(Protocol):
    """A socket that watches the conversations of one identity."""

    identity_id: UUID
    session_id: UUID

    def wake(self) -> None:
        """Look for what is new."""

    def typing(self, name: str) -> None:
        """Tell that an agent writes."""

    def end(self) -> None:
        """Close: the session holds no more."""


class Hub:
    """The sockets of this process, and the tasks that serve them while there are any."""

    def __init__(self) -> None:
        self._watchers: dict[UUID, set[Watcher]] = {}
        self._seen: dict[UUID, tuple[Any, ...]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._looks = 0

    def add(self, watcher: Watcher) -> None:
        """Serve a socket from now on."""
        self._watchers.setdefault(watcher.identity_id, set()).add(watcher)
        if not self._tasks or any(task.done() for task in self._tasks):
            for task in self._tasks:
                task.cancel()
            loop = asyncio.get_running_loop()
            self._tasks = [loop.create_task(self._listen()), loop.create_task(self._look_on())]

    def remove(self, watcher: Watcher) -> None:
        """Serve a socket no more."""
        own = self._watchers.get(watcher.identity_id, set())
        own.discard(watcher)
        if not own:
            self._watchers.pop(watcher.identity_id, None)
            self._seen.pop(watcher.identity_id, None)

    def number_of(self, session_id: UUID, identity_id: UUID) -> int:
        """Return how many sockets of this process a session has."""
        return sum(each.session_id == session_id for each in self._watchers.get(identity_id, ()))

    def _wake(self, identity_id: UUID) -> None:
        for watcher in self._watchers.get(identity_id, ()):
            watcher.wake()

    async def _listen(self) -> None:
        """Take in notices, and subscribe again when the subscription ends."""
        client = redis.asyncio.Redis.from_url(
            env.load().redis_url,
            socket_connect_timeout=REDIS_SECONDS,
            socket_timeout=REDIS_SECONDS,
            retry=Retry(NoBackoff(), 0),
            client_name="posthaste",
        )
        try:
            while self._watchers:
                try:
                    await self._hear_all(client)
                except (redis.RedisError, OSError):
                    await asyncio.sleep(REDIS_SECONDS)
        finally:
            with suppress(redis.RedisError, OSError):
                await client.aclose()

    async def _hear_all(self, client: "redis.asyncio.Redis") -> None:
        async with client.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(notices.channel())
            for identity_id in list(self._watchers):  # for what came while there was no subscription
                self._wake(identity_id)
            while self._watchers:
                message: Any = await subscription.get_message(timeout=LOOK_SECONDS)
                if message is not None:
                    self._hear(message["data"])

    def _hear(self, data: bytes) -> None:
        try:
            notice = orjson.loads(data)
            identity_id = UUID(notice["identity"])
        except (orjson.JSONDecodeError, KeyError, ValueError):
            log.warning("a notice was not understood")
            return
        if notice.get("typing") == "agent":
            for watcher in self._watchers.get(identity_id, ()):
                watcher.typing(str(notice.get("name", "")))
        elif "typing" not in notice:
            self._wake(identity_id)

    async def _look_on(self) -> None:
        """Look by itself now and then, as notices may be lost, and end what holds no more."""
        while self._watchers:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the database, the next turn looks again
                log.warning("conversations not looked at", error=str(error))

    async def look(self) -> None:
        """Wake the sockets whose conversations have changed since the last look, and end those whose sessions hold no more."""
        now = timezone.now()
        self._looks += 1
        found = await in_thread(changes_of, list(self._watchers), now=now)
        for identity_id, state in found.items():
            if identity_id not in self._watchers:
                continue
            # A place in the queue changes without a notice: others were served.
            is_waiting = ConversationStatus.QUEUED in state and self._looks % LOOKS_AT_QUEUE == 0
            if is_waiting or self._seen.get(identity_id) != state:
                self._seen[identity_id] = state
                self._wake(identity_id)
        watchers = [watcher for own in self._watchers.values() for watcher in own]
        valid = await in_thread(sessions.still_valid, {watcher.session_id for watcher in watchers}, now=now)
        for watcher in watchers:
            if watcher.session_id not in valid:
                watcher.end()


def changes_of(identity_ids: list[UUID], *, now: datetime) -> dict[UUID, tuple[Any, ...]]:
    """Return, for each identity, what shows whether something of its conversations has changed; one query."""
    return selectors.states_of(identity_ids, since=now - RECENT)


hub = Hub()
