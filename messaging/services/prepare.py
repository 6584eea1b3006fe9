"""From what a caller sent to a row that can be stored, or to an error that names the field."""

from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
import orjson
from django.utils.translation import gettext as _
from msgspec import Meta, Struct

from configcenter.services.api_keys import Caller
from messaging.channels.recipients import normalise_recipient
from messaging.channels.registry import CHANNELS
from messaging.models import Status
from messaging.services import templates, unsubscribe
from messaging.services.store import NewRow
from messaging.services.templates import Wording
from posthaste.lib import liquid, sms, zones
from posthaste.lib.ids import new_id
from posthaste.lib.problems import Invalid, Malformed, refuse_nul

MOST_RECIPIENTS = 10_000
MOST_BODY_CHARACTERS = 200_000
MOST_JSON_BYTES = 16_384
FURTHEST_AHEAD = timedelta(days=365)

Priority = Annotated[int, Meta(ge=0, le=10)]
Text = Annotated[str, Meta(max_length=MOST_BODY_CHARACTERS)]
Short = Annotated[str, Meta(max_length=128)]
Subject = Annotated[str, Meta(max_length=998)]
Aware = Annotated[datetime, Meta(tz=True)]
Category = Annotated[str, Meta(pattern=r"^[a-z0-9_.-]{0,40}$", description="Lower case; empty: the template's.")]
Zone = Annotated[str, Meta(max_length=64, description="IANA name of the recipient's time zone, such as Europe/Paris.")]


class MessageIn(Struct, forbid_unknown_fields=True):
    """Body of `POST /api/messages/`."""

    channel: str
    recipient: Annotated[str, Meta(min_length=1, max_length=2048)]
    template: str | None = None
    variables: dict[str, Any] = {}
    subject: Subject = ""
    body: Text = ""
    priority: Priority = 5
    send_at: Aware | None = None
    expires_at: Aware | None = None
    reference: Short = ""
    metadata: dict[str, Any] = {}
    category: Category = ""
    time_zone: Zone = ""


class RecipientIn(Struct, forbid_unknown_fields=True):
    """One row of a batch."""

    recipient: Annotated[str, Meta(min_length=1, max_length=2048)]
    variables: dict[str, Any] = {}
    reference: Short = ""
    time_zone: Zone = ""


class BatchIn(Struct, forbid_unknown_fields=True):
    """Body of `POST /api/messages/batch`; its rows are checked one by one."""

    channel: str
    recipients: list[msgspec.Raw]
    name: Annotated[str, Meta(max_length=200)] = ""
    template: str | None = None
    subject: Subject = ""
    body: Text = ""
    priority: Priority = 5
    send_at: Aware | None = None
    expires_at: Aware | None = None
    on_error: Annotated[str, Meta(pattern="^(reject|skip)$")] = "reject"
    metadata: dict[str, Any] = {}
    category: Category = ""
    time_zone: Zone = ""


S = TypeVar("S", bound=Struct)
_message_decoder = msgspec.json.Decoder(MessageIn)
_batch_decoder = msgspec.json.Decoder(BatchIn)
_recipient_decoder = msgspec.json.Decoder(RecipientIn)


def _problem_of(error: msgspec.ValidationError, prefix: str = "") -> dict[str, str]:
    text, _sep, path = str(error).partition(" - at `$")
    field = path.rstrip("`").replace("[...]", "").strip(".")  # [...]: some value of an object, which one is not told
    if text.startswith("Object missing required field `"):
        name = text.split("`")[1]
        return {"field": ".".join(filter(None, (prefix, field, name))), "code": "required", "message": _("This field is required.")}
    if text.startswith("Object contains unknown field `"):
        name = text.split("`")[1]
        return {"field": ".".join(filter(None, (prefix, field, name))), "code": "unknown", "message": _("There is no such field.")}
    return {"field": ".".join(filter(None, (prefix, field))), "code": "invalid", "message": text}


def _explain(body: bytes, kind: type[Struct], first: msgspec.ValidationError) -> Invalid:
    """msgspec stops at the first mistake: for the answer each field is tried by itself, so that all are named."""
    raw = msgspec.json.decode(body, type=dict[str, msgspec.Raw]) if body.lstrip()[:1] == b"{" else None
    if raw is None:
        return Invalid.field("", _("The body must be a JSON object."), "invalid")
    errors = []
    known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, value in raw.items():
        if name not in known:
            errors.append(
                {"field": name, "code": "unknown", "message": _("There is no such field. Known: {known}.").format(known=", ".join(known))}
            )
            continue
        try:
            msgspec.json.decode(value, type=known[name].type)
        except msgspec.ValidationError as error:
            errors.append(_problem_of(error, name))
    errors += [
        {"field": name, "code": "required", "message": _("This field is required.")}
        for name, field in known.items()
        if field.required and name not in raw
    ]
    return Invalid(errors=errors or [_problem_of(first)])


