"""Ends WebSockets whose grant no longer holds: the key was revoked or expired, the user signed out, lost the role or was deactivated.

One task in the process checks all open connections together: when a notice comes, and every second in case one was lost. What can't be
checked, as the database is away, stays open but gets no figures.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import structlog
from channels.db import DatabaseSyncToAsync
from django.utils import timezone

from accounts.services.access_notices import channel
from accounts.services.open_connections import Grant, still_valid
from posthaste.lib.notices import Notices

log = structlog.get_logger(__name__)
CHECK_SECONDS = 1.0
#: How long a connection is served after its last check.
CONFIRMED_SECONDS = 2.0
#: A thread of its own: a check does not wait for the figures, which take as long as Redis lets them.
_thread = ThreadPoolExecutor(1, thread_name_prefix="access")


class Connection(Protocol):
    """What is checked."""

    grant: Grant
    confirmed_at: float  # by the monotonic clock

    def end(self) -> None:
        """Let it close: the grant does not hold any more."""


def is_confirmed(connection: Connection) -> bool:
    """Return whether the grant held a moment ago."""
    return time.monotonic() - connection.confirmed_at < CONFIRMED_SECONDS


class AccessWatch:
    """The open connections of this process, and the task that checks them while there are any."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self._watching: asyncio.Task[None] | None = None

    def add(self, connection: Connection) -> None:
        """Check a connection from now on; what it was opened with held a moment ago."""
        connection.confirmed_at = time.monotonic()
        self._open.add(connection)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    def remove(self, connection: Connection) -> None:
        """Check a connection no more."""
        self._open.discard(connection)

    async def check(self) -> None:
        """Look once, and end the connections whose grant no longer holds."""
        asked = {connection.grant for connection in self._open}
        began = time.monotonic()
        try:
            valid = await DatabaseSyncToAsync(still_valid, thread_sensitive=False, executor=_thread)(asked, now=timezone.now())
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the database, the next turn checks again
            log.warning("open connections not checked", error=str(error))
            return
        for connection in [each for each in self._open if each.grant in asked]:
            if connection.grant in valid:
                connection.confirmed_at = began
            else:
                self._open.discard(connection)
                connection.end()

    async def _watch(self) -> None:
        notices = Notices(channel())
        try:
            while self._open:
                await notices.wait(CHECK_SECONDS)
                await self.check()
        finally:
            await notices.close()


access_watch = AccessWatch()
