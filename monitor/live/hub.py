"""From one subscription to all viewers of this process: what comes from Redis is kept once and sent to each at its own speed.

A viewer has no queue. When it is ready it gets what is newest: only what is new if it has missed little, else everything. So one that
reads slowly, or not at all, delays no other and takes no memory; after `WRITE_SECONDS` its connection ends. Nothing runs while there is
no viewer. Without a frame for two seconds, Redis or the computing process being away, viewers are told that their figures are old.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import time
from typing import Any

import redis.asyncio
import structlog
from channels.db import DatabaseSyncToAsync
from django.utils import timezone

from monitor.live.boards import MAX_MISSED, Board
from monitor.live.computer import Computer, channel, name_of, snapshots_key, tenant_of
from posthaste.lib import fanout

log = structlog.get_logger(__name__)
AWAY = '{"status":"away"}'
EVERY_SECONDS = 1.0
#: After the begin of a second: by then the processes have published what they counted in the one before.
OFFSET_SECONDS = 0.3
WRITE_SECONDS = 5.0
SILENT_SECONDS = 3.0


class Viewer:
    """One connection, and the number of the frame that it has last got."""

    def __init__(self, *, tenant_id: int | None, send: Callable[[str], Awaitable[None]], is_confirmed: Callable[[], bool]) -> None:
        self.tenant_id = tenant_id
        self._send, self._is_confirmed = send, is_confirmed
        self._news = asyncio.Event()
        self._number = 0

    def wake(self) -> None:
        """Say that there is something new."""
        self._news.set()

    async def watch(self, board: Board) -> None:
        """Send what is newest whenever there is something new, until cancelled.

        Raises:
            TimeoutError: the connection has taken nothing for `WRITE_SECONDS`.
        """
        while True:
            await self._news.wait()
            self._news.clear()
            if not (board.is_fresh and self._is_confirmed()):
                body = AWAY
            elif board.is_whole and board.number != self._number:
                body, self._number = board.after(self._number), board.number
            else:
                continue
            async with asyncio.timeout(WRITE_SECONDS):
                await self._send(body)


class Hub(fanout.Hub):
    """The viewers of this process, and the tasks that serve them while there are any."""

    silent_seconds = SILENT_SECONDS

    def __init__(self) -> None:
        super().__init__()
        self._viewers: dict[int | None, set[Viewer]] = {}
        self._boards: dict[int | None, Board] = {}
        self._number = 0
        self._computer = Computer()
        #: A thread of its own: the figures take as long as Redis lets them, and nothing else must wait for that.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live")

    @property
    def is_used(self) -> bool:
        return bool(self._viewers)

    def channel(self) -> str:
        return channel()

    async def serve(self, viewer: Viewer) -> None:
        """Serve a viewer until cancelled.

        Raises:
            TimeoutError: as `Viewer.watch`.
        """
        tenant_id = viewer.tenant_id
        board = self._boards.setdefault(tenant_id, Board())
        self._viewers.setdefault(tenant_id, set()).add(viewer)
        self.start()
        viewer.wake()
        try:
            await viewer.watch(board)
        finally:
            self._viewers[tenant_id].discard(viewer)
            if not self._viewers[tenant_id]:
                del self._viewers[tenant_id], self._boards[tenant_id]

    async def take_turns(self) -> None:
        """Once a second: compute if it is this process's part, and tell viewers whose figures have become old."""
        turn = DatabaseSyncToAsync(self._computer.turn, thread_sensitive=False, executor=self._thread)
        while self.is_used:
            try:
                await turn(list(self._viewers), now=timezone.now())
            except Exception as error:  # noqa: BLE001 - whatever is away, the next turn tries again
                log.warning("no live figures", error=str(error))
            for tenant_id, board in list(self._boards.items()):
                if not board.is_fresh:
                    self._wake(tenant_id)
            await asyncio.sleep(EVERY_SECONDS - (time() - OFFSET_SECONDS) % EVERY_SECONDS)
        with suppress(Exception):
            await DatabaseSyncToAsync(self._computer.leave, thread_sensitive=False, executor=self._thread)()

    def _wake(self, tenant_id: int | None) -> None:
        for viewer in self._viewers.get(tenant_id, ()):
            viewer.wake()

    async def hear(self, client: "redis.asyncio.Redis", frame: bytes) -> None:
        first, *lines = frame.split(b"\n")
        number = int(first)
        if not 0 < number - self._number <= MAX_MISSED:  # the past has a hole, or Redis has lost it and counts anew
            for board in self._boards.values():
                board.is_whole = False
        self._number = number
        for fields in (line.split(b"\t") for line in lines if line):
            tenant_id = tenant_of(fields[0].decode())
            watched = self._boards.get(tenant_id)
            if watched is None:
                continue
            watched.hear(number, fields[1:])
            if not watched.is_whole:
                kept: Any = await client.hget(snapshots_key(), name_of(tenant_id))
                watched.fill(kept.split(b"\t")[1:] if kept else fields[1:])
            self._wake(tenant_id)


hub = Hub()
