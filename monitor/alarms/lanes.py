"""Threads that send notices: each address has a few of its own, so that one which answers slowly holds up no other.

A lane's threads are made when there is work and end when there is none. Nothing waits for them unseen: `start` refuses what has no free
thread. Only what can't be kept in the database meanwhile is queued here (`put`), up to a limit.
"""

import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import structlog
from django.db import connections

log = structlog.get_logger(__name__)
#: Sends at once to one address.
WIDTH = 2
#: Calls that wait for a thread of one address; the oldest are given up.
MAX_QUEUED = 200
Call = Callable[[], object]


@dataclass(slots=True)
class _Lane:
    busy: int = 0
    queued: deque[Call] = field(default_factory=deque)


class Lanes:
    """Lanes by address."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lanes: dict[Hashable, _Lane] = {}

    def is_free(self, key: Hashable) -> bool:
        """Return whether a call would begin at once."""
        with self._lock:
            return (lane := self._lanes.get(key)) is None or lane.busy < WIDTH

    def start(self, key: Hashable, call: Call) -> bool:
        """Run a call in a thread now; False if all threads of the address are busy, and nothing was done."""
        with self._lock:
            lane = self._lanes.setdefault(key, _Lane())
            if lane.busy >= WIDTH:
                return False
            lane.busy += 1
        self._begin(key, call)
        return True

    def put(self, key: Hashable, call: Call) -> None:
        """Run a call as soon as a thread of the address is free, after those that were put before."""
        with self._lock:
            lane = self._lanes.setdefault(key, _Lane())
            if lane.busy >= WIDTH:
                if len(lane.queued) >= MAX_QUEUED:
                    lane.queued.popleft()
                    log.error("alarm notice given up: too many wait for its receiver")
                lane.queued.append(call)
                return
            lane.busy += 1
        self._begin(key, call)

    def _begin(self, key: Hashable, call: Call) -> None:
        try:
            # Not a daemon: a process that ends lets a send end first, which another process would repeat.
            threading.Thread(target=self._work, args=(key, call), name="alarm-notice", daemon=False).start()
        except RuntimeError:  # no more threads
            with self._lock:
                self._leave(key)
            raise

    def _work(self, key: Hashable, call: Call) -> None:
        following: Call | None = call
        while following is not None:
            try:
                following()
            except Exception:
                log.exception("alarm notice: a call failed")
            finally:
                connections.close_all()
            following = self._next(key)

    def _next(self, key: Hashable) -> Call | None:
        with self._lock:
            lane = self._lanes[key]
            if lane.queued:
                return lane.queued.popleft()
            self._leave(key)
            return None

    def _leave(self, key: Hashable) -> None:
        lane = self._lanes[key]
        lane.busy -= 1
        if not lane.busy and not lane.queued:
            del self._lanes[key]
