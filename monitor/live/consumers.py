"""Live figures over WebSocket, and the health page of the process that pushes them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import orjson
import structlog
from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils import timezone

from accounts.selectors import as_staff
from accounts.services.api_keys import Caller, recognise
from accounts.services.open_connections import Grant, StaffGrant, grant_of_key
from accounts.tenancy import tenants_of
from messaging import statistics
from messaging.scopes import STATISTICS
from monitor.live.access import access_watch, is_confirmed
from posthaste.lib import redis
from posthaste.lib.addresses import client_ip_behind_proxies
from posthaste.lib.problems import Problem

log = structlog.get_logger(__name__)
EVERY_SECONDS = 1.0
AWAY = b'{"status":"away"}'
REFUSED = 4401  # the close code for a connection without permission, or whose permission has ended


async def health(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer /health over HTTP and 404 to everything else: pages and API live in the web process."""
    right = scope["path"].rstrip("/") == "/health"
    body = b'{"status":"ok"}' if right else b'{"type":"/docs/errors#not_found","title":"Not found","status":404,"code":"not_found"}'
    kind = b"application/json" if right else b"application/problem+json"
    await send({"type": "http.response.start", "status": 200 if right else 404, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": body})


class Figures:
    """The figures of one tenant, computed once a second however many look on."""

    def __init__(self) -> None:
        self._kept: dict[int | None, tuple[float, bytes]] = {}
        self._locks: dict[int | None, asyncio.Lock] = {}

    async def now(self, tenant_id: int | None) -> bytes:
        """Return the present figures as JSON; `{"status": "away"}` where Redis is."""
        async with self._locks.setdefault(tenant_id, asyncio.Lock()):
            made_at, body = self._kept.get(tenant_id, (0.0, b""))
            if time.monotonic() - made_at > EVERY_SECONDS * 0.9:
                try:
                    live = await database_sync_to_async(statistics.realtime)(tenant_id=tenant_id, now=timezone.now())
                    body = orjson.dumps({"status": "live", **live})
                except redis.Unavailable:
                    body = AWAY
                self._kept[tenant_id] = (time.monotonic(), body)
            return body


figures = Figures()


class LiveStatistics(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    """`/ws/statistics/`: the realtime statistics once a second, for signed-in staff or a key with `statistics:read`."""

    grant: Grant
    confirmed_at = 0.0
    pushing: "asyncio.Task[None] | None" = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        self._has_ended = asyncio.Event()
        try:
            return await super().__call__(scope, partial(self._next_event, receive), send)
        finally:
            self._stop()

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
        await self.accept()
        access_watch.add(self)
        self.pushing = asyncio.create_task(self._push())

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

    async def _push(self) -> None:
        while True:
            body = await figures.now(self.grant.tenant_id)
            await self.send(text_data=(body if is_confirmed(self) else AWAY).decode())
            await asyncio.sleep(EVERY_SECONDS)

    def end(self) -> None:
        """Let the connection be closed."""
        self._stop()
        self._has_ended.set()

    def _stop(self) -> None:
        access_watch.remove(self)
        if self.pushing:
            self.pushing.cancel()

    async def access_ended(self, _event: dict[str, Any]) -> None:
        """Close the connection, as what it was opened with no longer holds."""
        await self.close(code=REFUSED)
        raise StopConsumer


class NoSuchAddress(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    """Any other WebSocket address: refused, with one line in the log."""

    async def connect(self) -> None:
        log.info("no WebSocket at this address", path=self.scope["path"][:100])
        await self.close()
