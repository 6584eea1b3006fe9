"""From one subscription to all sockets of this process that watch conversations.

A notice only says that a conversation has something new; each socket then reads from the database what it lacks, from its own place, in
order. So nothing is lost if a notice is, or if Redis reconnects: every `LOOK_SECONDS` one query finds what has changed unnoticed, and
another which sessions hold no more. Nothing runs while there are no sockets.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, ParamSpec, Protocol, TypeVar
from uuid import UUID

import orjson
import redis.asyncio
import structlog
from channels.db import DatabaseSyncToAsync
from django.utils import timezone

from posthaste.lib import fanout
from routing.conversations import notices, selectors
from routing.entrances.portal import sessions
from routing.models import ConversationStatus

log = structlog.get_logger(__name__)
P = ParamSpec("P")
R = TypeVar("R")
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


class Hub(fanout.Hub):
    """The sockets of this process, and the tasks that serve them while there are any."""

    def __init__(self) -> None:
        super().__init__()
        self._watchers: dict[UUID, set[Watcher]] = {}
        self._seen: dict[UUID, tuple[Any, ...]] = {}
        self._looks = 0

    @property
    def is_used(self) -> bool:
        return bool(self._watchers)

    def channel(self) -> str:
        return notices.channel()

    def subscribed(self) -> None:
        for identity_id in list(self._watchers):
            self._wake(identity_id)

    def add(self, watcher: Watcher) -> None:
        """Serve a socket from now on."""
        self._watchers.setdefault(watcher.identity_id, set()).add(watcher)
        self.start()

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

    async def hear(self, client: "redis.asyncio.Redis", data: bytes) -> None:
        try:
            notice = orjson.loads(data)
            woken = {UUID(identity) for _conversation, identity, _tenant in notice.get("changed", ()) if identity}
            writer = UUID(notice["identity"]) if notice.get("typing") == "agent" else None
        except (orjson.JSONDecodeError, KeyError, ValueError, TypeError, AttributeError):
            log.warning("a notice was not understood")
            return
        for identity_id in woken:
            self._wake(identity_id)
        if writer is not None:
            for watcher in self._watchers.get(writer, ()):
                watcher.typing(str(notice.get("name", "")))

    async def take_turns(self) -> None:
        """Look by itself now and then, as notices may be lost, and end what holds no more."""
        while self.is_used:
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
