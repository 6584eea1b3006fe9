"""How a socket begins and ends: it is admitted or refused, the client leaves, we close it with a code, or one of its tasks fails."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import structlog

from routing.sockets.hub import in_thread

log = structlog.get_logger(__name__)
Send = Callable[[dict[str, Any]], Awaitable[None]]
REFUSED, TOO_MANY, TOO_SLOW = 4401, 4429, 1013
CLOSE_SECONDS = 2.0


class Gone(Exception):
    """The client has left."""


class Closing(Exception):
    """The socket has to be closed, with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


async def admit(receive: Callable[[], Awaitable[dict[str, Any]]], send: Send, check: Callable[[], bool], *, refusal: int) -> bool:
    """Accept a connection if a check, which asks the database, allows it; else close it with the code of the refusal."""
    assert (await receive())["type"] == "websocket.connect"
    try:
        is_allowed = await in_thread(check)
    except Exception as error:  # noqa: BLE001 - the database is away: the client comes again
        log.warning("a socket could not be opened", error=str(error))
        await send({"type": "websocket.close", "code": TOO_SLOW})
        return False
    await send({"type": "websocket.accept"} if is_allowed else {"type": "websocket.close", "code": refusal})
    return is_allowed


async def run_until_one_ends(*work: Callable[[], Coroutine[Any, Any, object]], ended: asyncio.Event) -> None:
    """Push and read until one of them ends, or `ended` is set.

    Raises:
        Closing: we end it.
    """
    tasks = {asyncio.ensure_future(each()) for each in (*work, ended.wait)}
    try:
        done, _pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # a close is sent only when nothing waits for the client any more
    for task in done:
        error = task.exception()
        if isinstance(error, TimeoutError):
            raise Closing(TOO_SLOW)
        if isinstance(error, Gone):
            return
        if error is not None:
            raise error
    if ended.is_set():
        raise Closing(REFUSED)


async def close(send: Send, code: int, *, last: str = "") -> None:
    """Close a socket, after a last frame if there is one; a client that takes nothing is not waited for."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            if last:
                await send({"type": "websocket.send", "text": last})
            await send({"type": "websocket.close", "code": code})
