"""The JSON that a system posts, as something incoming."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any

from django.utils.translation import gettext as _
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from configcenter.services.validation import explain
from messaging.channels.recipients import normalise_recipient
from posthaste.lib.blank import is_blank
from posthaste.lib.control_characters import find_control
from posthaste.lib.problems import Invalid, Malformed
from routing.contract import Incoming, IncomingFile, SenderName
from routing.conversations.attachments import MAX_FILES
from routing.customers.values import normalise
from routing.models import IdentityKind

Short = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True, allow_inf_nan=False)


class Sender(_Part):
    """Who wrote. The system that signs answers for `id`; `verified` says that it has proved address and number, too."""

    id: str = Field(min_length=1, max_length=200)
    name: Short = ""
    email: str = Field("", max_length=320)
    phone: str = Field("", max_length=40)
    verified: bool = False


class File(_Part):
    """A file, in Base64."""

    name: str = Field(min_length=1, max_length=200)
    content: str


class Body(_Part):
    """One text."""

    id: str = Field(min_length=1, max_length=200)
    sender: Sender = Field(alias="from")
    text: str = Field("", max_length=20_000)
    thread: str = Field("", max_length=200)
    subject: str = Field("", max_length=300)
    language: str = Field("", max_length=16)
    group: str = Field("", max_length=80)
    sent_at: Annotated[AwareDatetime | None, Field(strict=False)] = None
    attributes: dict[str, str | int | float | bool | list[str] | None] = Field(default_factory=dict, max_length=20)
    files: list[File] = Field(default_factory=list, max_length=MAX_FILES)


def read(body: bytes, *, received_at: datetime) -> Incoming:
    """Read a posted text.

    Raises:
        Malformed: it is no JSON.
        Invalid: naming each wrong field.
    """
    try:
        body.decode()
    except UnicodeDecodeError:
        raise Malformed(_("The body must be JSON in UTF-8.")) from None
    try:
        found = Body.model_validate_json(body)
    except ValidationError as error:
        if any(entry["type"] == "json_invalid" for entry in error.errors(include_input=False, include_url=False)):
            raise Malformed(_("The body is not valid JSON.")) from None
        raise Invalid(errors=explain(error)) from None
    errors: list[dict[str, Any]] = []
    if control := find_control(found.id):
        said = _("The value must not contain the control character {character}.").format(character=control)
        errors.append({"field": "id", "code": "invalid", "message": said})
    try:
        normalise(IdentityKind.OWN, found.sender.id)
    except ValueError as error:
        errors.append({"field": "from.id", "code": "invalid", "message": str(error)})
    also = _also(found.sender, errors)
    files = _files(found.files, errors)
    if is_blank(found.text) and not files and not errors:
        errors.append({"field": "text", "code": "required", "message": _("Send a text or a file.")})
    if errors:
        raise Invalid(errors=errors)
    return Incoming(
        external_id=found.id,
        sender=SenderName(IdentityKind.OWN, found.sender.id, verified=True, name=found.sender.name),
        also=tuple(also),
        text=found.text,
        files=tuple(files),
        thread=found.thread,
        subject=found.subject,
        language=found.language,
        sent_at=found.sent_at or received_at,
        attributes=found.attributes,
        group=found.group,
        details={"thread": found.thread, "subject": found.subject},
    )


def _also(sender: Sender, errors: list[dict[str, Any]]) -> list[SenderName]:
    also = []
    for kind, channel, value in ((IdentityKind.EMAIL, "email", sender.email), (IdentityKind.PHONE, "sms", sender.phone)):
        if value:
            try:
                also.append(SenderName(kind, normalise_recipient(channel, value), verified=sender.verified))
            except ValueError as error:
                errors.append({"field": f"from.{kind}", "code": "invalid", "message": str(error)})
    return also


def _files(files: list[File], errors: list[dict[str, Any]]) -> list[IncomingFile]:
    found = []
    for index, file in enumerate(files):
        try:
            found.append(IncomingFile(name=file.name, content=base64.b64decode(file.content, validate=True)))
        except (binascii.Error, ValueError):
            errors.append({"field": f"files[{index}].content", "code": "invalid", "message": _("Must be Base64.")})
    return found
