"""Those who wait for changes: each a future in the event loop, no thread and no query.

One task of the process hears of publishes through Redis, and asks every three seconds in case it did not hear, or Redis is away. It
then reads in one query what was released since the last revision it saw, and wakes those who listen to that. What it knows of an
item's fingerprint stays true until a later release says otherwise, so a client that asks again costs no query either.

The same task answers what other processes ask: which clients listen to an item (`configcenter.services.listeners`).
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio
import structlog
from django.utils.translation import gettext as _
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from configcenter.nacos.clients import Client
from configcenter.nacos.fingerprints import Fingerprint, Key, fingerprints, present_revision, released_since
from configcenter.services import listeners as asking
from configcenter.services.changes import channel
from configcenter.services.listeners import MAX_ROWS, Listener
from posthaste import env
from posthaste.lib.problems import TooMany

log = structlog.get_logger(__name__)
POLL_SECONDS = 3.0
REDIS_SECONDS = 1.0
MAX_KNOWN = 100_000  # fingerprints in memory
MAX_WAITING = 20_000  # listeners of a process
MAX_WAITING_OF_ONE = 5_000  # of one caller
#: A long poll that was answered comes back at once: until then its client is still shown as listening.
SHOWN_SECONDS = 5.0


@dataclass(eq=False, slots=True)
class Waiter:
    """One listener: who it is, the fingerprints it has, and what is called with a key that changed."""

    client: Client
    has: dict[Key, str]
    tell: Callable[[Key], None]
    since: float = field(default_factory=time.time)

    def is_due(self, key: Key, before: Fingerprint | None, now: Fingerprint) -> bool:
        """Return whether to tell of a change from one fingerprint to the next.

        A client on a stream says what it has when it begins to listen, and not again when it has fetched a change: it may have left that
        text since, so for it only the change itself counts. Otherwise it would not be told of the way back. What was not known before is
        of a client that began a moment ago, and then what it said counts.
        """
        text = now.of(key, self.client)
        if self.client.transport == "grpc" and before is not None:
            return before.of(key, self.client) != text
        return self.has[key] != text


class Listeners:
    """All listeners of one process. Everything here runs in its event loop, except what `in_thread` is given."""

    def __init__(self, in_thread: Callable[..., Awaitable[Any]]) -> None:
        self._in_thread = in_thread
        self._waiting: dict[Key, set[Waiter]] = {}
        self._number = 0
        self._of: dict[str, int] = {}
        self._left: deque[tuple[float, Waiter]] = deque(maxlen=MAX_WAITING)
        self._known: dict[Key, Fingerprint] = {}
        self._revision = -1
        # Lookups and refreshes take turns, so that an old answer never replaces a newer one.
        self._turn: asyncio.Lock | None = None
        self._watching: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def number(self) -> int:
        """How many wait."""
        return self._number

    async def changed(self, *, client: Client, has: dict[Key, str], seconds: float, gone: "asyncio.Future[Any] | None" = None) -> set[Key]:
        """Wait until a fingerprint differs from the listener's and return the keys that differ.

        Returns at once if some differ already, and an empty set when the time is up or the client has `gone`.

        Raises:
            TooMany: more listeners than this process takes.
        """
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = Waiter(client, has, lambda _key: None if woken.done() else woken.set_result(None))
        if not seconds:
            return await self.differing(client, has)
        self.enter(waiter)  # before looking: what is published from here on wakes it
        try:
            if found := await self.differing(client, has):
                return found
            watched = {woken, gone} if gone is not None else {woken}
            await asyncio.wait(watched, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return self._differs(client, has, self._known) if woken.done() else set()
        finally:
            self.leave(waiter)

    async def differing(self, client: Client, has: dict[Key, str]) -> set[Key]:
        """Return the keys of which this client should have another text now."""
        self.start()
        return self._differs(client, has, await self._fingerprints(has))

    @staticmethod
    def _differs(client: Client, has: dict[Key, str], known: dict[Key, Fingerprint]) -> set[Key]:
        return {key for key, md5 in has.items() if key in known and known[key].of(key, client) != md5}

    def enter(self, waiter: Waiter) -> None:
        """Tell a waiter of changes from now on.

        Raises:
            TooMany: more listeners than this process takes.
        """
        self.start()
        caller = waiter.client.caller
        if self._number >= MAX_WAITING or self._of.get(caller, 0) >= MAX_WAITING_OF_ONE:
            raise TooMany(_("Too many clients are listening. Start another ws process."), retry_after_seconds=5)
        self._number += 1
        self._of[caller] = self._of.get(caller, 0) + 1
        for key in waiter.has:
            self._waiting.setdefault(key, set()).add(waiter)

    def leave(self, waiter: Waiter) -> None:
        """Forget a waiter."""
        caller = waiter.client.caller
        self._number -= 1
        self._of[caller] -= 1
        if not self._of[caller]:
            del self._of[caller]
        self.drop(waiter, waiter.has)
        if waiter.client.transport == "http":
            self._left.append((time.monotonic(), waiter))

    def add(self, waiter: Waiter, has: dict[Key, str]) -> None:
        """Let a waiter that has entered listen to more keys, or have another text of some."""
        waiter.has |= has
        for key in has:
            self._waiting.setdefault(key, set()).add(waiter)

    def drop(self, waiter: Waiter, keys: Iterable[Key]) -> None:
        """Let a waiter no longer listen to some keys."""
        for key in keys:
            others = self._waiting.get(key)
            if others is not None:
                others.discard(waiter)
                if not others:
                    del self._waiting[key]

    async def _fingerprints(self, keys: Iterable[Key]) -> dict[Key, Fingerprint]:
        """Return the fingerprints of these keys and look up those not known yet."""
        if all(key in self._known for key in keys):
            return self._known
        assert self._turn is not None
        async with self._turn:
            # The task that had the turn before may have looked up the same.
            missing = [key for key in keys if key not in self._known]
            if missing and len(self._known) + len(missing) > MAX_KNOWN:
                self._known = {key: known for key, known in self._known.items() if key in self._waiting}
                missing = [key for key in keys if key not in self._known]
            if missing:
                if self._revision < 0:
                    self._revision = await self._in_thread(present_revision)
                self._known |= await self._in_thread(fingerprints, missing)
            return {key: self._known[key] for key in keys}

    # --- who listens -----------------------------------------------------------------------------------------------

    async def listening(self, key: Key) -> list[Listener]:
        """Return the clients that listen to a key, also those that were answered a moment ago and will ask again."""
        known, now = (await self._fingerprints([key]))[key], time.monotonic()
        while self._left and now - self._left[0][0] > SHOWN_SECONDS:
            self._left.popleft()
        waiting = list(self._waiting.get(key, ()))
        there = {waiter.client for waiter in waiting}
        answered = {waiter.client: waiter for _at, waiter in self._left if key in waiter.has and waiter.client not in there}
        return [
            Listener(
                address=waiter.client.address,
                caller=waiter.client.caller,
                agent=waiter.client.agent,
                transport=waiter.client.transport,
                md5=waiter.has[key],
                is_current=waiter.has[key] == known.of(key, waiter.client),
                since=waiter.since,
            )
            for waiter in (*waiting, *answered.values())
        ]

    async def _answer(self, client: Any, question: bytes) -> None:
        """Leave the answer to another process's question where it will look for it."""
        try:
            reply, key = asking.read_question(question)
            found = await self.listening(Key(*key))
        except Exception as error:  # noqa: BLE001 - as below; the other process is told that an answer is missing
            log.warning("question about Nacos clients not answered", error=str(error))
            return
        answer = asking.written(total=len(found), rows=found[:MAX_ROWS])
        await client.pipeline(transaction=False).rpush(reply, answer).expire(reply, asking.KEPT_SECONDS).execute()

    # --- hearing of changes ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to hear of changes; calling it again does nothing."""
        if self._watching is None or self._watching.done():
            self._turn = asyncio.Lock()
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """End the watch."""
        self._ended = True  # the Redis client may swallow a cancellation
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching

    async def refresh(self) -> None:
        """Read what was released since the last time and wake those who listen to it."""
        assert self._turn is not None
        async with self._turn:
            if self._revision < 0:
                return  # there has been no request yet
            present = await self._in_thread(present_revision)
            if present < self._revision:  # another database, or an older state of it
                self._revision, changed = present, await self._in_thread(fingerprints, {*self._known, *self._waiting})
            elif present > self._revision:
                changed = await self._in_thread(released_since, self._revision)
                self._revision = present  # all up to it were committed before it was read
            else:
                return
            for key, known in changed.items():
                if key not in self._known and key not in self._waiting:
                    continue
                before, self._known[key] = self._known.get(key), known
                for waiter in list(self._waiting.get(key, ())):
                    if waiter.is_due(key, before, known):
                        waiter.tell(key)

    async def _watch(self) -> None:
        """For as long as the process lives: refresh when a notice comes, and every few seconds."""
        client = redis.asyncio.Redis.from_url(
            env.load().redis_url,
            socket_connect_timeout=REDIS_SECONDS,
            socket_timeout=REDIS_SECONDS,
            health_check_interval=30,
            retry=Retry(NoBackoff(), 0),
            client_name="posthaste",
        )
        async with client:
            while not self._ended:
                try:
                    async with client.pubsub(ignore_subscribe_messages=True) as subscription:
                        await subscription.subscribe(channel(), asking.channel())
                        while not self._ended:
                            await self._refresh_safely()
                            await self._notice(client, subscription, POLL_SECONDS * random.uniform(0.8, 1.0))
                except redis.exceptions.RedisError:
                    await self._refresh_safely()
                    await asyncio.sleep(POLL_SECONDS * random.uniform(0.8, 1.0))

    async def _notice(self, client: Any, subscription: Any, seconds: float) -> None:
        """Wait for a notice or until the time is up, and answer questions meanwhile. Several notices at once count as one."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        has_notice = False
        while has_notice or loop.time() < until:
            message = await subscription.get_message(timeout=0.0 if has_notice else max(0.0, until - loop.time()))
            if message is None:
                if has_notice:
                    return
            elif message["channel"] == asking.channel().encode():
                await self._answer(client, message["data"])
            else:
                has_notice = True

    async def _refresh_safely(self) -> None:
        try:
            await self.refresh()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the database, listening must go on
            log.warning("configuration not read for Nacos clients", error=str(error))
