"""Entrance for what waits long: WebSocket, and the Nacos API of the configuration centre; of other HTTP only its own /health."""

import os
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")
get_asgi_application()  # sets Django up; HTTP itself is served by the WSGI process

from django.conf import settings  # noqa: E402

from configcenter.nacos.application import nacos  # noqa: E402
from configcenter.services import watch  # noqa: E402
from monitor.live.consumers import health  # noqa: E402
from monitor.live.routing import SameSite, websocket_urlpatterns  # noqa: E402
from posthaste.lib import heartbeat  # noqa: E402

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