def _decode(body: bytes, decoder: "msgspec.json.Decoder[S]", kind: type[S]) -> S:
    refuse_nul(body)
    try:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            raise _explain(body, kind, error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(_("Not valid JSON: {error}").format(error=error)) from None
    except RecursionError:
        raise Malformed(_("The JSON is nested too deeply.")) from None


def _unstorable(field: str, value: dict[str, Any]) -> list[dict[str, Any]]:
    """What keeps a JSON object of the caller's from being stored and passed on: nothing, as a rule."""
    try:
        size = len(orjson.dumps(value)) if value else 0
    except TypeError:  # orjson's error for what it can't write
        return [{"field": field, "code": "invalid", "message": _("Holds an integer of more than 64 bits, or is nested too deeply.")}]
    if size > MOST_JSON_BYTES:
        return [{"field": field, "code": "too_long", "message": _("At most {n} bytes of JSON.").format(n=MOST_JSON_BYTES)}]
    return []


def read_message(body: bytes) -> MessageIn:
    """This function will read the body of a single message.

    Raises:
        Malformed: no JSON.
        Invalid: fields of the wrong type or shape.
    """
    return _decode(body, _message_decoder, MessageIn)


def read_batch(body: bytes) -> BatchIn:
    """This function will read the frame of a batch; the rows stay undecoded.

    Raises:
        Malformed: no JSON.
        Invalid: fields of the wrong type or shape.
    """
    return _decode(body, _batch_decoder, BatchIn)


class Frame:
    """What all messages of a request share, checked once: channel, template, times."""

    def __init__(self, request: MessageIn | BatchIn, *, caller: Caller, now: datetime) -> None:
        self.errors: list[dict[str, Any]] = []
        self.caller = caller
        self.now = now
        self.request = request
        self.wording: Wording | None = None
        if request.channel not in CHANNELS:
            self._wrong(
                "channel",
                "unknown",
                _("There is no channel {channel}. Known: {known}.").format(channel=request.channel, known=", ".join(CHANNELS)),
            )
        self._check_text()
        self._check_times()
        if request.time_zone and zones.zone(request.time_zone) is None:
            self._wrong("time_zone", "unknown", _("There is no time zone of this name. Give one such as Europe/Paris."))
        self.category = request.category or (self.wording.category if self.wording else "")
        if self.wording and self.wording.needs_link:
            self._check_link()
        self.errors += _unstorable("metadata", request.metadata)
        if "\n" in request.subject or "\r" in request.subject:
            self._wrong("subject", "invalid", _("A subject is one line."))
        # The text without variables is the same for everybody: count its segments once.
        self.plain_segments = sms.count_segments(request.body).segments if request.channel == "sms" and request.body else None

    def _wrong(self, field: str, code: str, message: str) -> None:
        self.errors.append({"field": field, "code": code, "message": message})

    def _check_text(self) -> None:
        request = self.request
        if request.template is None:
            if not request.body:
                self._wrong("body", "required", _("Give a template, or a body."))
            elif request.channel == "email" and not request.subject:
                self._wrong("subject", "required", _("An e-mail needs a subject."))
            return
        for name in ("subject", "body"):
            if getattr(request, name):
                self._wrong(name, "not_allowed", _("Give either a template or subject and body, not both."))
        self.wording = templates.book.published(self.caller.tenant_id, request.template)
        if self.wording is None:
            self._wrong("template", "unknown", _("There is no published template {name}.").format(name=request.template))
        elif self.wording.channel != request.channel:
            self._wrong("template", "wrong_channel", _("This template is for the channel {channel}.").format(channel=self.wording.channel))
            self.wording = None

    def _check_times(self) -> None:
        request = self.request
        if request.send_at and request.send_at > self.now + FURTHEST_AHEAD:
            self._wrong("send_at", "too_far", _("At most a year ahead."))
        if request.expires_at and request.expires_at <= self.now:
            self._wrong("expires_at", "past", _("Lies in the past."))
        elif request.expires_at and request.send_at and request.expires_at <= request.send_at:
            self._wrong("expires_at", "before_send_at", _("Must be after send_at."))

    def _check_link(self) -> None:
        if not unsubscribe.applies(tenant_id=self.caller.tenant_id, channel=self.request.channel, category=self.category):
            said = _(
                "The template links to {{ unsubscribe_url }}, which e-mails of this category do not have. Give a category that has "
                "unsubscribe links, or write the link between {% if unsubscribe_url %} and {% endif %}."
            )
            self._wrong("category", "no_unsubscribe_link", said)

    def row(
        self, *, recipient: str, variables: dict[str, Any], reference: str, time_zone: str = "", batch_id: UUID | None = None
    ) -> tuple[NewRow | None, list[dict[str, Any]]]:
        """This function will give the row for one recipient, or what is wrong with it."""
        errors: list[dict[str, Any]] = []
        request = self.request
        if request.channel in CHANNELS:
            try:
                recipient = normalise_recipient(request.channel, recipient)
            except ValueError as error:
                errors.append({"field": "recipient", "code": "invalid", "message": str(error)})
        segments = self.plain_segments
        if self.wording is not None:
            if self.wording.links_to_unsubscribe and unsubscribe.VARIABLE in variables:
                said = _("This variable is built in and filled in for each recipient: leave it out.")
                errors.append({"field": f"variables.{unsubscribe.VARIABLE}", "code": "reserved", "message": said})
            missing = [name for name in self.wording.required if variables.get(name) is None]
            errors += [
                {"field": f"variables.{name}", "code": "required", "message": _("The template needs this variable.")} for name in missing
            ]
            if not missing and not errors:
                try:
                    if request.channel == "sms":
                        segments = sms.count_segments(self.wording.text(variables)).segments
                except liquid.TemplateProblem as problem:
                    errors.append({"field": "variables", "code": "template", "message": str(problem)})
        elif variables and request.template is None:
            errors.append(
                {"field": "variables", "code": "not_allowed", "message": _("Variables need a template; a body is sent as it is.")}
            )
        errors += _unstorable("variables", variables)
        if time_zone and zones.zone(time_zone) is None:
            errors.append(
                {
                    "field": "time_zone",
                    "code": "unknown",
                    "message": _("There is no time zone of this name. Give one such as Europe/Paris."),
                }
            )
        if errors:
            return None, errors
        return (
            NewRow(
                id=new_id(),
                tenant_id=self.caller.tenant_id,
                api_key_id=self.caller.key_id,
                batch_id=batch_id,
                channel=request.channel,
                recipient=recipient,
                priority=request.priority,
                status=Status.PENDING.value,
                is_sandbox=self.caller.is_sandbox,
                template_version_id=self.wording.version_id if self.wording else None,
                variables=variables,
                subject=request.subject,
                body=request.body,
                segments=segments,
                reference=reference,
                metadata=request.metadata,
                created_at=self.now,
                due_at=max(request.send_at, self.now) if request.send_at else self.now,
                expires_at=request.expires_at,
                category=self.category,
                time_zone=time_zone or request.time_zone,
            ),
            [],
        )


def prepare_message(request: MessageIn, *, caller: Caller, now: datetime) -> NewRow:
    """This function will check a single message and give its row.

    Raises:
        Invalid: naming every wrong field.
    """
    frame = Frame(request, caller=caller, now=now)
    row, errors = frame.row(recipient=request.recipient, variables=request.variables, reference=request.reference)
    if frame.errors or row is None:
        raise Invalid(errors=frame.errors + errors)
    return row


def prepare_batch(request: BatchIn, *, caller: Caller, now: datetime, batch_id: UUID) -> tuple[Frame, list[NewRow], list[dict[str, Any]]]:
    """This function will check a batch and give its frame, the good rows, and `{index, field, message}` for the bad ones.

    Raises:
        Invalid: something all rows share is wrong, or there are none or too many.
    """
    frame = Frame(request, caller=caller, now=now)
    if not request.recipients:
        frame.errors.append({"field": "recipients", "code": "required", "message": _("Give at least one recipient.")})
    if len(request.recipients) > MOST_RECIPIENTS:
        frame.errors.append(
            {"field": "recipients", "code": "too_many", "message": _("At most {n} recipients a request.").format(n=MOST_RECIPIENTS)}
        )
    if frame.errors:
        raise Invalid(errors=frame.errors)
    rows: list[NewRow] = []
    rejected: list[dict[str, Any]] = []
    for index, raw in enumerate(request.recipients):
        try:
            entry = _recipient_decoder.decode(raw)
        except msgspec.ValidationError as error:
            rejected.append({"index": index, **_problem_of(error)})
            continue
        row, errors = frame.row(
            recipient=entry.recipient, variables=entry.variables, reference=entry.reference, time_zone=entry.time_zone, batch_id=batch_id
        )
        if row is None:
            rejected += [{"index": index, **error} for error in errors]
        else:
            rows.append(row)
    return frame, rows, rejected
