"""Addresses of the service desk's WebSockets. Pages of other sites may open them: each checks the origin itself, and takes no cookies."""

from typing import Any

from channels.routing import URLRouter
from django.urls import path

from routing.sockets.chat import chat

_chat: Any = chat  # no view: an application of its own
websocket_urlpatterns = [path("ws/chat/<uuid:entrance>/", _chat), path("ws/chat/<uuid:entrance>", _chat)]
_router = URLRouter(websocket_urlpatterns)


def beside(others: Any) -> Any:
    """Return an application that serves these addresses, and leaves all others to another one."""

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        path_info = scope["path"].lstrip("/")
        is_ours = any(pattern.pattern.match(path_info) for pattern in websocket_urlpatterns)
        await (_router if is_ours else others)(scope, receive, send)

    return application
