"""WebSocket entrance; of HTTP it answers only its own /health."""

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")
get_asgi_application()  # sets Django up; HTTP itself is served by the WSGI process

from django.conf import settings  # noqa: E402

from configcenter.services import watch  # noqa: E402
from monitor.consumers import health  # noqa: E402
from monitor.routing import SameSite, websocket_urlpatterns  # noqa: E402
from posthaste.lib import heartbeat  # noqa: E402

heartbeat.start("ws")
watch.start("ws")

application = ProtocolTypeRouter(
    {
        "http": health,
        "websocket": SameSite(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)), settings.ALLOWED_HOSTS),
    }
)
