"""Entrance for what waits long: WebSocket, and the Nacos API of the configuration centre; of other HTTP only its own /health."""

import os
from typing import Any

import django
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings

from posthaste.lib import garbage, heartbeat

garbage.expect_little()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")
django.setup()  # without Django's own handler, whose middleware would take a sixth of the memory: HTTP is served by the web process

from configcenter.nacos.application import nacos  # noqa: E402
from configcenter.services import watch  # noqa: E402
from monitor.live.consumers import health  # noqa: E402
from monitor.live.routing import SameSite, websocket_urlpatterns  # noqa: E402

heartbeat.start("ws")
watch.start("ws")


async def http(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Route a request to the application that serves it."""
    await (nacos if scope["path"].startswith("/nacos/") else health)(scope, receive, send)


application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": SameSite(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)), settings.ALLOWED_HOSTS),
    }
)
garbage.settle()
