"""One message on its way in, in two steps, so that no thread has to wait for its group: `take` checks it and hands it in, and the thread
that writes the group tells what became of it.

Nothing here is Django's request: what the web server knows of a call is read as it is. See `posthaste/rsgi.py`, which calls `take`,
and `views/intake.py`, which does the same for whoever has a thread to wait with.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

import orjson
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services.api_keys import Caller, recognise
from messaging.intake import accept, bodies, limits, prepare
from messaging.intake.accept import Answer, Repeatable
from messaging.queueing.admission import door
from messaging.scopes import SEND
from messaging.storage.store import NewRow
from posthaste.lib import outage
from posthaste.lib.flow import gate, headers, system
from posthaste.lib.flow.limiter import Pass
from posthaste.lib.problems import Forbidden, Invalid, TooMany, Unavailable, UnsupportedType
from posthaste.lib.queues import URGENT

KEY_FORM = re.compile(r"[\x21-\x7e]{1,128}")
JSON = "application/json"


@dataclass(slots=True)
class Call:
    """What a request says. Its body need not be there before it is known who calls."""

    path: str
    authorization: str
    ip: str
    content_type: str
    idempotency_key: str | None
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Checked:
    """A message that may be stored."""

    row: NewRow
    repeatable: Repeatable | None
    entry: gate.Entry | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the caller is told."""

    answer: Answer
    passed: Pass | None

    @property
    def body(self) -> bytes:
        return orjson.dumps(self.answer.as_dict())

    @property
    def headers(self) -> list[tuple[str, str]]:
        found = [("content-type", JSON)]
        if self.answer.repeated:
            found.append(("idempotent-replayed", "true"))
        if self.passed is not None:
            found += [(name.lower(), value) for name, value in headers.of(self.passed).items()]
        return found


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Nothing was stored here: `error` says why; None: a thread that can wait has to do it. `is_counted`: the limits have let it in."""

    error: BaseException | None
    is_counted: bool = False


def caller_of(call: Call) -> Caller:
    """Return whoever calls, if he may hand over messages.

    Raises:
        Problem: he may not, or the database is away.
    """
    if outage.database.spares():
        raise Unavailable
    caller = recognise(call.authorization, ip=call.ip, now=timezone.now())
    if not caller.may(SEND):
        raise Forbidden(_("This key lacks the scope {scope}.").format(scope=SEND))
    if call.content_type.partition(";")[0].strip().lower() != JSON:
        raise UnsupportedType(_("Send the header 'Content-Type: application/json'."))
    return caller


def repeatable_of(call: Call) -> Repeatable | None:
    """Return the call's Idempotency-Key with the digest of what it is used for.

    Raises:
        Invalid: it has not the form of one.
    """
    key = call.idempotency_key
    if key is None:
        return None
    if not KEY_FORM.fullmatch(key):
        raise Invalid.field("Idempotency-Key", _("1 to 128 printable ASCII characters without blanks."))
    return Repeatable(key, hashlib.sha256(b"\0".join((call.path.rstrip("/").encode(), call.body))).digest())


def refuse_beyond_the_backlog(priority: int) -> None:
    """Refuse what is not urgent while too much is waiting.

    Raises:
        TooMany: it is.
    """
    if priority < URGENT and door.is_full():
        raise TooMany(
            gettext_lazy("Too many messages are waiting to be sent. Nothing was stored; try again later."), retry_after_seconds=30
        )


def check(call: Call, caller: Caller, *, is_counted: bool = False) -> Checked:
    """Check one message; `is_counted`: the limits have let it in before.

    Raises:
        Problem: it can't be accepted.
    """
    message = bodies.read_message(call.body)
    refuse_beyond_the_backlog(message.priority)
    row = prepare.prepare_message(message, caller=caller, now=timezone.now())
    repeatable = repeatable_of(call)
    if is_counted:
        return Checked(row, repeatable, None)
    entry = limits.entry_of(caller, ip=call.ip, priority=row.priority, recipient=row.recipient, template=message.template)
    return Checked(row, repeatable, entry)


def take(call: Call, tell: Callable[[Accepted | NotTaken], None]) -> None:
    """Check a message and hand it in; `tell` is called with the outcome, here or by the thread that writes."""
    began = system.gauge.began()
    try:
        checked = check(call, caller_of(call))
    except Exception as error:  # noqa: BLE001 - told to whoever answers
        system.gauge.ended(began)
        _note(error)
        tell(NotTaken(error))
        return
    entry = checked.entry
    if entry is not None and entry.plan.waits:
        system.gauge.ended(began)
        tell(NotTaken(None))
        return

    def written(outcome: Answer | BaseException) -> None:
        system.gauge.ended(began)
        gate.over(entry)
        passed = entry.passed if entry is not None else None
        if isinstance(outcome, Answer):
            outage.database.over()
            tell(Accepted(outcome, passed))
        else:
            _note(outcome)
            tell(NotTaken(outcome, is_counted=passed is not None))

    accept.post_message(checked.row, repeatable=checked.repeatable, entry=entry, tell=written)


def _note(error: BaseException) -> None:
    if outage.is_connection_lost(error):
        outage.database.noticed()
