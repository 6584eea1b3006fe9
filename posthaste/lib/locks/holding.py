"""The holder's side: what a process holds, and the one thread that keeps its leases alive and looks whether they still are."""

import os
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import structlog

from posthaste.lib import redis
from posthaste.lib.locks import server

log = structlog.get_logger(__name__)
LOOK_SECONDS = 1.0  # so often each lock is looked after, or three times a lease where that is oftener


class NotAcquired(Exception):
    """The lock is held by another owner."""


class LockLost(Exception):
    """The lock is no longer held: its lease ran out, it was taken away, or Redis lost it. The next holder has a larger token."""


@dataclass(eq=False)
class Hold:
    """One acquisition of a lock. `lost` is set when the lock is known to be gone; writers pass `fencing_token` along."""

    name: str
    id: str
    owner: str
    fencing_token: int
    lease_seconds: float
    renews: bool
    ends_at: float  # monotonic; the lease lasts until then for sure
    thread: threading.Thread
    task: Any = None  # of asyncio
    count: int = 1
    lost: threading.Event = field(default_factory=threading.Event)

    @property
    def is_lost(self) -> bool:
        """Whether the lock is gone, as far as is known without asking."""
        return self.lost.is_set() or time.monotonic() >= self.ends_at

    def check(self) -> None:
        """Do nothing as long as the lock is held. It makes no call: the fence gives certainty, this only saves work.

        Raises:
            LockLost: it is not.
        """
        if self.is_lost:
            raise LockLost(self.name)

    @property
    def is_deserted(self) -> bool:
        """Whether the thread or task that should release it has ended without."""
        return not self.thread.is_alive() or (self.task is not None and self.task.done())


class Watchdog:
    """Looks after all locks of the process from one thread, which starts with the first."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Look after nothing, with a thread yet to be started: a child process has neither its parent's locks nor its threads."""
        self._change = threading.Condition()
        self._due: dict[Hold, float] = {}
        self._sleeps_until = 0.0
        self._thread: threading.Thread | None = None

    def watch(self, hold: Hold) -> None:
        """Look after a lock from now on."""
        with self._change:
            due = self._due[hold] = time.monotonic() + self._every(hold)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lock-watchdog", daemon=True)
                self._thread.start()
            elif due < self._sleeps_until:
                self._change.notify()

    def forget(self, hold: Hold) -> None:
        """Stop looking after a lock."""
        with self._change:
            self._due.pop(hold, None)

    @staticmethod
    def _every(hold: Hold) -> float:
        return min(LOOK_SECONDS, hold.lease_seconds / 3)

    def _run(self) -> None:
        while True:
            with self._change:
                now = time.monotonic()
                self._sleeps_until = min(self._due.values(), default=now + 60.0)
                if self._sleeps_until > now:
                    self._change.wait(self._sleeps_until - now)
                    self._sleeps_until = 0.0
                now = time.monotonic()
                due = [hold for hold, at in self._due.items() if at <= now]
            for hold in due:
                self._look(hold)

    def _look(self, hold: Hold) -> None:
        asked = time.monotonic()
        if hold.is_deserted:
            log.warning("a lock was never released; its lease runs out", lock=hold.name, owner=hold.owner)
            self.forget(hold)
            mine.pop((hold.name, hold.thread, hold.task), None)
            return
        try:
            is_ours = server.keep(hold.name, holder=hold.id, lease_ms=int(hold.lease_seconds * 1000) if hold.renews else 0)
        except redis.Unavailable:
            is_ours = asked < hold.ends_at  # perhaps it is back in time
        except Exception:
            log.exception("lock could not be looked after", lock=hold.name)
            is_ours = asked < hold.ends_at
        else:
            if is_ours and hold.renews:
                hold.ends_at = asked + hold.lease_seconds
        with self._change:
            if hold not in self._due:
                return  # released meanwhile
            if is_ours:
                self._due[hold] = asked + self._every(hold)
                return
            del self._due[hold]
        hold.lost.set()
        log.warning("lock lost", lock=hold.name, owner=hold.owner, fence=hold.fencing_token)


#: What this process holds, by name, thread and task.
mine: dict[tuple[str, threading.Thread, Any], Hold] = {}
watchdog = Watchdog()


def _begin_anew() -> None:
    mine.clear()
    watchdog.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)
