"""Keep each process's configuration current, from one background thread.

The thread receives notices of a publish through Redis, polls the database every few seconds in case one was lost, and reports what this
process runs. Without Redis polling continues; without the database the last values stay in force.
"""

import os
import random
import threading
import time
from typing import Any

import structlog
from django.db import close_old_connections
from django.utils import timezone

from configcenter.services import instances
from configcenter.services.changes import channel
from configcenter.services.loading import loader
from posthaste.lib import redis

log = structlog.get_logger(__name__)
POLL_SECONDS = 4.0
POLL_ALONE_SECONDS = 3.0  # while no notices come
REPORT_SECONDS = 3.4  # where nothing has changed: with the poll, so that an idle process wakes once for both
RETRY_SECONDS = 1.0
#: Longest wait for Redis: with the poll and a report between, a publish is still seen within five seconds while Redis hangs.
REDIS_SECONDS = 0.5
FIRST_LOAD_SECONDS = 6.0  # a little more than the database's own time-out
_started: set[int] = set()
_lock = threading.Lock()


def start(kind: str) -> None:
    """Apply the released configuration and keep it current from a daemon thread. Calling it again does nothing.

    Returns after the first load and never fails: without a database the last snapshot is used, without a snapshot the defaults.
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
    """Make a later `start` in this process do nothing: for tests, which set the configuration themselves."""
    _started.add(os.getpid())


class Watch:
    """The work of the background thread."""

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
                time.sleep(RETRY_SECONDS)

    def _turn(self) -> None:
        """Do what is due, then wait for a notice until the next thing is due."""
        now = time.monotonic()
        if self._subscription is None and now >= self._next_subscribe:
            self._subscribe()
        if now >= self._next_poll:
            before = loader.state
            self._load()
            if loader.state != before:
                self._next_report = 0.0
        if time.monotonic() >= self._next_report:
            self._report()
            loader.save_snapshot()
        # A report may wait for the poll, but not for long: it is gone after eight seconds.
        wait = max(0.0, min(self._next_poll, self._next_report + 0.6) - time.monotonic())
        if self._subscription is None:
            time.sleep(min(wait, REDIS_SECONDS))
        elif self._heard(wait):
            self._load()
            self._report()

    def _load(self) -> None:
        # Jitter, so that a hundred processes do not ask in the same moment.
        usual = POLL_SECONDS if self._subscription is not None else POLL_ALONE_SECONDS
        self._next_poll = time.monotonic() + usual * random.uniform(0.85, 1.0)
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
            close_old_connections()  # back to the pool

    def _report(self) -> None:
        self._next_report = time.monotonic() + REPORT_SECONDS
        try:
            instances.report(who=self.who, state=loader.state, started_at=self._started_at, client=self._client)
        except redis.Unavailable:
            self._next_report = time.monotonic() + POLL_SECONDS

    def _subscribe(self) -> None:
        self._next_subscribe = time.monotonic() + RETRY_SECONDS
        subscription = self._client.pubsub(ignore_subscribe_messages=True)
        try:
            subscription.subscribe(channel())
            self._subscription = subscription
            self._next_poll = 0.0  # for what was published while there was no subscription
        except redis.Unavailable:
            subscription.close()

    def _heard(self, seconds: float) -> bool:
        """Return whether a notice came within the time. Several notices at once count as one."""
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
