"""HTTP entrance: everything but WebSockets and long polls.

Single messages are the hot path and need no thread each: what gathers is checked by one or two threads, written by one, and answered by
the event loop, so that a request under load costs hardly any change of threads (see `posthaste.lib.batching`). All else is Django's: the
WSGI application in a pool of threads.

What if something goes wrong: every problem with a single message is answered here, in the caller's language, and a message that is
stored too late is answered 503, as it is not known whether it will be.
"""

import asyncio
import os
import sys
import time
from functools import partial
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")

from posthaste import wsgi  # noqa: I001 - sets Django up

from django.conf import settings

from messaging.api.single import Accepted, Call, Checked, Refused, receive, refused
from posthaste import env
from posthaste.lib import garbage, hosts, languages, late_writes
from posthaste.lib.addresses import client_ip_behind_proxies
from posthaste.lib.batching import Batcher, Handler, TimedOut, one_by_one
from posthaste.lib.body_reading import SlowBody
from posthaste.lib.jsonbodies import USUAL_ACCEPT
from posthaste.lib.problem_responses import reply_to
from posthaste.lib.request_counts import MESSAGES as HANDED_OVER
from posthaste.lib.request_counts import counted, request_counts
from posthaste.lib.wsgi_bridge import Bridge, address_of, all_of, has_small_body, small_body

MESSAGES = {"/api/messages", "/api/messages/"}
TIMEOUT_SECONDS = 30.0
CHECKING_THREADS = 2  # so that one message that takes long to check does not hold up all
MAX_CHECKED = 16  # messages that a checking thread takes at once
#: The writer of a group waits for the interpreter after each of its round trips; with Python's five milliseconds a turn that would add
#: up to more than the work.
SWITCH_SECONDS = 0.0005


class Entrance:
    """What Granian calls: `__rsgi_init__` once a process, `__rsgi__` for each request."""

    _loop: asyncio.AbstractEventLoop
    _bridge: Bridge
    _intake: "Batcher[Call, Accepted | Refused | Checked]"
    _accepted_headers: list[tuple[str, str]]
    _refused_headers: list[tuple[str, str]]

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        wsgi.start()
        self._loop = loop
        application, max_bytes = counted(wsgi.application), settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        self._bridge = Bridge(application, threads=env.load().web_threads, max_bytes=max_bytes, loop=loop, refuse=self._refuse)
        self._accepted_headers = wsgi.security_headers()
        self._refused_headers = wsgi.security_headers(refused=True)
        handle: Handler[Call, Accepted | Refused | Checked] = one_by_one(receive, after=wsgi.close_connection)
        self._intake = Batcher(handle, threads=CHECKING_THREADS, max_batch=MAX_CHECKED, name="intake", loop=loop)

    def __rsgi_del__(self, _loop: asyncio.AbstractEventLoop) -> None:
        self._bridge.close()
        self._intake.close(wait=False)
        late_writes.finish()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        is_quick = scope.path in MESSAGES and scope.method == "POST" and has_small_body(scope) and hosts.is_allowed(_host_of(scope))
        if is_quick and not wsgi.is_redirected(scope.headers.get("x-forwarded-proto", "")):
            try:
                body = await small_body(protocol)
            except SlowBody as error:
                protocol.response_bytes(*self._refuse(error))
                return
            await self._receive(scope, protocol, body)
        else:
            await self._bridge.answer(scope, protocol)

    def _refuse(self, error: Exception) -> tuple[int, list[tuple[str, str]], bytes]:
        reply = reply_to(error, language=settings.LANGUAGE_CODE)
        return reply.status, [*reply.headers, *self._refused_headers], reply.body

    async def _receive(self, scope: Any, protocol: Any, body: bytes) -> None:
        began = time.perf_counter()
        header = scope.headers.get
        accept = header("accept", "")
        call = Call(
            path=scope.path,
            authorization=header("authorization", ""),
            ip=client_ip_behind_proxies(remote=address_of(scope), forwarded_for=all_of(scope, "x-forwarded-for")),
            accept=accept if accept in USUAL_ACCEPT else all_of(scope, "accept"),
            content_type=header("content-type", ""),
            content_encoding=header("content-encoding", ""),
            idempotency_key=header("idempotency-key"),
            language=languages.negotiate(header("accept-language", ""), all_of(scope, "cookie", separator="; ")),
            query=scope.query_string,
            body=body,
            traceparent=header("traceparent", ""),
        )
        future = self._intake.submit_async(call)
        timeout = self._loop.call_later(TIMEOUT_SECONDS, _give_up, future, call.language)
        outcome = await future
        timeout.cancel()
        if isinstance(outcome, Checked):  # a rule queues requests: this one waits for its turn in a thread
            outcome = await self._bridge.run(partial(_store, outcome))
        reply = outcome.reply()
        more = self._accepted_headers if reply.status < 400 else self._refused_headers
        protocol.response_bytes(reply.status, [*reply.headers, *more], reply.body)
        request_counts.count(HANDED_OVER, reply.status, time.perf_counter() - began)


def _host_of(scope: Any) -> str:
    return scope.headers.get("host", "") or str(scope.server)


def _give_up(future: "asyncio.Future[Accepted | Refused | Checked]", language: str) -> None:
    if not future.done():
        future.set_result(refused(TimedOut(), language=language))


def _store(checked: Checked) -> Accepted | Refused:
    try:
        return checked.store()
    finally:
        wsgi.close_connection()


application = Entrance()
garbage.settle()
