"""The way in: single messages and batches.

The hot path of the platform, so both are plain views: msgspec decodes and checks in one step, no DRF request is built.
The DRF classes that hold them answer the other methods and describe them in the API reference.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import orjson
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from configcenter.services.api_keys import SEND, Caller, recognise
from messaging.models import Batch
from messaging.queues import URGENT
from messaging.services import accept, limits, prepare
from messaging.services.accept import Repeatable
from messaging.services.room import door
from posthaste.lib import outage
from posthaste.lib.addresses import client_ip
from posthaste.lib.flow import headers, system
from posthaste.lib.flow.limiter import Pass
from posthaste.lib.ids import new_id
from posthaste.lib.problems import Forbidden, Invalid, TooMany, Unavailable, UnsupportedType, from_exception

#: In the environment of a request that the limits have let in: should it be asked again (see posthaste/wsgi.py), it counts once.
LET_IN = "posthaste.let_in"
KEY_FORM = re.compile(r"[\x21-\x7e]{1,128}")


def _guarded(handle: Callable[[HttpRequest, Caller], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Authentication, scope, and problems as responses: what DRF does elsewhere."""

    def view(request: HttpRequest) -> HttpResponse:
        try:
            if outage.database.spares():
                raise Unavailable
            caller = recognise(request.META.get("HTTP_AUTHORIZATION", ""), ip=client_ip(request), now=timezone.now())
            if not caller.may(SEND):
                raise Forbidden(_("This key lacks the scope {scope}.").format(scope=SEND))
            if request.content_type != "application/json":
                raise UnsupportedType(_("Send the header 'Content-Type: application/json'."))
            with system.gauge.watch():
                response = handle(request, caller)
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
def _let_in(
    request: HttpRequest, caller: Caller, *, cost: int, priority: int, recipient: str = "", template: str | None = None
) -> Iterator[Pass | None]:
    """The limits, asked once for a request."""
    if request.META.get(LET_IN):
        yield None
        return
    with limits.handing_over(caller, ip=client_ip(request), cost=cost, priority=priority, recipient=recipient, template=template) as passed:
        request.META[LET_IN] = True
        yield passed


def _repeatable(request: HttpRequest) -> Repeatable | None:
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")  # request.headers would sort out all of them first
    if key is None:
        return None
    if not KEY_FORM.fullmatch(key):
        raise Invalid.field("Idempotency-Key", _("1 to 128 printable ASCII characters without blanks."))
    return Repeatable(key, hashlib.sha256(b"\0".join((request.path_info.rstrip("/").encode(), request.body))).digest())


def _accepted(body: dict[str, object], *, repeated: bool = False, passed: Pass | None = None) -> HttpResponse:
    response = HttpResponse(orjson.dumps(body), content_type="application/json", status=202)
    if repeated:
        response["Idempotent-Replayed"] = "true"
    if passed is not None:
        for name, value in headers.of(passed).items():
            response[name] = value
    return response


def _refuse_beyond_the_backlog(priority: int) -> None:
    if priority < URGENT and door.is_full():
        raise TooMany(
            gettext_lazy("Too many messages are waiting to be sent. Nothing was stored; try again later."), retry_after_seconds=30
        )


@_guarded
def post_message(request: HttpRequest, caller: Caller) -> HttpResponse:
    """This function will accept one message: 202 once it is committed."""
    message = prepare.read_message(request.body)
    _refuse_beyond_the_backlog(message.priority)
    row = prepare.prepare_message(message, caller=caller, now=timezone.now())
    repeatable = _repeatable(request)
    if request.META.get(LET_IN):
        answer = accept.accept_message(row, repeatable=repeatable)
        return _accepted(answer.as_dict(), repeated=answer.repeated)
    with limits.handing_over_one(
        caller, ip=client_ip(request), priority=row.priority, recipient=row.recipient, template=message.template
    ) as entry:
        try:
            answer = accept.accept_message(row, repeatable=repeatable, entry=entry)
        finally:
            passed = entry.passed if entry else None
            request.META[LET_IN] = passed is not None
    return _accepted(answer.as_dict(), repeated=answer.repeated, passed=passed)


@_guarded
def post_batch(request: HttpRequest, caller: Caller) -> HttpResponse:
    """This function will accept up to 10,000 messages: 202 once all of them are committed."""
    repeatable = _repeatable(request)
    earlier = accept.find_repeated(tenant_id=caller.tenant_id, repeatable=repeatable)
    if earlier is not None:
        return _accepted(earlier, repeated=True)
    body = prepare.read_batch(request.body)
    _refuse_beyond_the_backlog(body.priority)
    cost = min(len(body.recipients), prepare.MOST_RECIPIENTS)  # more are refused as invalid
    with _let_in(request, caller, cost=max(1, cost), priority=body.priority, template=body.template) as passed:
        answer = _accept_batch(body, caller, repeatable)
    return _accepted(answer, passed=passed)


def _accept_batch(body: prepare.BatchIn, caller: Caller, repeatable: Repeatable | None) -> dict[str, object]:
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
