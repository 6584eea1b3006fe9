"""Live figures over WebSocket, and the health page of the process that pushes them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import structlog
from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils import timezone

from accounts.selectors import as_staff
from accounts.services.api_keys import Caller, recognise
from accounts.services.open_connections import Grant, StaffGrant, grant_of_key
from accounts.tenancy import tenants_of
from messaging.scopes import STATISTICS
from monitor.live.access import access_watch, is_confirmed
from monitor.live.hub import Viewer, hub
from monitor.live.quota import name_of_owner, quota
from posthaste import env
from posthaste.lib.addresses import client_ip_behind_proxies
from posthaste.lib.problems import Problem

log = structlog.get_logger(__name__)
REFUSED = 4401  # the close code for a connection without permission, or whose permission has ended
TOO_MANY = 4429  # the close code for a connection of a key or session that has as many as it may
TOO_SLOW = 1013  # "try again later": the connection has taken nothing for a while
CLOSE_SECONDS = 2.0  # a peer that reads nothing cannot be told


async def health(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer /health over HTTP and 404 to everything else: pages and API live in the web process."""
    right = scope["path"].rstrip("/") == "/health"
    body = b'{"status":"ok"}' if right else b'{"type":"/docs/errors#not_found","title":"Not found","status":404,"code":"not_found"}'
    kind = b"application/json" if right else b"application/problem+json"
    await send({"type": "http.response.start", "status": 200 if right else 404, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": body})


class LiveStatistics(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    """`/ws/statistics/`: the live figures once a second, for signed-in staff or a key with `statistics:read`.

    Everything at first, then what is new (`type`: snapshot, update); see docs/api.md.
    """

    grant: Grant
    confirmed_at = 0.0
    _close_code = REFUSED
    pushing: "asyncio.Task[None] | None" = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        self._has_ended = asyncio.Event()
        try:
            return await super().__call__(scope, partial(self._next_event, receive), send)
        finally:
            self._stop()
            quota.give_back(self)

    async def _next_event(self, receive: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """Return what comes from the client, or that the connection has to end.

        Granian sends a close only when nothing waits for the client any more, so the wait is given up first.
        """
        event, ended = asyncio.ensure_future(receive()), asyncio.ensure_future(self._has_ended.wait())
        try:
            await asyncio.wait({event, ended}, return_when=asyncio.FIRST_COMPLETED)
            return event.result() if event.done() else {"type": "access.ended"}
        finally:
            event.cancel()
            ended.cancel()

    async def connect(self) -> None:
        grant = await database_sync_to_async(self._granted)()
        if grant is None:
            await self.close(code=REFUSED)
            return
        self.grant = grant
        if not quota.take(self):
            log.info("too many live connections", of=name_of_owner(grant), most=env.load().live_connections)
            await self.accept()  # a browser is told the code of an open connection only
            await self.close(code=TOO_MANY)
            return
        await self.accept()
        access_watch.add(self)
        viewer = Viewer(tenant_id=grant.tenant_id, send=self._write, is_confirmed=lambda: is_confirmed(self))
        self.pushing = asyncio.create_task(hub.serve(viewer))
        self.pushing.add_done_callback(self._ended)

    def _granted(self) -> Grant | None:
        user = as_staff(self.scope.get("user"))
        if user is not None:
            tenants = tenants_of(user)
            wanted = parse_qs(self.scope.get("query_string", b"").decode("latin-1")).get("tenant", [""])[0]
            if wanted:
                chosen = int(wanted) if wanted in map(str, tenants) else None
            else:
                chosen = None if user.is_superuser or not tenants else tenants[0]
            if chosen is None and (wanted or not user.is_superuser):
                return None
            return StaffGrant(session_key=self.scope["session"].session_key, user_id=user.pk, tenant_id=chosen)
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in self.scope["headers"]}
        try:
            remote = (self.scope.get("client") or ("127.0.0.1", 0))[0]
            ip = client_ip_behind_proxies(remote=remote, forwarded_for=headers.get("x-forwarded-for", ""))
            caller: Caller = recognise(headers.get("authorization", ""), ip=ip, now=timezone.now())
        except Problem:
            return None
        return grant_of_key(caller, scope=STATISTICS, ip=ip) if caller.may(STATISTICS) else None

    async def _write(self, body: str) -> None:
        await self.send(text_data=body)

    def _ended(self, pushing: "asyncio.Task[None]") -> None:
        """Let the connection be closed if it was pushed to in vain."""
        if not pushing.cancelled() and pushing.exception() is not None:
            if not isinstance(pushing.exception(), TimeoutError):
                log.info("a live connection has ended", error=str(pushing.exception()))
            self._close_code = TOO_SLOW
            self.end()

    def end(self) -> None:
        """Let the connection be closed."""
        self._stop()
        self._has_ended.set()

    def _stop(self) -> None:
        access_watch.remove(self)
        if self.pushing:
            self.pushing.cancel()

    async def access_ended(self, _event: dict[str, Any]) -> None:
        """Close the connection, as what it was opened with no longer holds, or as it takes nothing any more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.close(code=self._close_code)
        raise StopConsumer


class NoSuchAddress(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    """Any other WebSocket address: refused, with one line in the log."""

    async def connect(self) -> None:
        log.info("no WebSocket at this address", path=self.scope["path"][:100])
        await self.close()
