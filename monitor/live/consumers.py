"""Live figures over WebSocket, and the health page of the process that pushes them."""

import asyncio
import time
from typing import Any
from urllib.parse import parse_qs

import orjson
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils import timezone

from accounts.selectors import as_staff
from accounts.services.api_keys import Caller, recognise
from accounts.tenancy import tenants_of
from messaging import statistics
from messaging.scopes import STATISTICS
from posthaste.lib import redis
from posthaste.lib.addresses import client_ip_behind_proxies
from posthaste.lib.problems import Problem

EVERY_SECONDS = 1.0


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
                    body = b'{"status":"away"}'
                self._kept[tenant_id] = (time.monotonic(), body)
            return body


figures = Figures()


class LiveStatistics(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    """`/ws/statistics/`: the realtime statistics once a second, for signed-in staff or a key with `statistics:read`."""

    pushing: "asyncio.Task[None] | None" = None

    async def connect(self) -> None:
        allowed, self.tenant_id = await database_sync_to_async(self._whose)()
        if not allowed:
            await self.close(code=4401)
            return
        await self.accept()
        self.pushing = asyncio.create_task(self._push())

    def _whose(self) -> tuple[bool, int | None]:
        user = as_staff(self.scope.get("user"))
        if user is not None:
            tenants = tenants_of(user)
            wanted = parse_qs(self.scope.get("query_string", b"").decode("latin-1")).get("tenant", [""])[0]
            if wanted:
                own = wanted.isdecimal() and int(wanted) in tenants
                return (True, int(wanted)) if own else (False, None)
            if user.is_superuser:
                return True, None
            return (True, tenants[0]) if tenants else (False, None)
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in self.scope["headers"]}
        try:
            remote = (self.scope.get("client") or ("127.0.0.1", 0))[0]
            ip = client_ip_behind_proxies(remote=remote, forwarded_for=headers.get("x-forwarded-for", ""))
            caller: Caller = recognise(headers.get("authorization", ""), ip=ip, now=timezone.now())
        except Problem:
            return False, None
        return caller.may(STATISTICS), caller.tenant_id

    async def _push(self) -> None:
        while True:
            await self.send(text_data=(await figures.now(self.tenant_id)).decode())
            await asyncio.sleep(EVERY_SECONDS)

    async def disconnect(self, code: int) -> None:
        if self.pushing:
            self.pushing.cancel()
