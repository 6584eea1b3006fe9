"""Each process's watch on the configuration: a thread that hears of a publish through Redis, asks every few seconds in case it did
not hear, and tells what this process runs.
"""

import os
import random
import threading
import time
from typing import Any

import structlog
from django.db import connection
from django.utils import timezone

from configcenter.services import instances
from configcenter.services.changes import channel
from configcenter.services.loading import loader
from posthaste.lib import redis

log = structlog.get_logger(__name__)
POLL_SECONDS = 3.0
REPORT_SECONDS = 1.0
#: Longest wait for Redis: with the poll and a report between, a publish is still seen within five seconds while Redis hangs.
REDIS_SECONDS = 0.5
FIRST_LOAD_SECONDS = 6.0  # a little more than the database's own time-out
_started: set[int] = set()
_lock = threading.Lock()


def start(kind: str) -> None:
    """Bring into force what was released, and keep it so from a daemon thread; calling it again does nothing.

    It returns when the first load is over, and never fails: without a database the last snapshot counts, without that the defaults.
    """
    with _lock:
        if os.getpid() in _started:
            return
        _started.add(os.getpid())
        watch = Watch(kind)
    # In the thread, as this one may belong to an event loop, which must not ask the database.
    threading.Thread(target=watch.run, name="configuration", daemon=True).start()
    watch.loaded.wait(FIRST_LOAD_SECONDS)


def never_here() -> None:
    """Make a later `start` in this process do nothing: for tests, which say themselves what is configured."""
    _started.add(os.getpid())


class Watch:
    """The thread's work."""

    def __init__(self, kind: str) -> None:
        loader.who = instances.identity(kind)
        self.who = loader.who
        self.loaded = threading.Event()
        self._started_at = timezone.now()
        self._client = redis.short(REDIS_SECONDS)
        self._subscription: Any = None
        self._next_subscribe = self._next_poll = self._next_report = 0.0
        self._is_away = False

    def run(self) -> None:
        """Watch for as long as the process lives."""
        self._load()
        if loader.state.source != "database":
            loader.load_snapshot()
        self.loaded.set()
        log.info("configuration", kind=self.who.kind, source=loader.state.source, revision=loader.state.revision)
        while True:
            try:
                self._turn()
            except Exception:
                log.exception("configuration watch failed")
                time.sleep(REPORT_SECONDS)

    def _turn(self) -> None:
        """Whatever is due, then wait for a notice until the next thing is."""
        now = time.monotonic()
        if self._subscription is None and now >= self._next_subscribe:
            self._subscribe()
        if now >= self._next_poll:
            self._load()
        if time.monotonic() >= self._next_report:
            self._report()
            loader.save_snapshot()
        wait = max(0.0, min(self._next_poll, self._next_report) - time.monotonic())
        if self._subscription is None:
            time.sleep(min(wait, REDIS_SECONDS))
        elif self._heard(wait):
            self._load()
            self._report()

    def _load(self) -> None:
        # Jitter, so that a hundred processes do not ask in the same moment.
        self._next_poll = time.monotonic() + POLL_SECONDS * random.uniform(0.8, 1.0)
        try:
            loader.load()
            if self._is_away:
                log.info("configuration is read from the database again")
            self._is_away = False
        except Exception as error:  # noqa: BLE001 - what is in force stays, whatever is wrong with the database
            if not self._is_away:
                log.warning("configuration not read from the database, what is in force stays", error=str(error))
            self._is_away = True
        finally:
            connection.close()  # back to the pool

    def _report(self) -> None:
        self._next_report = time.monotonic() + REPORT_SECONDS
        try:
            instances.report(who=self.who, state=loader.state, started_at=self._started_at, client=self._client)
        except redis.Unavailable:
            self._next_report += 2 * REPORT_SECONDS

    def _subscribe(self) -> None:
        self._next_subscribe = time.monotonic() + REPORT_SECONDS
        subscription = self._client.pubsub(ignore_subscribe_messages=True)
        try:
            subscription.subscribe(channel())
            self._subscription = subscription
            self._next_poll = 0.0  # what was published while nobody listened
        except redis.Unavailable:
            subscription.close()

    def _heard(self, seconds: float) -> bool:
        """Whether a notice came within the time; several that came together count as one."""
        try:
            deadline = time.monotonic() + seconds
            while (message := self._subscription.get_message(timeout=max(0.0, deadline - time.monotonic()))) is None:
                if time.monotonic() >= deadline:
                    return False
            while message is not None:
                message = self._subscription.get_message(timeout=0.0)
            return True
        except redis.Unavailable:
            self._subscription.close()
            self._subscription = None
            return False
