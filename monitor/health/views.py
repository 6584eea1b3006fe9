"""`/health`, for load balancers and people."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from monitor.health.report import report


@never_cache
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Answer 200, or 503 when a part is away."""
    well, details = report()
    return JsonResponse(details, status=200 if well else 503)
