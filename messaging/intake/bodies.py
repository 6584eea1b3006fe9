"""What callers send: the shapes of a message and of a batch, read and checked in one step by msgspec.

What only makes sense together (a template and its variables, two times, a recipient and a channel) is checked in `prepare`.
"""

from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from django.utils.translation import gettext as _
from msgspec import Meta, Struct

from posthaste.lib.jsonbodies import refuse_nul
from posthaste.lib.problems import Invalid, Malformed

MAX_BODY_CHARACTERS = 200_000

Priority = Annotated[int, Meta(ge=0, le=10)]
Text = Annotated[str, Meta(max_length=MAX_BODY_CHARACTERS)]
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


def problem_of(error: msgspec.ValidationError, prefix: str = "") -> dict[str, str]:
    """Return msgspec's error as an entry of a problem: `field` (a dotted path behind `prefix`), `code` and `message`."""
    text, _sep, path = str(error).partition(" - at `$")
    field = path.rstrip("`").replace("[...]", "").strip(".")  # [...]: some value of an object, which one is not told
    if text.startswith("Object missing required field `"):
        name = text.split("`")[1]
        return {"field": ".".join(filter(None, (prefix, field, name))), "code": "required", "message": _("This field is required.")}
    if text.startswith("Object contains unknown field `"):
        name = text.split("`")[1]
        return {"field": ".".join(filter(None, (prefix, field, name))), "code": "unknown", "message": _("Unknown field.")}
    return {"field": ".".join(filter(None, (prefix, field))), "code": "invalid", "message": text}


def _explain(body: bytes, kind: type[Struct], first: msgspec.ValidationError) -> Invalid:
    """Build the error that names every wrong field: msgspec stops at the first, so each field is decoded separately."""
    raw = msgspec.json.decode(body, type=dict[str, msgspec.Raw]) if body.lstrip()[:1] == b"{" else None
    if raw is None:
        return Invalid.field("", _("The body must be a JSON object."), "invalid")
    errors = []
    known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, value in raw.items():
        if name not in known:
            errors.append(
                {"field": name, "code": "unknown", "message": _("Unknown field. Available: {known}.").format(known=", ".join(known))}
            )
            continue
        try:
            msgspec.json.decode(value, type=known[name].type)
        except msgspec.ValidationError as error:
            errors.append(problem_of(error, name))
    errors += [
        {"field": name, "code": "required", "message": _("This field is required.")}
        for name, field in known.items()
        if field.required and name not in raw
    ]
    return Invalid(errors=errors or [problem_of(first)])


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


def read_message(body: bytes) -> MessageIn:
    """Read the body of a single message.

    Raises:
        Malformed: no JSON.
        Invalid: fields of the wrong type or shape.
    """
    return _decode(body, _message_decoder, MessageIn)


def read_batch(body: bytes) -> BatchIn:
    """Read the frame of a batch; the rows stay undecoded.

    Raises:
        Malformed: no JSON.
        Invalid: fields of the wrong type or shape.
    """
    return _decode(body, _batch_decoder, BatchIn)


def read_recipient(row: msgspec.Raw) -> RecipientIn:
    """Read one row of a batch.

    Raises:
        msgspec.ValidationError: its first mistake, see `problem_of`.
    """
    return _recipient_decoder.decode(row)
