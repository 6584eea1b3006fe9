"""From what a caller sent to a row that can be stored, or to an error that names the field."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import orjson
from django.utils.translation import gettext as _

from accounts.services.api_keys import Caller
from messaging.channels.channel import EMAIL, SMS, open_choices
from messaging.channels.recipients import normalise_recipient
from messaging.channels.registry import CHANNELS
from messaging.configuration import message_limits
from messaging.content import templates
from messaging.content.templates import Wording
from messaging.content.variables import unstorable
from messaging.intake.bodies import BatchIn, MessageIn, problem_of, read_recipient
from messaging.intake.duplicates import Duplicates, EarlierRows
from messaging.models import Status
from messaging.storage.store import NewRow
from messaging.suppression import unsubscribe
from posthaste.lib import liquid, sms, zones
from posthaste.lib.blank import is_blank
from posthaste.lib.control_characters import find_control
from posthaste.lib.dates import OUT_OF_RANGE, is_in_range
from posthaste.lib.ids import new_id
from posthaste.lib.problems import MAX_ERRORS, Invalid, bounded, errors_for

MAX_RECIPIENTS = 10_000
MAX_SCHEDULE_AHEAD = timedelta(days=365)
MAX_ROW_ERRORS = 5  # that are told of one row of a batch


def _required(name: str) -> dict[str, Any]:
    return {"field": f"variables.{name}", "code": "required", "message": _("The template requires this variable.")}


class Frame:
    """What all messages of a request share, checked once: channel, template, times."""

    def __init__(self, request: MessageIn | BatchIn, *, caller: Caller, now: datetime) -> None:
        self.errors: list[dict[str, Any]] = []
        self.caller = caller
        self.now = now
        self.request = request
        self.wording: Wording | None = None
        if request.channel not in CHANNELS:
            known = ", ".join(code for code, _label in open_choices())
            said = _("There is no channel {channel}. Available: {known}.").format(channel=request.channel, known=known)
            self._wrong("channel", "unknown", said)
        elif refusal := CHANNELS[request.channel].refusal:
            self._wrong("channel", "not_allowed", str(refusal))
        # The text without variables is the same for everybody: its segments are counted once.
        self.limits = message_limits.of(caller.tenant_id)
        self.plain_segments: int | None = None
        self._check_text()
        self._check_times()
        if request.time_zone and zones.zone(request.time_zone) is None:
            self._wrong("time_zone", "unknown", _("There is no time zone with this name. Use one such as Europe/Paris."))
        self.category = request.category or (self.wording.category if self.wording else "")
        if self.wording and self.wording.needs_link:
            self._check_link()
        self.errors += unstorable("metadata", request.metadata)
        if found := find_control(request.subject):
            said = _("A subject is one line without control characters. This one contains {character}.").format(character=found)
            self._wrong("subject", "invalid", said)

    def _wrong(self, field: str, code: str, message: str) -> None:
        self.errors.append({"field": field, "code": code, "message": message})

    def _check_text(self) -> None:
        request = self.request
        if request.template is None:
            if not request.body:
                self._wrong("body", "required", _("Set a template or a body."))
                return
            if is_blank(request.body):
                self._wrong("body", "empty", _("The text has no visible character."))
            if request.channel == EMAIL and is_blank(request.subject):
                self._wrong("subject", "required", _("An e-mail needs a subject."))
            self.plain_segments, too_long = self._measure(request.body, "body")
            self.errors += too_long
            return
        for name in ("subject", "body"):
            if getattr(request, name):
                self._wrong(name, "not_allowed", _("Set either a template or a subject and body, not both."))
        self.wording = templates.template_cache.published(self.caller.tenant_id, request.template)
        if self.wording is None:
            self._wrong("template", "unknown", _("There is no published template {name}.").format(name=request.template))
        elif self.wording.channel != request.channel:
            self._wrong("template", "wrong_channel", _("This template is for the channel {channel}.").format(channel=self.wording.channel))
            self.wording = None

    def _measure(self, text: str, field: str, html: str = "") -> tuple[int | None, list[dict[str, Any]]]:
        """Return the segments of an SMS, and what is wrong with the length of a text."""
        if self.request.channel == SMS:
            segments, most = sms.count_segments(text).segments, self.limits.max_sms_segments
            if segments <= most:
                return segments, []
            said = _("At most {most} SMS segments. This text has {n}.").format(most=most, n=segments)
            return segments, [{"field": field, "code": "too_long", "message": said}]
        max_bytes = self.limits.max_body_bytes(self.request.channel)
        longest = max(text, html, key=len)
        if 4 * len(longest) <= max_bytes:  # a character has at most four bytes
            return None, []
        size = max(len(part.encode("utf-8", "surrogatepass")) for part in (text, html))
        if size <= max_bytes:
            return None, []
        said = _("At most {most} bytes on this channel. This text has {n}.").format(most=max_bytes, n=size)
        return None, [{"field": field, "code": "too_long", "message": said}]

    def _check_rendered(self, wording: Wording, variables: dict[str, Any]) -> tuple[int | None, list[dict[str, Any]]]:
        """Return the segments of an SMS, and what is wrong with the text that the variables give.

        Only an SMS, whose segments are stored, and texts that may be empty or too long are rendered here.
        """
        channel = self.request.channel
        if channel != SMS and wording.always_shows_text:
            size = len(orjson.dumps(variables)) if variables else 0
            if not wording.may_exceed(self.limits.max_body_bytes(channel), variables_bytes=size):
                return None, []
        try:
            address = unsubscribe.sample_url() if wording.links_to_unsubscribe and self._has_link() else None
            text = wording.render(variables, unsubscribe_url=address)
        except liquid.TemplateProblem as problem:
            return None, [{"field": "variables", "code": "template", "message": str(problem)}]
        if part := text.empty_part(needs_subject=channel == EMAIL):
            said = _("The subject is empty with this value.") if part == "subject" else _("The text is empty with this value.")
            emptied_by = [f"variables.{name}" for name in wording.emptied_by(part, variables)]
            return None, [{"field": field, "code": "empty", "message": said} for field in emptied_by or ["variables"]]
        return self._measure(text.body, "variables", text.html)

    def _check_times(self) -> None:
        request = self.request
        wrong = [name for name in ("send_at", "expires_at") if (time := getattr(request, name)) and not is_in_range(time)]
        for name in wrong:
            self._wrong(name, "out_of_range", str(OUT_OF_RANGE))
        if wrong:
            return
        if request.send_at and request.send_at > self.now + MAX_SCHEDULE_AHEAD:
            self._wrong("send_at", "too_far", _("Must be within a year."))
        if request.expires_at and request.expires_at <= self.now:
            self._wrong("expires_at", "past", _("Must be in the future."))
        elif request.expires_at and request.send_at and request.expires_at <= request.send_at:
            self._wrong("expires_at", "before_send_at", _("Must be after send_at."))

    def _has_link(self) -> bool:
        return unsubscribe.applies(tenant_id=self.caller.tenant_id, channel=self.request.channel, category=self.category)

    def _check_link(self) -> None:
        if not self._has_link():
            said = _(
                "The template uses {{ unsubscribe_url }}, which e-mails in this category do not have. Use a category with "
                "unsubscribe links, or put the link between {% if unsubscribe_url %} and {% endif %}."
            )
            self._wrong("category", "no_unsubscribe_link", said)

    def row(
        self, *, recipient: str, variables: dict[str, Any], reference: str, time_zone: str = "", batch_id: UUID | None = None
    ) -> tuple[NewRow | None, list[dict[str, Any]]]:
        """Return the row for one recipient, or what is wrong with it."""
        errors: list[dict[str, Any]] = []
        request = self.request
        if request.channel in CHANNELS:
            try:
                recipient = normalise_recipient(request.channel, recipient)
            except ValueError as error:
                errors.append({"field": "recipient", "code": "invalid", "message": str(error)})
        segments = self.plain_segments
        too_large = unstorable("variables", variables)  # before they are rendered
        if self.wording is not None:
            if self.wording.links_to_unsubscribe and unsubscribe.VARIABLE in variables:
                said = _("This variable is built in and filled in for each recipient. Leave it out.")
                errors.append({"field": f"variables.{unsubscribe.VARIABLE}", "code": "reserved", "message": said})
            missing = [name for name in self.wording.required if variables.get(name) is None]
            errors += errors_for(missing, _required, max_errors=MAX_ERRORS if batch_id is None else MAX_ROW_ERRORS)
            if not missing and not errors and not too_large:
                segments, wrong = self._check_rendered(self.wording, variables)
                errors += wrong
        elif variables and request.template is None:
            said = _("Variables require a template. A body is sent unchanged.")
            errors.append({"field": "variables", "code": "not_allowed", "message": said})
        errors += too_large
        if time_zone and zones.zone(time_zone) is None:
            errors.append(
                {
                    "field": "time_zone",
                    "code": "unknown",
                    "message": _("There is no time zone with this name. Use one such as Europe/Paris."),
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
    """Check a single message and return its row.

    Raises:
        Invalid: naming every wrong field.
    """
    frame = Frame(request, caller=caller, now=now)
    row, errors = frame.row(recipient=request.recipient, variables=request.variables, reference=request.reference)
    if frame.errors or row is None:
        raise Invalid(errors=frame.errors + errors)
    return row


def _of_row(index: int, errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"index": index, **error} for error in bounded(errors, max_errors=MAX_ROW_ERRORS)]


@dataclass(slots=True)
class PreparedBatch:
    """A checked batch: what its rows share, the good rows, and which were not taken.

    `rejected` has `{index, field, code, message}` for each mistake, `dropped` has `{index, same_as}` for each duplicate.
    """

    frame: Frame
    rows: list[NewRow] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[dict[str, int]] = field(default_factory=list)
    repeated: Counter[UUID] = field(default_factory=Counter)  # of the good rows: how many equal ones were dropped


def prepare_batch(request: BatchIn, *, caller: Caller, now: datetime, batch_id: UUID) -> PreparedBatch:
    """Check a batch and sort its rows into good, bad and repeated ones.

    Raises:
        Invalid: something all rows share is wrong, or there are none or too many.
    """
    frame = Frame(request, caller=caller, now=now)
    if not request.recipients:
        frame.errors.append({"field": "recipients", "code": "required", "message": _("At least one recipient is required.")})
    if len(request.recipients) > MAX_RECIPIENTS:
        frame.errors.append(
            {"field": "recipients", "code": "too_many", "message": _("At most {n} recipients per request.").format(n=MAX_RECIPIENTS)}
        )
    if frame.errors:
        raise Invalid(errors=frame.errors)
    prepared, earlier_rows = PreparedBatch(frame), EarlierRows(frame.wording)
    kept: dict[int, UUID] = {}  # by index
    for index, raw in enumerate(request.recipients):
        try:
            entry = read_recipient(raw)
        except msgspec.ValidationError as error:
            prepared.rejected += _of_row(index, [problem_of(error)])
            continue
        row, errors = frame.row(
            recipient=entry.recipient, variables=entry.variables, reference=entry.reference, time_zone=entry.time_zone, batch_id=batch_id
        )
        if row is None:
            prepared.rejected += _of_row(index, errors)
            continue
        same_as = None if request.duplicates == Duplicates.SEND else earlier_rows.same_as(index, row)
        if same_as is None:
            prepared.rows.append(row)
            kept[index] = row.id
        elif request.duplicates == Duplicates.DROP:
            prepared.dropped.append({"index": index, "same_as": same_as})
            prepared.repeated[kept[same_as]] += 1
        else:
            said = _("The same recipient with the same content as row {n}.").format(n=same_as)
            prepared.rejected.append({"index": index, "field": "recipient", "code": "duplicate", "message": said})
    return prepared
