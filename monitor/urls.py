"""Addresses of the monitor that stand outside the admin."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from monitor import reference
from monitor.health import views as health
from monitor.metrics.views import Metrics

urlpatterns = [
    path("health/", health.live, name="health"),
    path("health/ready/", health.ready, name="health-ready"),
    path("metrics/", Metrics.as_view(), name="metrics"),
    path("docs/", reference.reference, name="docs"),
    path("docs/errors/", reference.errors, name="docs-errors"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
]
