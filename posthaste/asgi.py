"""Entrance for what waits long: WebSocket, and the Nacos API of the configuration centre; of other HTTP only its own /health."""

import asyncio
import os
from typing import Any

import django
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings

from posthaste import env
from posthaste.lib import garbage, heartbeat, late_writes

garbage.expect_little()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")
django.setup()  # without Django's own handler, whose middleware would take a sixth of the memory: HTTP is served by the web process

from configcenter.nacos.application import nacos  # noqa: E402
from configcenter.nacos.grpc.entrance import Entrance  # noqa: E402
from configcenter.services import watch  # noqa: E402
from monitor.alarms import evaluator  # noqa: E402
from monitor.live.consumers import health  # noqa: E402
from monitor.live.routing import SameSite, websocket_urlpatterns  # noqa: E402
from routing.sockets import urls as chats  # noqa: E402

GRPC_OFFSET = 1000  # where clients of Nacos 2 and 3 look for it

_environment = env.load()
_nacos_grpc: Entrance | None = None
if _environment.nacos_grpc:
    _files = (_environment.nacos_grpc_certificate, _environment.nacos_grpc_key)
    _nacos_grpc = Entrance(_environment.host, _environment.ws_port + GRPC_OFFSET, _files)

heartbeat.start("ws")
watch.start("ws")
evaluator.start("ws")


async def http(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Route a request to the application that serves it."""
    if _nacos_grpc is not None and scope["path"].startswith("/nacos/") and scope["path"].rstrip("/").endswith("/login"):
        await _nacos_grpc.ready()  # the client connects as soon as it has signed in
    await (nacos if scope["path"].startswith("/nacos/") else health)(scope, receive, send)


async def lifespan(_scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Start what lives in the server's event loop beside its requests, and end it with the server."""
    while True:
        if (await receive())["type"] == "lifespan.startup":
            if _nacos_grpc is not None:
                await _nacos_grpc.open()
            await send({"type": "lifespan.startup.complete"})
        else:
            if _nacos_grpc is not None:
                await _nacos_grpc.close()
            await asyncio.to_thread(late_writes.finish)
            await send({"type": "lifespan.shutdown.complete"})
            return


application = ProtocolTypeRouter(
    {
        "lifespan": lifespan,
        "http": http,
        "websocket": chats.beside(
            SameSite(AuthMiddlewareStack(URLRouter([*chats.session_urlpatterns, *websocket_urlpatterns])), settings.ALLOWED_HOSTS)
        ),
    }
)
garbage.settle()
