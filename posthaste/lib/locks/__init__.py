"""Distributed locks: simple and re-entrant, fair, looked after while they are held, with a fencing token that writers check.

    with locks.simple("partitions") as lock:            # renewed until the block ends, however long that is
        lock.check()                                    # LockLost as soon as it is known to be gone
        fence.check(lock)                               # jobs.services: the database refuses a holder that was overtaken

    with locks.reentrant("rates", wait_seconds=5): ...  # the same thread or task may take it again

    @locks.simple("report", lease_seconds=60)           # the same as a decorator; with a lease it is not renewed
    def make_report() -> None: ...

redis-py's own lock serves neither fairness nor waking nor a list of who holds what, so the scripts are ours (see `server`).

What a lock in Redis can't do: make sure. A holder that is stopped past its lease, or whose lock went down with Redis, does not
know when it goes on. So the lock saves work, and the *token* makes it right: of two holders the later one has the larger one, and
a write with a smaller one than the database has seen is refused (Kleppmann, "How to do distributed locking", 2016). See
docs/locks.md.
"""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, ParamSpec, TypeVar

from posthaste.lib import redis
from posthaste.lib.ids import new_id
from posthaste.lib.locks import server
from posthaste.lib.locks.holding import Hold, LockLost, NotAcquired, mine, watchdog
from posthaste.lib.locks.server import Held, at_least, force_release, held

__all__ = ["Held", "Hold", "Lock", "LockLost", "NotAcquired", "at_least", "current", "force_release", "held", "reentrant", "simple"]

RENEWED_LEASE_SECONDS = 10.0  # of a lock without a lease of its own: so long the next one waits after the holder's death
WAITING_LOOK_SECONDS = 1.0  # a waiter looks so often by itself, and says that it lives
AWAY_PAUSE_SECONDS = 0.2

P = ParamSpec("P")
R = TypeVar("R")


def simple(name: str, *, lease_seconds: float | None = None, wait_seconds: float = 0.0) -> "Lock":
    """Return a lock that can't be taken twice, not even by its holder.

    Without `lease_seconds` it is renewed as long as it is held; with it, it ends by itself. Who waits is served in turn; waiting
    blocks the thread, so in an event loop do not.
    """
    return Lock(name, lease_seconds=lease_seconds, wait_seconds=wait_seconds, is_reentrant=False)


def reentrant(name: str, *, lease_seconds: float | None = None, wait_seconds: float = 0.0) -> "Lock":
    """Return a lock that its holder, a thread or an asyncio task, may take again; it is free when the first block ends."""
    return Lock(name, lease_seconds=lease_seconds, wait_seconds=wait_seconds, is_reentrant=True)


def current(name: str) -> Hold | None:
    """Return what the calling thread or task holds under that name: for functions with a lock as decorator."""
    return mine.get(_place(name))


