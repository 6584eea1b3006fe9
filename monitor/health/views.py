"""`/health` and `/health/ready`, for load balancers and people."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from monitor.health import report


@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Answer 200: this process runs and takes requests. It asks nothing of anything else."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Answer 200 if all parts are well, or 503 with the state of each."""
    is_ready, details = report.ready()
    return JsonResponse(details, status=200 if is_ready else 503)
