"""The way in: single messages and batches, for whoever has a thread to wait with.

The hot path of the platform, so both are plain views: msgspec decodes and checks in one step, no DRF request is built.
The DRF classes that hold them answer the other methods and describe them in the API reference.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import orjson
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from accounts.services.api_keys import Caller
from messaging.api import single
from messaging.api.single import Accepted, Call
from messaging.intake import accept, bodies, limits, prepare
from messaging.models import Batch
from posthaste.lib import outage
from posthaste.lib.addresses import client_ip
from posthaste.lib.flow import gate, headers, system
from posthaste.lib.flow.limiter import Pass
from posthaste.lib.ids import new_id
from posthaste.lib.problem_responses import from_exception
from posthaste.lib.problems import Invalid, TooMany

#: In the environment of a request that the limits have let in: should it be asked again (see posthaste/wsgi.py), it counts once.
LET_IN = "posthaste.let_in"
#: In the environment of a request that was refused before it came here: the error.
REFUSED = "posthaste.refused"


def _call_of(request: HttpRequest) -> Call:
    meta = request.META  # request.headers would sort out all of them first
    return Call(
        path=request.path_info,
        authorization=meta.get("HTTP_AUTHORIZATION", ""),
        ip=client_ip(request),
        content_type=request.content_type or "",
        idempotency_key=meta.get("HTTP_IDEMPOTENCY_KEY"),
    )


def _guarded(handle: Callable[[HttpRequest, Call, Caller], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Authentication, scope, and problems as responses: what DRF does elsewhere."""

    def view(request: HttpRequest) -> HttpResponse:
        try:
            if refused := request.META.pop(REFUSED, None):
                raise refused
            call = _call_of(request)
            caller = single.caller_of(call)
            call.body = request.body  # not read from whoever may not send anything
            with system.gauge.watch():
                response = handle(request, call, caller)
            outage.database.over()
            return response
        except Exception as error:
            if outage.is_connection_lost(error):
                outage.database.noticed()
            problem = from_exception(error)
            if problem is None:
                raise
            if isinstance(problem, TooMany):  # not asked again the long way, which negotiates the language: it would count twice
                with translation.override(translation.get_language_from_request(request)):
                    return problem.as_response()
            return problem.as_response()

    return view


@contextmanager
def _let_in(request: HttpRequest, call: Call, caller: Caller, *, cost: int, priority: int, template: str | None) -> Iterator[Pass | None]:
    """The limits, asked once for a request."""
    if request.META.get(LET_IN):
        yield None
        return
    with limits.handing_over(caller, ip=call.ip, cost=cost, priority=priority, template=template) as passed:
        request.META[LET_IN] = True
        yield passed


@_guarded
def post_message(request: HttpRequest, call: Call, caller: Caller) -> HttpResponse:
    """Accept one message: 202 once it is committed."""
    checked = single.check(call, caller, is_counted=bool(request.META.get(LET_IN)))
    entry = checked.entry
    try:
        gate.wait(entry)
        answer = accept.accept_message(checked.row, repeatable=checked.repeatable, entry=entry)
    finally:
        passed = entry.passed if entry else None
        if passed is not None:
            request.META[LET_IN] = True
        gate.over(entry)
    accepted = Accepted(answer, passed)
    return HttpResponse(accepted.body, headers=dict(accepted.headers), status=202)


@_guarded
def post_batch(request: HttpRequest, call: Call, caller: Caller) -> HttpResponse:
    """Accept up to 10,000 messages: 202 once all of them are committed."""
    repeatable = single.repeatable_of(call)
    earlier = accept.find_repeated(tenant_id=caller.tenant_id, repeatable=repeatable)
    if earlier is not None:
        return _accepted(earlier, repeated=True)
    body = bodies.read_batch(call.body)
    single.refuse_beyond_the_backlog(body.priority)
    cost = min(len(body.recipients), prepare.MOST_RECIPIENTS)  # more are refused as invalid
    with _let_in(request, call, caller, cost=max(1, cost), priority=body.priority, template=body.template) as passed:
        answer = _accept_batch(body, caller, repeatable)
    return _accepted(answer, passed=passed)


def _accepted(body: dict[str, object], *, repeated: bool = False, passed: Pass | None = None) -> HttpResponse:
    response = HttpResponse(orjson.dumps(body), content_type="application/json", status=202)
    if repeated:
        response["Idempotent-Replayed"] = "true"
    if passed is not None:
        for name, value in headers.of(passed).items():
            response[name] = value
    return response


def _accept_batch(body: bodies.BatchIn, caller: Caller, repeatable: accept.Repeatable | None) -> dict[str, object]:
    now, batch_id = timezone.now(), new_id()
    frame, rows, rejected = prepare.prepare_batch(body, caller=caller, now=now, batch_id=batch_id)
    if rejected and (body.on_error == "reject" or not rows):
        raise Invalid(
            _("Nothing was stored. Mend these rows, or send on_error: skip to leave them out."),
            errors=[{**entry, "field": f"recipients[{entry['index']}].{entry['field']}".rstrip(".")} for entry in rejected],
            accepted=0,
            rejected=rejected,
        )
    batch = Batch(
        id=batch_id,
        tenant_id=caller.tenant_id,
        api_key_id=caller.key_id,
        name=body.name,
        channel=body.channel,
        template_version_id=frame.wording.version_id if frame.wording else None,
        priority=body.priority,
        accepted=len(rows),
        rejected=len({entry["index"] for entry in rejected}),
        send_at=body.send_at,
        created_at=now,
    )
    return accept.accept_batch(body, batch=batch, rows=rows, rejected=rejected, repeatable=repeatable)
