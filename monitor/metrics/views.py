"""`/metrics`, for Prometheus."""

from typing import Any

from django.http import HttpResponse
from django.utils import translation
from drf_spectacular.utils import extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request

from accounts.api.base import TenantView
from accounts.selectors import no_tenants
from accounts.services.rights import must_operate
from messaging.scopes import STATISTICS
from monitor.metrics import outlet


class _AnswersInItsOwnFormat(BaseContentNegotiation):
    """Scrapers ask for formats that the API's renderers, which write its problems, do not have."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


@extend_schema(exclude=True)
class Metrics(TenantView):
    """`/metrics`: the figures of the installation, for a key of a tenant that operates it."""

    queryset = no_tenants()
    scopes = {"GET": STATISTICS}
    content_negotiation_class = _AnswersInItsOwnFormat

    def get(self, request: Request) -> HttpResponse:
        must_operate(self.caller)
        with translation.override("en"):
            content_type, body = outlet.render(request.headers.get("Accept", ""))
        return HttpResponse(body, content_type=content_type, headers={"Cache-Control": "no-store"})
