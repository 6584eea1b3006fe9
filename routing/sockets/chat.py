"""`/ws/chat/<entrance>/`: a visitor's socket. The frames are described in docs/portal-chat.md.

The first frame carries the session's token and the last line that the visitor has. From there two tasks run: one reads what the visitor
sends, the other sends the lines that the visitor lacks, whenever there is something new (see `hub`). What a visitor writes is stored
before it is answered with `accepted`; the line itself comes back, with its number, once it is in the conversation.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import orjson
import structlog
from django.utils import timezone, translation

from posthaste.lib import languages
from posthaste.lib.addresses import client_ip_behind_proxies
from posthaste.lib.problem_responses import from_exception
from posthaste.lib.problems import Internal, Invalid, Problem
from routing.conversations import notices
from routing.entrances.portal import frames, origins, sessions, writing
from routing.entrances.portal.frames import Position
from routing.entrances.portal.incoming_frames import Hello, LineIn, ReadIn, TypingIn, read_frame
from routing.models import PortalSession
from routing.sockets import beats
from routing.sockets.ends import REFUSED, TOO_MANY, Closing, Gone, Send, admit, close, run_until_one_ends
from routing.sockets.hub import hub, in_thread

log = structlog.get_logger(__name__)
FOREIGN, SILENT = 4403, 4408
HELLO_SECONDS = 10.0
WRITE_SECONDS = 5.0
AGAIN_SECONDS = 1.0
#: Sockets of one session in this process, such as tabs of a browser.
MAX_SOCKETS = 8
#: Frames of a visitor in any ten seconds; lines have limits of their own.
MAX_FRAMES, FRAMES_SECONDS = 100, 10.0


class ChatSocket:
    """One connection of a visitor."""

    identity_id: UUID
    session_id: UUID

    def __init__(self, scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
        self._receive, self._send = receive, send
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        remote = (scope.get("client") or ("127.0.0.1", 0))[0]
        self._ip = client_ip_behind_proxies(remote=remote, forwarded_for=headers.get("x-forwarded-for", ""))
        self._origin, self._host = headers.get("origin", ""), headers.get("host", "")
        self._language = languages.negotiate(headers.get("accept-language", ""))
        self._entrance_id: UUID = scope["url_route"]["kwargs"]["entrance"]
        self._news, self._ended = asyncio.Event(), asyncio.Event()
        self._writing = asyncio.Lock()
        self._typing: str | None = None
        self._position: Position | None = None
        self._state: dict[str, Any] = {}
        self._session: PortalSession
        self._frames: list[float] = []

    # --- for the hub ---------------------------------------------------------------------------------------------

    def wake(self) -> None:
        self._news.set()

    def typing(self, name: str) -> None:
        self._typing = name
        self._news.set()

    def end(self) -> None:
        self._ended.set()

    # --- its life ------------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Serve the connection until either side ends it."""
        if not await admit(self._receive, self._send, self._is_allowed, refusal=FOREIGN):
            return
        code: int | None = None
        try:
            await self._begin()
            hub.add(self)
            await run_until_one_ends(self._push, self._read, self._beat, ended=self._ended)
        except Closing as closing:
            code = closing.code
        finally:
            if hasattr(self, "identity_id"):
                hub.remove(self)
        if code is not None:
            await close(self._send, code)

    def _is_allowed(self) -> bool:
        try:
            entrance = sessions.entrance_of(self._entrance_id)
        except Problem:
            return False
        return origins.is_allowed(self._origin, sites=sessions.settings_of(entrance).sites, host=self._host)

    async def _begin(self) -> None:
        """Read the first frame and find its session.

        Raises:
            Closing: none came in time, or its token is no good.
        """
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                hello = read_frame(await self._next())
        except TimeoutError:
            raise Closing(SILENT) from None
        except Invalid as problem:
            await self._tell(self._problem(problem))
            raise Closing(REFUSED) from None
        if not isinstance(hello, Hello):
            raise Closing(REFUSED)
        try:
            self._session = await in_thread(sessions.find, self._entrance_id, hello.token, now=timezone.now())
        except Problem as problem:
            await self._tell(self._problem(problem))
            raise Closing(REFUSED) from None
        self.identity_id, self.session_id = self._session.identity_id, self._session.pk
        if hub.number_of(self.session_id, self.identity_id) >= MAX_SOCKETS:
            raise Closing(TOO_MANY)
        if hello.conversation is not None:
            self._position = Position(hello.conversation, hello.after)
        self._news.set()

    # --- towards the visitor -------------------------------------------------------------------------------------

    async def _push(self) -> None:
        """Send what the visitor lacks, whenever there is something new."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._typing is not None:
                name, self._typing = self._typing, None
                await self._tell(frames.typing_frame(name, at=timezone.now()))
            try:
                await self._catch_up()
            except (TimeoutError, Gone):
                raise
            except Exception as error:  # noqa: BLE001 - the database is away: the next look tries again
                log.warning("a chat could not be brought up to date", error=str(error))
                asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._news.set)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(beats.SECONDS)
            await self._tell(beats.BEAT)

    async def _catch_up(self) -> None:
        while True:
            found = await in_thread(frames.lines_after, self._session, self._position)
            for line in found:
                await self._tell(frames.line_frame(line))
                self._position = Position(line.conversation_id, line.seq)
            if len(found) < frames.PAGE:
                break
        state = await in_thread(frames.state_of, self._session, now=timezone.now())
        if state != self._state:
            await self._tell(state)
            self._state = state

    async def _tell(self, frame: dict[str, Any]) -> None:
        """Send a frame.

        Raises:
            TimeoutError: the connection has taken nothing for `WRITE_SECONDS`.
        """
        async with self._writing, asyncio.timeout(WRITE_SECONDS):
            await self._send({"type": "websocket.send", "text": orjson.dumps(frame).decode()})

    def _problem(self, problem: Problem, **more: Any) -> dict[str, Any]:
        with translation.override(self._language):
            told = problem.as_dict()
        wait = problem.headers.get("Retry-After")
        return {**told, "type": "error", "about": told["type"], **({"retry_after": int(wait)} if wait else {}), **more}

    # --- from the visitor ----------------------------------------------------------------------------------------

    async def _next(self) -> str | bytes:
        """Return the next frame.

        Raises:
            Gone: the visitor has left.
        """
        event = await self._receive()
        if event["type"] != "websocket.receive":
            raise Gone
        text = event.get("text")
        return text if text is not None else event.get("bytes") or b""

    async def _read(self) -> None:
        while True:
            raw = await self._next()
            self._count()
            client_id = ""
            try:
                frame = read_frame(raw)
                client_id = getattr(frame, "client_id", "")
                await self._take(frame)
            except Exception as error:  # a wrong frame, a limit, or the database is away: all are told, and the socket goes on
                problem = from_exception(error)
                if problem is None:
                    if isinstance(error, TimeoutError):
                        raise
                    log.exception("a frame failed")
                    problem = Internal()
                await self._tell(self._problem(problem, **({"client_id": client_id} if client_id else {})))

    def _count(self) -> None:
        clock = time.monotonic()
        self._frames = [*(at for at in self._frames if clock - at < FRAMES_SECONDS), clock]
        if len(self._frames) > MAX_FRAMES:
            raise Closing(TOO_MANY)

    async def _take(self, frame: "Hello | LineIn | TypingIn | ReadIn") -> None:
        match frame:
            case LineIn():
                stored = await in_thread(
                    writing.write_line,
                    self._session,
                    client_id=frame.client_id,
                    text=frame.text,
                    file_ids=frame.files,
                    ip=self._ip,
                    now=timezone.now(),
                )
                await self._tell({"type": "accepted", "client_id": frame.client_id, "known": not stored.is_new})
            case TypingIn():
                if (conversation := self._state.get("conversation")) is not None:
                    await in_thread(notices.typing, UUID(conversation), self.identity_id, author="customer")
            case ReadIn():
                await in_thread(writing.read_up_to, self._session, seq=frame.seq)


async def chat(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve one connection."""
    with suppress(Gone):
        await ChatSocket(scope, receive, send).serve()
