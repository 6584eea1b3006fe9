"""One message on its way in: from a call to its finished answer.

`receive` is for the event loop and lets no thread wait: a thread checks the message and hands it to the writer of the group, and the
writer's thread publishes the outcome. `answer` is for a caller that has a thread to wait in. Both check, store and answer alike.

Nothing here is Django's request: what the web server knows of a call is read as it is. See `posthaste/rsgi.py` and `views/intake.py`.

What if something goes wrong: the error is the outcome, and becomes a problem in the language of the call where it is found. A call is
authenticated and decoded once, whatever becomes of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import orjson
from django.conf import settings
from django.http import QueryDict
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services.api_keys import Caller, recognise
from messaging.intake import accept, bodies, limits, prepare, repeats
from messaging.intake.repeats import KEY_FORM, Answer, Repeatable
from messaging.queueing.admission import admission_control
from messaging.scopes import SEND
from messaging.storage.store import NewRow
from posthaste.lib import outage
from posthaste.lib.filters import check_parameters
from posthaste.lib.flow import gate, headers, system
from posthaste.lib.flow.limiter import Pass
from posthaste.lib.json_syntax import JSON
from posthaste.lib.jsonbodies import must_accept_json, must_be_json
from posthaste.lib.problem_responses import Reply, reply_to
from posthaste.lib.problems import Forbidden, Invalid, Malformed, TooMany, Unavailable
from posthaste.lib.queues import URGENT
from tracing import w3c


@dataclass(slots=True)
class Call:
    """What a request says. Its body is read only when it is known who calls."""

    path: str
    authorization: str
    ip: str
    accept: str
    content_type: str
    content_encoding: str
    idempotency_key: str | None
    language: str
    query: str = ""
    body: bytes = b""
    traceparent: str = ""  # as it came


def limit_headers(passed: Pass | None) -> list[tuple[str, str]]:
    """Return what an answer says about the limits: nothing if its request was not counted."""
    return [(name.lower(), value) for name, value in headers.of(passed).items()] if passed is not None else []


@dataclass(frozen=True, slots=True)
class Accepted:
    """The message is stored, and committed."""

    answer: Answer
    passed: Pass | None

    def reply(self) -> Reply:
        """Return the 202."""
        found = [("content-type", JSON)]
        if self.answer.repeated:
            found.append(("idempotent-replayed", "true"))
        return Reply(202, found + limit_headers(self.passed), orjson.dumps(self.answer.as_dict()))


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was stored, or after a time-out it is not known.

    It holds the answer and not the error, whose traceback would refer to the frame that holds this: such a cycle keeps the whole request
    until the garbage collector runs.
    """

    answer: Reply

    def reply(self) -> Reply:
        """Return the problem."""
        return self.answer


@dataclass(frozen=True, slots=True)
class Checked:
    """A message that may be stored; the limits are asked for it with its group."""

    row: NewRow
    repeatable: Repeatable | None
    entry: gate.Entry | None
    language: str
    began: float
    traceparent: str = ""

    @property
    def must_wait(self) -> bool:
        """Whether a rule queues requests, so that this one needs a thread to wait in."""
        return self.entry is not None and self.entry.plan.waits

    def post(self, publish: "Callable[[Accepted | Refused], None]") -> None:
        """Hand the message to the writer of its group, whose thread calls `publish` with the outcome."""

        def written(outcome: Answer | BaseException) -> None:
            publish(self._end(outcome))

        accept.post_message(self.row, repeatable=self.repeatable, entry=self.entry, traceparent=self.traceparent, receive=written)

    def store(self) -> Accepted | Refused:
        """Wait for a turn where a rule queues requests, store the message, and return the outcome."""
        try:
            outcome = self._store()
        except Exception as error:  # noqa: BLE001 - it is the outcome
            return self._end(error)
        return self._end(outcome)

    def _store(self) -> Answer:
        try:
            gate.wait(self.entry)
        except TooMany:
            row, repeatable = self.row, self.repeatable
            if repeatable is None:
                raise
            earlier = repeats.find_answered(tenant_id=row.tenant_id, is_sandbox=row.is_sandbox, repeatable=repeatable)
            if earlier is None:
                raise
            return earlier
        return accept.accept_message(self.row, repeatable=self.repeatable, entry=self.entry, traceparent=self.traceparent)

    def _end(self, outcome: Answer | BaseException) -> Accepted | Refused:
        system.load_monitor.finish(self.began)
        gate.over(self.entry)
        passed = self.entry.passed if self.entry is not None else None
        if not isinstance(outcome, Answer):
            return refused(outcome, language=self.language, passed=passed)
        outage.database.mark_up()
        return Accepted(outcome, passed)


