"""The address that other systems call: `/in/<entrance>/`. The entrance's adapter checks who calls; there is no session and no key."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from posthaste import env
from posthaste.lib.addresses import client_ip
from posthaste.lib.jsonbodies import refuse_encoding
from posthaste.lib.problem_responses import from_exception
from routing.contract import InboundRequest
from routing.entrances import intake


@never_cache
@csrf_exempt  # other systems post here without cookies; a signature or a secret authorises each request
@require_http_methods(["GET", "POST"])
def receive(request: HttpRequest, entrance: UUID) -> HttpResponse:
    """Take in what another system says. A GET asks only whether this is the right address, and writes nothing."""
    try:
        refuse_encoding(request.headers.get("Content-Encoding", ""))
        answer = intake.receive(entrance, _inbound(request), callers={"ip": client_ip(request)})
    except Exception as error:
        problem = from_exception(error)
        if problem is None:
            raise
        return problem.as_response()
    response = HttpResponse(answer.body, status=answer.status, content_type=answer.content_type)
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _inbound(request: HttpRequest) -> InboundRequest:
    return InboundRequest(
        method=str(request.method),
        query=request.GET.dict(),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=request.body,
        received_at=timezone.now(),
    )


def address_of(entrance_id: UUID) -> str:
    """Return the address that other systems call for an entrance."""
    return f"{env.load().public_url.rstrip('/')}/in/{entrance_id}/"
