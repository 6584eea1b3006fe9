"""Addresses of the WebSocket process."""

from typing import Any

from channels.security.websocket import OriginValidator
from django.urls import re_path

from monitor.live.consumers import LiveStatistics, NoSuchAddress

websocket_urlpatterns = [
    re_path(r"^ws/statistics/?$", LiveStatistics.as_asgi()),
    re_path(r"", NoSuchAddress.as_asgi()),
]


class SameSite(OriginValidator):  # type: ignore[misc]  # channels has no types
    """Refuses pages of other sites, whose visitors' cookies would come along.

    A browser always names the page's origin; who names none is a program, and needs an API key.
    """

    def valid_origin(self, parsed_origin: Any) -> bool:
        return parsed_origin is None or bool(super().valid_origin(parsed_origin))
