"""Addresses of the service desk's WebSockets.

Pages of other sites may open those of visitors: each checks the origin itself, and takes no cookies. The desk's needs a session, so it is
served behind the check of origins: see `posthaste.asgi`.
"""

from typing import Any

from channels.routing import URLRouter
from django.urls import path

from routing.sockets.chat import chat
from routing.sockets.desk import desk

_chat: Any = chat  # no view: an application of its own
_desk: Any = desk
websocket_urlpatterns = [path("ws/chat/<uuid:entrance>/", _chat), path("ws/chat/<uuid:entrance>", _chat)]
#: With the session of a member of staff.
session_urlpatterns = [path("ws/desk/", _desk), path("ws/desk", _desk)]
_router = URLRouter(websocket_urlpatterns)


def beside(others: Any) -> Any:
    """Return an application that serves these addresses, and leaves all others to another one."""

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        path_info = scope["path"].lstrip("/")
        is_ours = any(pattern.pattern.match(path_info) for pattern in websocket_urlpatterns)
        await (_router if is_ours else others)(scope, receive, send)

    return application
