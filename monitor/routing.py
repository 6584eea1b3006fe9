"""Addresses of the WebSocket process."""

from django.urls import re_path

from monitor.consumers import LiveStatistics

websocket_urlpatterns = [re_path(r"^ws/statistics/?$", LiveStatistics.as_asgi())]
