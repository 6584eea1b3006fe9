"""All addresses. Those that stay for ever: /health, /api/messages/…, /docs, /monitor, /admin.

The apps' pages are found here and not when Django is set up: a process that serves no pages never needs their modules.
"""

from django.contrib import admin
from django.urls import include, path
from django.utils.module_loading import autodiscover_modules
from django.views.generic import RedirectView

from posthaste.ui import pages

admin.autodiscover()
autodiscover_modules("navigation", "pages")

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("", include("monitor.urls")),
    path("api/", include("accounts.api.urls")),
    path("api/", include("configcenter.api.urls")),
    path("api/", include("jobs.api.urls")),
    path("api/", include("messaging.api.urls")),
    path("api/", include("routing.api.urls")),
    path("", include("messaging.urls")),
    path("", include("routing.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("config/", include("configcenter.console.urls")),
    path("admin/", admin.site.urls),
    *pages.urlpatterns(),  # last, so that a page never takes over an address that was there before
]

handler400 = "posthaste.lib.problem_responses.bad_request"
handler403 = "posthaste.lib.problem_responses.permission_denied"
handler404 = "posthaste.lib.problem_responses.not_found"
handler500 = "posthaste.lib.problem_responses.server_error"
