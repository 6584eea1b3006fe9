"""Entrance for what waits long: WebSocket, and the Nacos API of the configuration centre; of other HTTP only its own /health."""

import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import django
import structlog
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings

from posthaste import env
from posthaste.lib import garbage, heartbeat

garbage.expect_little()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")
django.setup()  # without Django's own handler, whose middleware would take a sixth of the memory: HTTP is served by the web process

from configcenter.nacos.application import nacos  # noqa: E402
from configcenter.services import watch  # noqa: E402
from monitor.live.consumers import health  # noqa: E402
from monitor.live.routing import SameSite, websocket_urlpatterns  # noqa: E402

GRPC_OFFSET = 1000  # where clients of Nacos 2 and 3 look for it

heartbeat.start("ws")
watch.start("ws")


async def http(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Route a request to the application that serves it."""
    await (nacos if scope["path"].startswith("/nacos/") else health)(scope, receive, send)


log = structlog.get_logger(__name__)


async def _nacos_grpc() -> Callable[[], Awaitable[None]] | None:
    """Let clients of Nacos 2 and 3 connect, and return what ends that; None where they can't, for the reason in the log."""
    environment = env.load()
    if not environment.nacos_grpc:
        return None
    try:
        from configcenter.nacos.grpc import server  # late, as only an installation that wants it pays for grpcio

        files = environment.nacos_grpc_certificate, environment.nacos_grpc_key
        started = await server.start(environment.host, environment.ws_port + GRPC_OFFSET, server.certificate_in(*files))
    except ImportError as error:
        log.error("Nacos gRPC is off: grpcio or protobuf is not installed", error=str(error))
        return None
    except Exception:
        log.exception("Nacos gRPC is off: its server does not start")  # HTTP and WebSocket go on
        return None
    return None if started is None else partial(server.stop, started)


async def lifespan(_scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Start what lives in the server's event loop beside its requests, and end it with the server."""
    stop = None
    while True:
        if (await receive())["type"] == "lifespan.startup":
            stop = await _nacos_grpc()
            await send({"type": "lifespan.startup.complete"})
        else:
            if stop is not None:
                await stop()
            await send({"type": "lifespan.shutdown.complete"})
            return


application = ProtocolTypeRouter(
    {
        "lifespan": lifespan,
        "http": http,
        "websocket": SameSite(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)), settings.ALLOWED_HOSTS),
    }
)
garbage.settle()
