"""DRF's side of API keys: who calls, and whether the key has the scope that the view names."""

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.services.api_keys import Caller, recognise
from posthaste.lib.addresses import client_ip
from posthaste.lib.problems import Forbidden


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer ph_live_…`."""

    def authenticate(self, request: Request) -> tuple[Caller, Caller]:
        caller = recognise(request.headers.get("Authorization", ""), ip=client_ip(request), now=timezone.now())
        return caller, caller

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="posthaste"'


class HasScope(BasePermission):
    """The view's `scopes` maps each method to the scope it needs; a method that is not there is refused."""

    def has_permission(self, request: Request, view: Any) -> bool:
        method = "GET" if request.method in ("HEAD", "OPTIONS") else str(request.method)
        scope = getattr(view, "scopes", {}).get(method)
        caller = request.user
        if isinstance(caller, Caller) and scope and caller.may(scope):
            return True
        if scope is None:
            return method not in view.allowed_methods  # let DRF answer 405
        raise Forbidden(_("This key lacks the scope {scope}.").format(scope=scope))


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """How the API reference describes it."""

    target_class = "accounts.api.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API key: `ph_live_…` or `ph_test_…`."}
