"""All addresses. Those that stay for ever: /health, /api/messages/…, /docs, /monitor, /admin."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView

from monitor import console, limits
from monitor import views as monitor

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("health/", monitor.health, name="health"),
    path("docs/", monitor.reference, name="docs"),
    path("docs/errors/", monitor.errors, name="docs-errors"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/", include("configcenter.api.urls")),
    path("api/", include("messaging.api.urls")),
    path("", include("messaging.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("config/breakers/", console.all_breakers, name="config-breakers"),
    path("config/breakers/<str:name>/", console.one_breaker, name="config-breaker"),
    path("config/limits/", limits.limits_now, name="config-limits"),
    path("config/", include("configcenter.console.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "posthaste.lib.answers.bad_request"
handler403 = "posthaste.lib.answers.permission_denied"
handler404 = "posthaste.lib.answers.not_found"
handler500 = "posthaste.lib.answers.server_error"
