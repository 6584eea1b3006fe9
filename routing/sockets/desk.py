"""`/ws/desk/`: the socket of an open desk. The frames are described in docs/desk-data.md.

It needs the session of a member of staff, and ends with it. What the hub tells waits here, put together, until the connection takes it: one
that is slow misses what is no longer true, delays no other, and is closed when it takes nothing at all.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import orjson
import structlog
from django.utils import timezone

from accounts.selectors import as_staff, get_staff
from accounts.services.open_connections import StaffGrant
from posthaste.lib.problems import Problem
from routing.conversations import notices
from routing.desk import opening, telling, viewing
from routing.desk.seats import Seat, seat_of
from routing.models import Notice
from routing.sockets import beats
from routing.sockets.desk_hub import hub
from routing.sockets.ends import REFUSED, TOO_MANY, Closing, Gone, Send, admit, close, run_until_one_ends
from routing.sockets.hub import in_thread

log = structlog.get_logger(__name__)
WRITE_SECONDS = 5.0
#: What a page is told before its socket is closed for good.
ENDED = '{"type":"ended"}'
#: Desks of one session in this process, such as tabs of a browser.
MAX_DESKS = 8
MAX_FRAMES, FRAMES_SECONDS = 100, 10.0
MAX_FRAME = 2_000
#: Conversations named in a frame; of more, all are to be read again.
MAX_NAMED = 200
MAX_WAITING = 50


class DeskSocket:
    """One open desk."""

    seat: Seat
    grant: StaffGrant
    viewer: viewing.Viewer
    watched: UUID | None = None
    seated_at = 0.0

    def __init__(self, scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._news, self._ended = asyncio.Event(), asyncio.Event()
        self._changed: set[UUID] = set()
        self._is_all = False
        self._counts: dict[str, int] | None = None
        self._last_counts: dict[str, int] | None = None
        self._waiting: deque[dict[str, Any]] = deque(maxlen=MAX_WAITING)
        self._noticed: dict[UUID, float] = {}
        self._viewed_by: list[str] = []
        self._identity_id: UUID | None = None
        self._frames: deque[float] = deque(maxlen=MAX_FRAMES + 1)

    # --- for the hub ---------------------------------------------------------------------------------------------

    def changed(self, conversation_ids: Iterable[UUID], *, is_all: bool = False) -> None:
        self._changed.update(conversation_ids)
        self._is_all = self._is_all or is_all
        if self._changed or self._is_all:
            self._news.set()

    def counted(self, counts: dict[str, int]) -> None:
        if counts != self._last_counts:
            self._counts = counts
            self._news.set()

    def noticed(self, notices: Sequence[Notice]) -> None:
        for notice in notices:
            if notice.pk not in self._noticed:
                self._noticed[notice.pk] = time.monotonic()
                self.tell({"type": "notice", "notice": telling.shape_of(notice)})
        for pk in [pk for pk, at in self._noticed.items() if time.monotonic() - at > 600]:
            del self._noticed[pk]

    def viewed_by(self, conversation_id: UUID, names: list[str]) -> None:
        if names != self._viewed_by:
            self._viewed_by = names
            self.tell({"type": "viewing", "conversation": str(conversation_id), "agents": names})

    def tell(self, frame: dict[str, Any]) -> None:
        self._waiting.append(frame)
        self._news.set()

    def seat_anew(self, seat: Seat) -> None:
        self.seat, self.seated_at = seat, time.monotonic()

    def end(self) -> None:
        self._ended.set()

    # --- its life ------------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Serve the connection until either side ends it."""
        if not await admit(self._receive, self._send, self._sit_down, refusal=REFUSED):
            return
        code: int | None = None
        if hub.number_of(self.grant.session_key) >= MAX_DESKS:
            await close(self._send, TOO_MANY)
            return
        try:
            hub.add(self)
            self.tell({"type": "hello", "at": timezone.now().isoformat()})
            await run_until_one_ends(self._push, self._read, self._beat, ended=self._ended)
        except Closing as closing:
            code = closing.code
        finally:
            hub.remove(self)
            await self._watch(None)
        if code is not None:
            await close(self._send, code, last=ENDED if code == REFUSED else "")

    def _sit_down(self) -> bool:
        claimed = as_staff(self._scope.get("user"))
        user = get_staff(claimed.pk) if claimed else None
        if user is None:
            return False
        wanted = parse_qs(self._scope.get("query_string", b"").decode("latin-1")).get("tenant", [""])[0]
        try:
            seat = seat_of(user, tenant_id=int(wanted) if wanted.isdecimal() and len(wanted) < 10 else None)
        except Problem:
            return False
        self.seat_anew(seat)
        self.grant = StaffGrant(session_key=self._scope["session"].session_key, user_id=user.pk, tenant_id=seat.tenant_id)
        self.viewer = opening.viewer_of(seat)
        return True

    # --- towards the page ----------------------------------------------------------------------------------------

    async def _push(self) -> None:
        """Send what waits, whenever there is something.

        Raises:
            TimeoutError: the connection has taken nothing for `WRITE_SECONDS`.
        """
        while True:
            await self._news.wait()
            self._news.clear()
            for frame in self._take():
                async with asyncio.timeout(WRITE_SECONDS):
                    await self._send({"type": "websocket.send", "text": orjson.dumps(frame).decode()})

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(beats.SECONDS)
            self.tell(beats.BEAT)

    def _take(self) -> list[dict[str, Any]]:
        """Return the frames that wait, what has changed last and in one."""
        frames = list(self._waiting)
        self._waiting.clear()
        if self._changed or self._is_all or self._counts is not None:
            is_all = self._is_all or len(self._changed) > MAX_NAMED
            named = [] if is_all else [str(pk) for pk in self._changed]
            counted = {"counts": self._counts} if self._counts is not None else {}
            frames.append({"type": "changed", "conversations": named, "all": is_all, **counted})
            self._last_counts = self._counts or self._last_counts
            self._changed, self._is_all, self._counts = set(), False, None
        return frames

    # --- from the page -------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            event = await self._receive()
            if event["type"] != "websocket.receive":
                raise Gone
            self._count()
            text = event.get("text") or ""
            try:
                frame = orjson.loads(text) if len(text) <= MAX_FRAME else None
                await self._obey(frame if isinstance(frame, dict) else {})
            except (orjson.JSONDecodeError, ValueError, TypeError):
                log.info("a frame of a desk was not understood")
            except TimeoutError:
                raise
            except Exception as error:  # noqa: BLE001 - the database is away: the desk goes on
                log.warning("a frame of a desk failed", error=str(error))

    def _count(self) -> None:
        clock = time.monotonic()
        self._frames.append(clock)
        if len(self._frames) > MAX_FRAMES and clock - self._frames[0] < FRAMES_SECONDS:
            raise Closing(TOO_MANY)

    async def _obey(self, frame: dict[str, Any]) -> None:
        named = frame.get("conversation")
        match frame.get("type"):
            case "watch":
                await self._watch(UUID(str(named)) if named else None)
            case "typing" if self.watched is not None and str(named) == str(self.watched) and self._identity_id is not None:
                await in_thread(
                    notices.typing,
                    self.watched,
                    self._identity_id,
                    author="note" if frame.get("is_note") else "agent",
                    name=self.viewer.name,
                    agent_id=self.seat.agent_id,
                )

    async def _watch(self, conversation_id: UUID | None) -> None:
        """Look at a conversation from now on, and no more at the one before."""
        before = self.watched
        if before == conversation_id:
            return
        identity_id = None
        if conversation_id is not None:
            identity_id = await in_thread(self._identity_of, conversation_id)
            if identity_id is None:
                conversation_id = None
        self.watched, self._identity_id, self._viewed_by = conversation_id, identity_id, []
        if before is not None and not hub.is_watched(before, self.viewer.id):
            await in_thread(viewing.look_away, self.viewer, before)
        if conversation_id is not None:
            await in_thread(viewing.look, self.viewer, [conversation_id], at=time.time())
        for pk in {before, conversation_id}:
            if pk is not None:
                await in_thread(notices.viewing, pk)

    def _identity_of(self, conversation_id: UUID) -> UUID | None:
        try:
            return opening.readable_conversation(conversation_id, self.seat).identity_id
        except Problem:
            return None


async def desk(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve one connection."""
    with suppress(Gone):
        await DeskSocket(scope, receive, send).serve()
