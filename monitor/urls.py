"""Addresses of the monitor that stand outside the admin."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from monitor import reference
from monitor.alarms import api as alarms
from monitor.health import views as health
from monitor.metrics.views import Metrics

urlpatterns = [
    path("health/", health.live, name="health"),
    path("health/ready/", health.ready, name="health-ready"),
    path("metrics/", Metrics.as_view(), name="metrics"),
    path("docs/", reference.reference, name="docs"),
    path("docs/errors/", reference.errors, name="docs-errors"),
    path("docs/runbook/", reference.runbook, name="runbook"),
    path("api/alarms/", alarms.AlarmCollection.as_view()),
    path("api/alarms/receivers/", alarms.ReceiverCollection.as_view()),
    path("api/alarms/silences/", alarms.SilenceCollection.as_view()),
    path("api/alarms/silences/<uuid:id>/end/", alarms.SilenceEnd.as_view()),
    path("api/alarms/test/", alarms.AlarmTest.as_view()),
    path("api/alarms/<uuid:id>/", alarms.AlarmItem.as_view()),
    path("api/alarms/<uuid:id>/acknowledge/", alarms.AlarmAcknowledge.as_view()),
    path("api/alarms/<uuid:id>/reopen/", alarms.AlarmReopen.as_view()),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
]
