"""Pages for everybody: health, and the API reference."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from monitor.health import report
from posthaste.lib import problems


def every_problem(base: type[problems.Problem] = problems.Problem) -> list[type[problems.Problem]]:
    """This function will list the kinds of errors, also those that apps define, by status."""
    found = {base.code: base}
    for kind in base.__subclasses__():
        found |= {below.code: below for below in every_problem(kind)}
    return sorted(found.values(), key=lambda kind: (kind.status, kind.code))


@never_cache
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """This function will answer 200 or 503, for load balancers and people."""
    well, details = report()
    return JsonResponse(details, status=200 if well else 503)


@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    """This function will show the API reference (Swagger UI, from our own server)."""
    return render(request, "monitor/reference.html")


@require_safe
def errors(request: HttpRequest) -> HttpResponse:
    """This function will explain every error code of the API."""
    return render(request, "monitor/errors.html", {"problems": every_problem()})
