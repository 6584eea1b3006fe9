"""Calls in progress towards a provider: never more at once than its cap, over all processes that send.

Each call in progress is a lease of the limiter's (kind 'l' of `enter.lua`), which the keeper thread renews while the process lives:
the leases of a killed process run out. A thread holds one lease for all calls of a chunk, which it makes one after the other, so a
lease costs one round trip a chunk, and is given back with the next call of the script.

Of a process's threads that wait for a lease of the same name only the first one asks: a hundred of them cost no more than one.
"""

import os
import threading
import time
from typing import Any

from posthaste.lib import redis
from posthaste.lib.flow.limiter import Limiter, Pass
from posthaste.lib.flow.model import Answer
from posthaste.lib.flow.rules import LEASE_SECONDS, Check, Label, Plan

LOOK_AGAIN_SECONDS = 0.02


class ConcurrencyLeases(Limiter):
    """One a process; beside the limiter of what comes in, whose processes are others."""

    group = "senders"

    def _start(self) -> None:
        super()._start()
        self._alone_since = 0.0
        self._own: dict[str, str] = {}  # lease → key, taken while Redis was away
        self._own_lock = threading.Lock()
        self._queues: dict[str, threading.Lock] = {}

    def take(self, name: str, *, at_once: int, max_wait_seconds: float) -> Pass | None:
        """Wait for a lease and return it, to be given back with `leave`; None: there was none in that time."""
        plan = _plan(self.space, name, at_once)
        until = time.monotonic() + max_wait_seconds
        queue = self._queues.setdefault(name, threading.Lock())
        if not queue.acquire(timeout=max(0.0, max_wait_seconds)):
            return None
        try:
            while True:
                passed = self.enter(plan)
                if passed.allowed:
                    return passed
                if time.monotonic() + LOOK_AGAIN_SECONDS >= until:
                    return None
                time.sleep(LOOK_AGAIN_SECONDS)
        finally:
            queue.release()

    def leave(self, passed: Pass) -> None:
        if passed.is_local:
            with self._own_lock:
                self._own.pop(passed.lease, None)
        else:
            super().leave(passed)

    def _noticed(self, error: Exception) -> None:
        if not self._is_away:
            self._alone_since = time.monotonic()
        super()._noticed(error)

    def _locally(self, plan: Plan, cost: int, urgent: bool, lease: str) -> Pass:
        """Without Redis: the process's share, and nothing before the leases that Redis gave have run out, as their calls may go on."""
        key, most = plan.lease_keys[0], int(plan.checks[0].limit)
        whole, rest = divmod(most, self.local.processes)
        share = whole + (self.rank < rest)
        with self._own_lock:
            held = sum(1 for at in self._own.values() if at == key) + sum(1 for keys, _since in list(self._held.values()) if key in keys)
            allowed = time.monotonic() - self._alone_since >= LEASE_SECONDS and held < share
            if allowed:
                self._own[lease] = key
        return Pass(plan, Answer(int(allowed), 0, 1, 0, 0), lease, is_local=True)


_plans: dict[tuple[Any, ...], Plan] = {}


def _plan(space: str, name: str, at_once: int) -> Plan:
    found = _plans.get((space, name, at_once))
    if found is None:
        key = redis.key("flow", "leases", *([space] if space else []), name)
        check = Check(key, "l", at_once, LEASE_SECONDS * 1_000_000, 0, 0, 0.0, 0.0, 0, 0)
        found = _plans[space, name, at_once] = Plan((check,), (Label(name, "at-once", at_once, 0),), (key,), "")
    return found


concurrency_leases = ConcurrencyLeases()
os.register_at_fork(after_in_child=concurrency_leases._start)
