"""Those who wait for changes: each a future in the event loop, no thread and no query.

One task of the process hears of publishes through Redis, and asks every three seconds in case it did not hear, or Redis is away. It
then reads in one query what was released since the last revision it saw, and wakes those who listen to that. What it knows of an
item's fingerprint stays true until a later release says otherwise, so a client that asks again costs no query either.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import redis.asyncio
import structlog
from django.db.models import Q
from django.utils.translation import gettext as _
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from configcenter.models import ConfigItem, ConfigRelease, ConfigState
from configcenter.nacos.items import default_of
from configcenter.services.changes import channel, md5_of
from configcenter.services.namespaces import Place
from posthaste import env
from posthaste.lib.problems import TooMany

log = structlog.get_logger(__name__)
POLL_SECONDS = 3.0
REDIS_SECONDS = 1.0
MAX_KNOWN = 100_000  # fingerprints in memory
MAX_WAITING = 20_000  # listeners of a process
MAX_WAITING_OF_ONE = 5_000  # of one caller
KEYS_A_QUERY = 500


class Key(NamedTuple):
    """What is listened to, whether it exists or not."""

    tenant_id: int | None
    slug: str
    group: str
    data_id: str


# --- what the database says; called in threads ---------------------------------------------------------------------


def present_revision() -> int:
    """Return the revision of the whole configuration."""
    return ConfigState.objects.filter(pk=ConfigState.ONLY).values_list("revision", flat=True).first() or 0


def _fingerprint(key: Key, md5: str | None) -> str:
    """Return what a listener's md5 is compared with; "" if nothing is in force."""
    if md5:
        return md5
    text = default_of(Place(key.tenant_id, key.slug), key.group, key.data_id)
    return "" if text is None else md5_of(text)


COLUMNS = ("namespace__tenant_id", "namespace__slug", "group", "data_id")


def fingerprints(keys: Iterable[Key]) -> dict[Key, str]:
    """Look up the fingerprints of what is in force, some hundred in a query."""
    by_namespace: dict[tuple[int | None, str], set[Key]] = {}
    for key in keys:
        by_namespace.setdefault((key.tenant_id, key.slug), set()).add(key)
    found: dict[Key, str] = {}
    for (tenant_id, slug), wanted in by_namespace.items():
        own = ConfigItem.objects.filter(Q(namespace__tenant_id=tenant_id), namespace__slug=slug, override_of=None)
        names = sorted({key.data_id for key in wanted})
        rows: dict[Key, str | None] = {}
        for start in range(0, len(names), KEYS_A_QUERY):
            chunk = own.filter(data_id__in=names[start : start + KEYS_A_QUERY])
            rows |= {Key(*row[:4]): row[4] for row in chunk.values_list(*COLUMNS, "current__md5")}
        found |= {key: _fingerprint(key, rows.get(key)) for key in wanted}
    return found


def released_since(revision: int) -> dict[Key, str]:
    """Return the fingerprints of all items of which something was released after a revision."""
    columns = (*(f"item__{name}" for name in COLUMNS), "item__current__md5")
    rows = ConfigRelease.objects.filter(revision__gt=revision, item__override_of=None).values_list(*columns)
    return {(key := Key(*row[:4])): _fingerprint(key, row[4]) for row in rows}


# --- who waits -----------------------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Waiter:
    """One listener: the fingerprints it has, and the future that a change makes done."""

    has: dict[Key, str]
    woken: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def wake(self) -> None:
        """End the wait."""
        if not self.woken.done():
            self.woken.set_result(None)


