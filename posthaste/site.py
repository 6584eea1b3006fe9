"""The admin site: our name, and a login that can't be hammered."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_ratelimit.core import is_ratelimited

from posthaste.lib.addresses import client_ip

PER_ADDRESS = "20/m"
PER_NAME = "10/m"


def _address(_group: str, request: HttpRequest) -> str:
    return client_ip(request)


def _name(_group: str, request: HttpRequest) -> str:
    return str(request.POST.get("username", "")).lower()[:150]


class PosthasteAdminSite(AdminSite):
    """Django's admin under our name."""

    site_title = gettext_lazy("Posthaste")
    site_header = gettext_lazy("Posthaste")
    index_title = gettext_lazy("Overview")

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "POST":
            many = is_ratelimited(request, group="login-address", key=_address, rate=PER_ADDRESS, increment=True)
            many = is_ratelimited(request, group="login-name", key=_name, rate=PER_NAME, increment=True) or many
            if many:
                response = HttpResponse(_("Too many attempts to sign in. Try again in a minute."), status=429, content_type="text/plain; charset=utf-8")
                response["Retry-After"] = "60"
                return response
        return super().login(request, extra_context)
