"""HTTP entrance: everything but WebSockets and long polls.

Single messages are the hot path, and need no thread each: what gathers is checked by one or two threads, written by one, and answered by
the event loop, so that a request under load costs hardly any change of threads (see `posthaste.lib.batching`). All else is Django's: the
WSGI application in a pool of threads.
"""

import asyncio
import os
import sys
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")

from posthaste import wsgi  # noqa: I001 - sets Django up

from django.conf import settings
from django.db import connection

from messaging.api.single import Accepted, Call, NotTaken, take
from messaging.api.views.intake import LET_IN, REFUSED
from posthaste import env
from posthaste.lib.addresses import believed_ip
from posthaste.lib.wsgi_bridge import Bridge, address_of, all_of, has_small_body
from posthaste.lib.batching import Batcher, TimedOut, one_by_one

MESSAGES = {"/api/messages", "/api/messages/"}
PATIENCE_SECONDS = 30.0
MAX_CHECKED = 16  # messages that a checking thread takes at once
CHECKING_THREADS = 2  # so that one message that takes long to check does not hold up all
#: The writer of a group waits for the interpreter after each of its round trips; with Python's five milliseconds a turn that would add
#: up to more than the work.
SWITCH_SECONDS = 0.0005


class Entrance:
    """What Granian calls: `__rsgi_init__` once a process, `__rsgi__` for each request."""

    _loop: asyncio.AbstractEventLoop
    _bridge: Bridge
    _intake: "Batcher[Call, Accepted | NotTaken]"
    _more_headers: list[tuple[str, str]]

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        self._loop = loop
        self._bridge = Bridge(wsgi.application, threads=env.load().web_threads, most_bytes=settings.DATA_UPLOAD_MAX_MEMORY_SIZE, loop=loop)
        self._more_headers = [(name.lower(), value) for name, value in wsgi.security_headers()]
        self._intake = Batcher(
            one_by_one(take, after=_let_the_connection_go), threads=CHECKING_THREADS, max_batch=MAX_CHECKED, name="intake", loop=loop
        )

    def __rsgi_del__(self, _loop: asyncio.AbstractEventLoop) -> None:
        self._bridge.close()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        is_quick = scope.path in MESSAGES and scope.method == "POST" and has_small_body(scope)
        if is_quick and not wsgi.is_redirected(scope.headers.get("x-forwarded-proto", "")):
            await self._take(scope, protocol, await protocol())
        else:
            await self._bridge.answer(scope, protocol)

    async def _take(self, scope: Any, protocol: Any, body: bytes) -> None:
        header = scope.headers.get
        call = Call(
            path=scope.path,
            authorization=header("authorization", ""),
            ip=believed_ip(remote=address_of(scope), forwarded_for=all_of(scope, "x-forwarded-for")),
            content_type=header("content-type", ""),
            idempotency_key=header("idempotency-key"),
            body=body,
        )
        future = self._intake.submit_async(call)
        patience = self._loop.call_later(PATIENCE_SECONDS, _give_up, future)
        outcome = await future
        patience.cancel()
        if isinstance(outcome, Accepted):
            protocol.response_bytes(202, [*outcome.headers, *self._more_headers], outcome.body)
        else:
            await self._bridge.answer(scope, protocol, body, more={REFUSED: outcome.error, LET_IN: outcome.is_counted})


def _give_up(future: "asyncio.Future[Accepted | NotTaken]") -> None:
    if not future.done():
        future.set_result(NotTaken(TimedOut()))


def _let_the_connection_go() -> None:
    if connection.connection is not None:
        connection.close()  # back to the pool


application = Entrance()