class Lock:
    """A lock to be held, as a context manager or as a decorator. Each use is an acquisition of its own.

    One object may be shared by threads and tasks, and entered again where the lock is reentrant: each block gives back what it took.
    """

    def __init__(self, name: str, *, lease_seconds: float | None, wait_seconds: float, is_reentrant: bool) -> None:
        if lease_seconds is not None and lease_seconds <= 0:
            raise ValueError("lease_seconds: Must be above 0.")
        self.name = name
        self.lease_seconds = lease_seconds
        self.wait_seconds = wait_seconds
        self.is_reentrant = is_reentrant
        #: What each thread or task took with this object, the innermost block last. Each touches its own entry only.
        self._taken: dict[tuple[str, threading.Thread, Any], list[Hold]] = {}

    def __enter__(self) -> Hold:
        hold = self._again() or self._acquire()
        self._taken.setdefault(_place(self.name), []).append(hold)
        return hold

    def __exit__(self, *_: object) -> None:
        place = _place(self.name)
        blocks = self._taken.get(place)
        if not blocks:
            raise RuntimeError(f"{self.name}: left by a thread or task that did not take it")
        hold = blocks.pop()
        if not blocks:
            del self._taken[place]
        _release(hold)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        def fresh() -> Lock:
            return Lock(self.name, lease_seconds=self.lease_seconds, wait_seconds=self.wait_seconds, is_reentrant=self.is_reentrant)

        if iscoroutinefunction(function):

            @wraps(function)
            async def locked_task(*args: P.args, **kwargs: P.kwargs) -> Any:
                with fresh():
                    return await function(*args, **kwargs)

            return locked_task  # type: ignore[return-value]

        @wraps(function)
        def locked(*args: P.args, **kwargs: P.kwargs) -> R:
            with fresh():
                return function(*args, **kwargs)

        return locked

    def _again(self) -> Hold | None:
        """Return the hold that the caller already has, counted once more."""
        hold = mine.get(_place(self.name)) if self.is_reentrant else None
        if hold is None:
            return None
        hold.check()
        if not server.keep(self.name, holder=hold.id, count=hold.count + 1):
            hold.lost.set()
            raise LockLost(self.name)
        hold.count += 1
        return hold

    def _acquire(self) -> Hold:
        lease = RENEWED_LEASE_SECONDS if self.lease_seconds is None else self.lease_seconds
        place, identifier, owner = _place(self.name), new_id().hex, _owner()
        token, asked = self._stand_in_line(identifier, owner, max(1, int(lease * 1000)))
        hold = Hold(
            name=self.name,
            id=identifier,
            owner=owner,
            fencing_token=token,
            lease_seconds=lease,
            renews=self.lease_seconds is None,
            ends_at=asked + lease,
            thread=place[1],
            task=place[2],
        )
        mine[place] = hold
        watchdog.watch(hold)
        return hold

    def _stand_in_line(self, identifier: str, owner: str, lease_ms: int) -> tuple[int, float]:
        """Return the token, and the time from which the lease counts.

        Raises:
            NotAcquired: it was not free within `wait_seconds`.
            posthaste.lib.redis.Unavailable: Redis was away, for all of that time if there is any.
        """
        until = time.monotonic() + self.wait_seconds
        is_ours, is_known = False, False  # known: there may be something of ours in Redis
        try:
            while True:
                asked = time.monotonic()
                waits = asked < until
                try:
                    token, left_ms = server.take(self.name, holder=identifier, owner=owner, lease_ms=lease_ms, waits=waits)
                    if token:
                        is_ours = True
                        return token, asked
                    if not waits:
                        raise NotAcquired(self.name)
                    is_known = True
                    left = min(until - time.monotonic(), WAITING_LOOK_SECONDS, left_ms / 1000 + 0.005 if left_ms else WAITING_LOOK_SECONDS)
                    server.await_turn(identifier, seconds=left)
                except redis.Unavailable:
                    is_known = True  # the answer may have been lost, not the call
                    if not waits:
                        raise
                    time.sleep(min(AWAY_PAUSE_SECONDS, max(0.0, until - time.monotonic())))
        finally:
            if is_known and not is_ours:
                with suppress(redis.Unavailable):
                    server.leave(self.name, holder=identifier)


def _release(hold: Hold) -> None:
    """Frees the lock when its first block ends. What is no longer ours stays as it is."""
    hold.count -= 1
    if hold.count:
        with suppress(redis.Unavailable):
            server.keep(hold.name, holder=hold.id, count=hold.count)
        return
    watchdog.forget(hold)
    place = (hold.name, hold.thread, hold.task)
    if mine.get(place) is hold:
        del mine[place]
    try:
        if not server.release(hold.name, holder=hold.id):
            hold.lost.set()
    except redis.Unavailable:
        hold.lost.set()  # the lease ends it


def _task() -> Any:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop in this thread
        return None


def _place(name: str) -> tuple[str, threading.Thread, Any]:
    return name, threading.current_thread(), _task()


def _owner() -> str:
    task = _task()
    return ":".join((socket.gethostname(), str(os.getpid()), threading.current_thread().name, *([task.get_name()] if task else [])))
