"""DRF's side of API keys: who calls, whether the key has the scope that the view names, and what a sandbox key may change."""

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.scopes import SandboxSafe
from accounts.services.api_keys import Caller, live_key_needed, recognise
from posthaste.lib.addresses import client_ip
from posthaste.lib.problems import Forbidden


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer ph_live_…`."""

    def authenticate(self, request: Request) -> tuple[Caller, Caller]:
        caller = recognise(request.headers.get("Authorization", ""), ip=client_ip(request), now=timezone.now())
        return caller, caller

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="posthaste"'


def _method_of(request: Request) -> str:
    return "GET" if request.method in ("HEAD", "OPTIONS") else str(request.method)


class HasScope(BasePermission):
    """The view's `scopes` maps each method to the scope it needs; a method that is not there is refused.

    A sandbox key only reads, except where the view's `sandbox_safe` names the method and says why it is safe.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        method = _method_of(request)
        scope = getattr(view, "scopes", {}).get(method)
        caller = request.user
        if isinstance(caller, Caller) and scope and caller.may(scope):
            if caller.is_sandbox and method != "GET" and method not in view.sandbox_safe:
                raise live_key_needed()
            return True
        if scope is None:
            return method not in view.allowed_methods  # let DRF answer 405
        raise Forbidden(_("This key lacks the scope {scope}.").format(scope=scope))

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        is_sandbox = isinstance(request.user, Caller) and request.user.is_sandbox
        if is_sandbox and view.sandbox_safe.get(_method_of(request)) is SandboxSafe.SANDBOX_ONLY and view.is_live(obj):
            raise live_key_needed()
        return True


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """How the API reference describes it."""

    target_class = "accounts.api.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API key: `ph_live_…` or `ph_test_…`."}