def refused(error: BaseException, *, language: str, passed: Pass | None = None) -> Refused:
    """Return an error as an outcome, and note it where the database is lost. `passed`: the limits had counted the request by then."""
    if outage.is_connection_lost(error):
        outage.database.mark_down()
    return Refused(reply_to(error, language=language, headers=limit_headers(passed)))


def caller_of(call: Call) -> Caller:
    """Return the caller, who may hand over messages.

    Raises:
        Problem: The caller does not accept JSON, the key is missing, wrong or lacks the scope, the body is not declared as JSON, or the
            database is away. Or the address has parameters.
    """
    must_accept_json(call.accept)
    if outage.database.is_down():
        raise Unavailable
    caller = recognise(call.authorization, ip=call.ip, now=timezone.now())
    if not caller.may(SEND):
        raise Forbidden(_("This key lacks the scope {scope}.").format(scope=SEND))
    must_be_json(call.content_type, call.content_encoding)
    if call.query:
        check_parameters(QueryDict(call.query), {})
    return caller


def repeatable_of(call: Call) -> Repeatable | None:
    """Return the call's Idempotency-Key with the digest of what it is used for.

    Raises:
        Invalid: The key is not of the documented form.
    """
    return None if call.idempotency_key is None else Repeatable.of(call.idempotency_key, path=call.path, body=call.body)


def refuse_beyond_the_backlog(priority: int) -> None:
    """Refuse what is not urgent while too much is waiting.

    Raises:
        TooMany: The backlog is full.
    """
    if priority < URGENT and admission_control.is_full():
        raise TooMany(
            gettext_lazy("Too many messages are waiting to be sent. Nothing was stored; try again later."), retry_after_seconds=30
        )


def _check(call: Call, caller: Caller, began: float) -> Checked | Accepted:
    try:
        return _checked(call, caller, began)
    except (Malformed, Invalid, TooMany):
        # Its key counts before what is wrong with it now. Only here, as the writer looks up the keys of all others.
        earlier = _answered_before(call, caller)
        if earlier is None:
            raise
    system.load_monitor.finish(began)
    return Accepted(earlier, None)


def _answered_before(call: Call, caller: Caller) -> Answer | None:
    """Return the first answer to the same request, if its key was used for it.

    Raises:
        KeyReused: The key was used for another request.
    """
    if call.idempotency_key is None or not KEY_FORM.fullmatch(call.idempotency_key):
        return None
    repeatable = Repeatable.of(call.idempotency_key, path=call.path, body=call.body)
    return repeats.find_answered(tenant_id=caller.tenant_id, is_sandbox=caller.is_sandbox, repeatable=repeatable)


def _checked(call: Call, caller: Caller, began: float) -> Checked:
    message = bodies.read_message(call.body)
    refuse_beyond_the_backlog(message.priority)
    row = prepare.prepare_message(message, caller=caller, now=timezone.now())
    repeatable = repeatable_of(call)
    entry = limits.entry_of(caller, ip=call.ip, priority=row.priority, recipient=row.recipient, template=message.template)
    return Checked(row, repeatable, entry, call.language, began, w3c.parent_in(call.traceparent))


def check(call: Call, caller: Caller | None = None) -> Accepted | Refused | Checked:
    """Check one message, whose caller may be known already, in a thread that speaks the call's language or the default one."""
    if call.language != settings.LANGUAGE_CODE:
        with translation.override(call.language):
            return _checked_or_refused(call, caller)
    return _checked_or_refused(call, caller)


def _checked_or_refused(call: Call, caller: Caller | None) -> Accepted | Refused | Checked:
    began = system.load_monitor.start()
    try:
        return _check(call, caller or caller_of(call), began)
    except Exception as error:  # noqa: BLE001 - it is the outcome
        system.load_monitor.finish(began)
        return refused(error, language=call.language)


def receive(call: Call, publish: Callable[[Accepted | Refused | Checked], None]) -> None:
    """Check a message and hand it in without waiting.

    `publish` is called with the outcome, by this thread or by the one that writes. The outcome is `Checked` where the message must wait
    for its turn first: call its `store` in a thread that may wait.
    """
    outcome = check(call)
    if isinstance(outcome, Checked) and not outcome.must_wait:
        outcome.post(publish)
    else:
        publish(outcome)


def answer(call: Call, caller: Caller) -> Reply:
    """Check and store a message of a known caller and return the finished answer."""
    checked = check(call, caller)
    outcome = checked.store() if isinstance(checked, Checked) else checked
    return outcome.reply()
