"""All addresses. Those that stay for ever: /health, /api/messages/…, /docs, /monitor, /admin."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView

from jobs import console as lock_pages
from monitor import reference
from monitor.breakers import pages as breakers
from monitor.health.views import health
from monitor.limits import pages as limits

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("health/", health, name="health"),
    path("docs/", reference.reference, name="docs"),
    path("docs/errors/", reference.errors, name="docs-errors"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/", include("accounts.api.urls")),
    path("api/", include("configcenter.api.urls")),
    path("api/", include("jobs.api.urls")),
    path("api/", include("messaging.api.urls")),
    path("", include("messaging.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("config/breakers/", breakers.all_breakers, name="config-breakers"),
    path("config/breakers/<str:name>/", breakers.one_breaker, name="config-breaker"),
    path("config/limits/", limits.limits_now, name="config-limits"),
    path("config/locks/", lock_pages.locks, name="config-locks"),
    path("config/", include("configcenter.console.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "posthaste.lib.problem_responses.bad_request"
handler403 = "posthaste.lib.problem_responses.permission_denied"
handler404 = "posthaste.lib.problem_responses.not_found"
handler500 = "posthaste.lib.problem_responses.server_error"
