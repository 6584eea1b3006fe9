"""Addresses of the monitor that everybody may open."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from monitor import reference
from monitor.health.views import health

urlpatterns = [
    path("health/", health, name="health"),
    path("docs/", reference.reference, name="docs"),
    path("docs/errors/", reference.errors, name="docs-errors"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
]
