"""Flow control of REST views, and of pages that need no login."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.views import APIView

from posthaste.lib.addresses import client_ip
from posthaste.lib.flow import gate, headers, system
from posthaste.lib.flow.limiter import Pass
from posthaste.lib.problem_responses import wants_no_page
from posthaste.lib.problems import Problem

API, PUBLIC = "api", "public"
#: Guarded otherwise, or asked by machines that must always be answered.
EXEMPT = ("/api/", "/in/", "/nacos/", "/health", "/docs", "/static/", "/admin/", "/ws/", "/metrics")


class FlowLimited(APIView):
    """A view of the API that counts as one request for the rules of its resource."""

    flow_resource: str = API
    flow_pass: Pass | None = None
    #: How long the view waited on purpose: that says nothing about the load of the process.
    waited_seconds: float = 0.0

    def flow_values(self, request: Request) -> dict[str, str]:
        """Return what the request is known by."""
        values = {"ip": client_ip(request._request)}
        caller = request.user
        if caller is not None:
            values |= {"tenant": getattr(caller, "tenant_slug", ""), "key": getattr(caller, "prefix", "")}
        return values

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        began = system.load_monitor.start()
        try:
            return super().dispatch(request, *args, **kwargs)
        finally:
            gate.leave(self.flow_pass)
            system.load_monitor.finish(began + self.waited_seconds)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not self.flow_resource:
            return
        # Operators must be able to take back the very limits that refuse all requests.
        gate.protect(system.MAX_PRIORITY if getattr(request.user, "is_operator", False) else system.DEFAULT_PRIORITY)
        self.flow_pass = gate.ask(self.flow_resource, self.flow_values(request))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.flow_pass is not None:
            for name, value in headers.of(self.flow_pass).items():
                response.headers.setdefault(name, value)
        return response


class PublicPagesMiddleware(MiddlewareMixin):
    """Pages without a login are counted for each address."""

    def process_view(self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any) -> HttpResponse | None:
        if request.path_info.startswith(EXEMPT):
            return None
        user = getattr(request, "user", None)
        if user is not None and user.is_authenticated:
            return None
        try:
            gate.leave(gate.ask(PUBLIC, {"ip": client_ip(request)}))
        except Problem as problem:
            if wants_no_page(request):
                return problem.as_response()
            page = render(
                request,
                "error.html",
                {"title": _("Too many requests"), "status": problem.status, "detail": problem.detail},
                status=problem.status,
            )
            for name, value in problem.headers.items():
                page[name] = value
            return page
        return None
