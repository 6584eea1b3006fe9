"""Who may open a page of the configuration, and the frame around it: the admin's login, rail and look."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.staff.tenant_admin import problem_text, signed_in
from configcenter.services import rights
from posthaste.lib.addresses import client_ip
from posthaste.lib.problems import Problem

View = Callable[..., HttpResponse]
RIGHTS: dict[str, Callable[[Any], bool]] = {
    "view": rights.may_view,
    "edit": rights.may_edit,
    "publish": rights.may_publish,
}


def staff_page(right: str = "view", *, to_change: str = "", methods: tuple[str, ...] = ("GET", "HEAD")) -> Callable[[View], View]:
    """Guard a view: signed in as staff, the right to see it, and `to_change` for a POST.

    A stranger is sent to the login, whatever the method; an error of a service becomes a page that says what to do.
    """

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not admin.site.has_permission(request):
                return redirect_to_login(request.get_full_path(), reverse("admin:login"))
            needed = to_change if request.method == "POST" and to_change else right
            if not RIGHTS[needed](request.user):
                return refused(request)
            if request.method not in methods:
                return HttpResponseNotAllowed(methods)
            try:
                return view(request, *args, **kwargs)
            except Problem as problem:
                said = {"title": _(problem.title), "detail": problem_text(problem), "status": problem.status}
                return render(request, "error.html", said, status=problem.status)

        return guarded

    return guard


def refused(request: HttpRequest) -> HttpResponse:
    """Return the page for those who may not do that."""
    said = {
        "title": _("You may not do that"),
        "detail": _("Your account has no such right to the configuration. A superuser can give it on your user's page."),
        "status": 403,
    }
    return render(request, "error.html", said, status=403)


def page(request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> TemplateResponse:
    """Return a page in the frame of the admin, with what the reader may do."""
    user = signed_in(request)
    frame = {
        **admin.site.each_context(request),
        "may_edit": rights.may_edit(user),
        "readonly": not rights.may_edit(user),
        "may_publish": rights.may_publish(user),
    }
    return TemplateResponse(request, f"config/{template}.html", {**frame, **context}, status=status)


def author_of(request: HttpRequest) -> dict[str, Any]:
    """Name who does it and from where, as the services want it."""
    return {"author": f"user:{signed_in(request).get_username()}", "ip": client_ip(request)}
