"""The admin site: our name, our frame, and a login that cannot be hammered. What it shows is declared by the apps."""

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from accounts.services import access_notices
from accounts.services.sign_in import too_many_attempts
from posthaste.ui import navigation, pages
from posthaste.ui.templatetags.interface import NOTHING


class SignInForm(AdminAuthenticationForm):
    """Says what is wrong, not what may be."""

    error_messages = {
        **AdminAuthenticationForm.error_messages,
        "invalid_login": gettext_lazy("Incorrect user name or password. Both are case-sensitive."),
    }


class PosthasteAdminSite(AdminSite):
    """Django's admin in our frame: the navigation and the pages come from the registries of `posthaste.ui`."""

    login_form = SignInForm

    site_title = gettext_lazy("Posthaste")
    site_header = gettext_lazy("Posthaste")
    index_title = gettext_lazy("Overview")
    empty_value_display = NOTHING
    site_url = None
    enable_nav_sidebar = False

    def get_urls(self) -> Any:
        return pages.admin_urlpatterns(self.admin_view) + super().get_urls()

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().each_context(request)
        if context["has_permission"]:
            groups = navigation.for_request(request)
            on_phone = [entry for group in groups for entry in group["entries"] if entry["on_phone"]]
            context |= {"navigation": groups, "navigation_on_phone": on_phone}
        return context | {"language": get_language() or "en"}

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return the models by app, each named as in the navigation."""
        apps: list[Any] = super().get_app_list(request, app_label)
        names = {entry["url"]: entry["label"] for group in navigation.for_request(request) for entry in group["entries"]}
        for model in (model for app in apps for model in app["models"]):
            model["name"] = names.get(model.get("admin_url"), model["name"])
        return apps

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "POST" and too_many_attempts(request):
            response = pages.problem_page(request, status=429, title=_("Too many attempts to sign in"), detail=_("Try again in a minute."))
            response["Retry-After"] = "60"
            return response
        return super().login(request, extra_context)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        response = super().logout(request, extra_context)
        access_notices.notify()  # here and not at Django's signal, which comes before the session has ended
        return response
