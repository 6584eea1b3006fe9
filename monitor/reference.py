"""Pages for everybody: the API reference and its error codes."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from posthaste.lib import problems


def every_problem(base: type[problems.Problem] = problems.Problem) -> list[type[problems.Problem]]:
    """List the kinds of errors, also those that apps define, by status."""
    found = {base.code: base}
    for kind in base.__subclasses__():
        found |= {below.code: below for below in every_problem(kind)}
    return sorted(found.values(), key=lambda kind: (kind.status, kind.code))


@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    """Show the API reference (Swagger UI, from our own server)."""
    return render(request, "monitor/reference.html")


@require_safe
def errors(request: HttpRequest) -> HttpResponse:
    """Explain every error code of the API."""
    return render(request, "monitor/errors.html", {"problems": every_problem()})