class Listeners:
    """All listeners of one process. Everything here runs in its event loop, except what `in_thread` is given."""

    def __init__(self, in_thread: Callable[..., Awaitable[Any]]) -> None:
        self._in_thread = in_thread
        self._waiting: dict[Key, set[Waiter]] = {}
        self._number = 0
        self._of: dict[str, int] = {}
        self._known: dict[Key, str] = {}
        self._revision = -1
        # Lookups and refreshes take turns, so that an old answer never replaces a newer one.
        self._turn: asyncio.Lock | None = None
        self._watching: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def number(self) -> int:
        """How many wait."""
        return self._number

    async def changed(self, *, actor: str, has: dict[Key, str], seconds: float, gone: "asyncio.Future[Any] | None" = None) -> set[Key]:
        """Wait until a fingerprint differs from the listener's and return the keys that differ.

        Returns at once if some differ already, and an empty list when the time is up or the client has `gone`.

        Raises:
            TooMany: more listeners than this process takes.
        """
        self._start()
        waiter = Waiter(has)
        if not seconds:
            return self._differs(waiter, await self._fingerprints(has))
        if self._number >= MAX_WAITING or self._of.get(actor, 0) >= MAX_WAITING_OF_ONE:
            raise TooMany(_("Too many clients are listening. Start another ws process."), retry_after_seconds=5)
        self._enter(actor, waiter)  # before looking: what is published from here on wakes it
        try:
            known = await self._fingerprints(has)
            if found := self._differs(waiter, known):
                return found
            watched = {waiter.woken, gone} if gone is not None else {waiter.woken}
            await asyncio.wait(watched, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return self._differs(waiter, self._known) if waiter.woken.done() else set()
        finally:
            self._leave(actor, waiter)

    @staticmethod
    def _differs(waiter: Waiter, known: dict[Key, str]) -> set[Key]:
        return {key for key, md5 in waiter.has.items() if known.get(key, md5) != md5}

    def _enter(self, actor: str, waiter: Waiter) -> None:
        self._number += 1
        self._of[actor] = self._of.get(actor, 0) + 1
        for key in waiter.has:
            self._waiting.setdefault(key, set()).add(waiter)

    def _leave(self, actor: str, waiter: Waiter) -> None:
        self._number -= 1
        self._of[actor] -= 1
        if not self._of[actor]:
            del self._of[actor]
        for key in waiter.has:
            others = self._waiting[key]
            others.discard(waiter)
            if not others:
                del self._waiting[key]

    async def _fingerprints(self, keys: Iterable[Key]) -> dict[Key, str]:
        """Return the fingerprints of these keys and look up those not known yet."""
        if all(key in self._known for key in keys):
            return self._known
        assert self._turn is not None
        async with self._turn:
            # The task that had the turn before may have looked up the same.
            missing = [key for key in keys if key not in self._known]
            if missing and len(self._known) + len(missing) > MAX_KNOWN:
                self._known = {key: md5 for key, md5 in self._known.items() if key in self._waiting}
                missing = [key for key in keys if key not in self._known]
            if missing:
                if self._revision < 0:
                    self._revision = await self._in_thread(present_revision)
                self._known |= await self._in_thread(fingerprints, missing)
            return {key: self._known[key] for key in keys}

    # --- hearing of changes ----------------------------------------------------------------------------------------

    def _start(self) -> None:
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
            for key, md5 in changed.items():
                if key not in self._known and key not in self._waiting:
                    continue
                self._known[key] = md5
                for waiter in self._waiting.get(key, ()):
                    if waiter.has[key] != md5:
                        waiter.wake()

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
                        await subscription.subscribe(channel())
                        while not self._ended:
                            await self._refresh_safely()
                            await self._notice(subscription, POLL_SECONDS * random.uniform(0.8, 1.0))
                except redis.exceptions.RedisError:
                    await self._refresh_safely()
                    await asyncio.sleep(POLL_SECONDS * random.uniform(0.8, 1.0))

    @staticmethod
    async def _notice(subscription: Any, seconds: float) -> None:
        """Wait for a notice or until the time is up. Several notices at once count as one."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0:
            if await subscription.get_message(timeout=left) is not None:
                break
        while await subscription.get_message(timeout=0.0) is not None:
            pass

    async def _refresh_safely(self) -> None:
        try:
            await self.refresh()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the database, listening must go on
            log.warning("configuration not read for Nacos clients", error=str(error))
