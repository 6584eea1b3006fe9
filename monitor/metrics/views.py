"""`/metrics`, for Prometheus."""

import time
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from drf_spectacular.utils import extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request

from accounts.api.base import TenantView
from accounts.selectors import no_tenants
from accounts.services.rights import must_operate
from messaging.scopes import STATISTICS
from monitor.metrics import outlet, scrapers


class _AnswersInItsOwnFormat(BaseContentNegotiation):
    """Scrapers ask for formats that the API's renderers, which write its problems, do not have."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


@extend_schema(exclude=True)
class Metrics(TenantView):
    """`/metrics`: the figures of the installation, for scrapers that the environment lets in and keys of tenants that operate it."""

    queryset = no_tenants()
    scopes = {"GET": STATISTICS}
    content_negotiation_class = _AnswersInItsOwnFormat

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self._deadline = time.monotonic() + outlet.ANSWER_SECONDS
        # A scraper is no caller: it has no tenant, no scopes, and limits are not for it. So it goes on while the database is away, too.
        if request.method in ("GET", "HEAD") and scrapers.may_scrape(request):
            return self._answer(request)
        answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return answer

    def get(self, request: Request) -> HttpResponse:
        must_operate(self.caller)
        return self._answer(request)

    def _answer(self, request: HttpRequest | Request) -> HttpResponse:
        with translation.override("en"):
            content_type, body = outlet.render(request.headers.get("Accept", ""), deadline=self._deadline)
        return HttpResponse(body, content_type=content_type, headers={"Cache-Control": "no-store"})
