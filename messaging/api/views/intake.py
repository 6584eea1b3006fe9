"""The addresses that take messages in, for a web server that gives each request a thread.

They are the hot path of the platform, so both are plain functions: msgspec decodes and checks in one step, and no DRF request is built.
The DRF views at these addresses answer the other methods and describe these in the API reference.

What goes wrong is answered here, in the language of the call: see `posthaste.lib.problem_responses.reply_to`.
"""

from collections.abc import Callable
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from accounts.services.api_keys import Caller
from messaging.api import single
from messaging.api.single import Call
from messaging.intake import accept, bodies, limits, prepare, repeats
from messaging.intake.repeats import Repeatable
from messaging.models import Batch
from posthaste.lib import languages, outage
from posthaste.lib.addresses import client_ip
from posthaste.lib.flow import system
from posthaste.lib.flow.limiter import Pass
from posthaste.lib.ids import new_id
from posthaste.lib.json_syntax import JSON
from posthaste.lib.problem_responses import Reply
from posthaste.lib.problems import Invalid, bounded
from tracing import w3c


def _call_of(request: HttpRequest) -> Call:
    meta = request.META  # request.headers would sort out all of them first
    return Call(
        path=request.path_info,
        authorization=meta.get("HTTP_AUTHORIZATION", ""),
        ip=client_ip(request),
        accept=meta.get("HTTP_ACCEPT", ""),
        content_type=meta.get("CONTENT_TYPE", ""),
        content_encoding=meta.get("HTTP_CONTENT_ENCODING", ""),
        idempotency_key=meta.get("HTTP_IDEMPOTENCY_KEY"),
        language=languages.negotiate(meta.get("HTTP_ACCEPT_LANGUAGE", ""), meta.get("HTTP_COOKIE", "")),
        query=meta.get("QUERY_STRING", ""),
        traceparent=meta.get("HTTP_TRACEPARENT", ""),
    )


def _answered(request: HttpRequest, handle: Callable[[Call, Caller], Reply]) -> Reply:
    """Authenticate a request, read its body, and answer it; what goes wrong is an answer too."""
    call = _call_of(request)
    with translation.override(call.language):  # the thread may still speak the language of its last request
        try:
            caller = single.caller_of(call)
            call.body = request.body  # not read before it is known who sends it
            return handle(call, caller)
        except Exception as error:  # noqa: BLE001 - it is answered
            return single.refused(error, language=call.language).reply()


def answer_message(request: HttpRequest) -> Reply:
    """Accept one message: 202 once it is committed."""
    return _answered(request, single.answer)


def answer_batch(request: HttpRequest) -> Reply:
    """Accept up to 10,000 messages: 202 once all of them are committed."""
    return _answered(request, _take_batch)


def as_response(reply: Reply) -> HttpResponse:
    """Return a reply as Django's response."""
    return HttpResponse(reply.body, headers=dict(reply.headers), status=reply.status)


def _take_batch(call: Call, caller: Caller) -> Reply:
    with system.load_monitor.watch():
        repeatable = single.repeatable_of(call)
        earlier = repeats.find_repeated(tenant_id=caller.tenant_id, is_sandbox=caller.is_sandbox, repeatable=repeatable)
        if earlier is not None:
            return _accepted(earlier, repeated=True)
        body = bodies.read_batch(call.body)
        single.refuse_beyond_the_backlog(body.priority)
        cost = max(1, min(len(body.recipients), prepare.MAX_RECIPIENTS))  # more are refused as invalid
        with limits.handing_over(caller, ip=call.ip, cost=cost, priority=body.priority, template=body.template) as passed:
            try:
                answer = _accept_batch(body, caller, repeatable, w3c.parent_in(call.traceparent))
            except Exception as error:  # noqa: BLE001 - it is answered, with what the limits say
                return single.refused(error, language=call.language, passed=passed).reply()
    outage.database.mark_up()
    return _accepted(answer, passed=passed)


def _accepted(body: dict[str, object], *, repeated: bool = False, passed: Pass | None = None) -> Reply:
    found = [("content-type", JSON)]
    if repeated:
        found.append(("idempotent-replayed", "true"))
    return Reply(202, found + single.limit_headers(passed), orjson.dumps(body))


def _in_the_batch(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the error of a row with its path in the batch; what is of no row stays as it is."""
    return {**entry, "field": f"recipients[{entry['index']}].{entry['field']}".rstrip(".")} if "index" in entry else entry


def _accept_batch(body: bodies.BatchIn, caller: Caller, repeatable: Repeatable | None, traceparent: str) -> dict[str, object]:
    now, batch_id = timezone.now(), new_id()
    prepared = prepare.prepare_batch(body, caller=caller, now=now, batch_id=batch_id)
    rejected, wording = prepared.rejected, prepared.frame.wording
    if rejected and (body.on_error == "reject" or not prepared.rows):
        told = bounded(rejected)
        raise Invalid(
            _("Nothing was stored. Correct these rows, or send on_error: skip to leave them out."),
            errors=[_in_the_batch(entry) for entry in told],
            accepted=0,
            rejected=told,
        )
    batch = Batch(
        id=batch_id,
        tenant_id=caller.tenant_id,
        api_key_id=caller.key_id,
        name=body.name,
        channel=body.channel,
        template_version_id=wording.version_id if wording else None,
        priority=body.priority,
        accepted=len(prepared.rows),
        rejected=len({entry["index"] for entry in rejected}),
        dropped=len(prepared.dropped),
        send_at=body.send_at,
        created_at=now,
    )
    return accept.accept_batch(batch=batch, is_sandbox=caller.is_sandbox, prepared=prepared, repeatable=repeatable, traceparent=traceparent)
