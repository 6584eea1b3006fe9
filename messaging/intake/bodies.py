"""What callers send: the shapes of a message and of a batch, read and checked in one step by msgspec.

What only makes sense together (a template and its variables, two times, a recipient and a channel) is checked in `prepare`.
"""

import re
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from msgspec import Meta, Struct

from posthaste.lib.json_syntax import refuse_nul, why_malformed
from posthaste.lib.problems import MAX_ERRORS, Invalid, Malformed, more_errors

MAX_BODY_CHARACTERS = 200_000
CATEGORY = r"^[a-z0-9_.-]{0,40}$"
ON_ERROR = "^(reject|skip)$"
DUPLICATES = "^(send|drop|reject)$"

Priority = Annotated[int, Meta(ge=0, le=10)]
Text = Annotated[str, Meta(max_length=MAX_BODY_CHARACTERS)]
Short = Annotated[str, Meta(max_length=128)]
Subject = Annotated[str, Meta(max_length=998)]
Aware = Annotated[datetime, Meta(tz=True)]
Category = Annotated[str, Meta(pattern=CATEGORY, description="Lower case; empty: the template's.")]
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
    on_error: Annotated[str, Meta(pattern=ON_ERROR)] = "reject"
    duplicates: Annotated[str, Meta(pattern=DUPLICATES)] = "drop"
    metadata: dict[str, Any] = {}
    category: Category = ""
    time_zone: Zone = ""


# msgspec's words about a value and ours, which are translated when they are told: it has no codes for them.
TIME = gettext_noop("Must be a time with a time zone, such as 2026-01-31T08:00:00Z.")
_BOUND = re.compile(r"Expected `(?P<kind>int|str)` (of length )?(?P<sign>[<>])= (?P<bound>-?\d+)")
BOUNDS = {
    ("int", ">"): gettext_noop("Must be at least {ge}."),
    ("int", "<"): gettext_noop("Must be at most {le}."),
    ("str", ">"): gettext_noop("At least {min_length} characters."),
    ("str", "<"): gettext_noop("At most {max_length} characters."),
}
_PATTERN = re.compile(r"Expected `str` matching regex '(.+)'")
PATTERNS = {
    CATEGORY: gettext_noop("Up to 40 lower-case letters, digits and any of _ . -"),
    **dict.fromkeys((ON_ERROR, DUPLICATES), gettext_noop("Must be one of {expected}.")),
}
EXPECTED = {ON_ERROR: "reject, skip", DUPLICATES: "send, drop, reject"}
_TYPE = re.compile(r"Expected `(\w+)")
TYPES = {
    "str": gettext_noop("Must be a text."),
    "int": gettext_noop("Must be a whole number."),
    "object": gettext_noop("Must be an object."),
    "array": gettext_noop("Must be a list."),
    "datetime": TIME,
}
OTHERS = {
    "Invalid RFC3339 encoded datetime": TIME,
    **dict.fromkeys(("Number out of range", "Integer value out of range"), gettext_noop("This number is too large.")),
}
_MISSING = re.compile(r"Object missing required field `(.+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.+)`", re.DOTALL)

S = TypeVar("S", bound=Struct)
_message_decoder = msgspec.json.Decoder(MessageIn)
_batch_decoder = msgspec.json.Decoder(BatchIn)
_recipient_decoder = msgspec.json.Decoder(RecipientIn)


def problem_of(error: msgspec.ValidationError, prefix: str = "") -> dict[str, str]:
    """Return msgspec's error as an entry of a problem: `field` (a dotted path behind `prefix`), `code` and `message`."""
    text, _sep, path = str(error).partition(" - at `$")
    field = prefix + path.rstrip("`").replace("[...]", "")  # [...]: some value of an object, which one is not told
    if missing := _MISSING.fullmatch(text):
        return {"field": f"{field}.{missing[1]}".strip("."), "code": "required", "message": _("This field is required.")}
    if unknown := _UNKNOWN.fullmatch(text):
        return {"field": f"{field}.{unknown[1]}".strip("."), "code": "unknown", "message": _("Unknown field.")}
    return {"field": field.strip("."), "code": "invalid", "message": _message_of(text)}


def _message_of(text: str) -> str:
    """Return msgspec's message about a value in our words."""
    if match := _BOUND.fullmatch(text):
        bound = match["bound"]
        return _(BOUNDS[match["kind"], match["sign"]]).format_map(defaultdict(lambda: bound))
    if match := _PATTERN.fullmatch(text):
        return _(PATTERNS[match[1]]).format(expected=EXPECTED.get(match[1], ""))
    if match := _TYPE.match(text):
        return _(TYPES.get(match[1], text))
    return _(OTHERS.get(text, text))


class _Key:
    """Stands for every name of an object, so that a dictionary of them has one entry."""


def _unknown_names(body: bytes, known: Collection[str]) -> tuple[list[str], int]:
    """Return the first unknown names of a JSON object, and how many there are; only the first are kept in memory."""
    names: list[str] = []
    number, key = 0, _Key()

    def seen(_kind: type, name: Any) -> _Key:
        nonlocal number
        if name not in known:
            number += 1
            if number <= MAX_ERRORS:
                names.append(name)
        return key

    msgspec.json.decode(body, type=dict[_Key, msgspec.Raw], dec_hook=seen)
    return names, number


@cache
def _raw_decoder(kind: type[Struct]) -> "msgspec.json.Decoder[Any]":
    """Return a decoder that takes the known fields of an object as they stand, and passes over all others."""
    fields = [(field.name, msgspec.Raw, msgspec.Raw(b"")) for field in msgspec.structs.fields(kind)]
    return msgspec.json.Decoder(msgspec.defstruct(f"Raw{kind.__name__}", fields))


def _explain(body: bytes, kind: type[Struct], first: msgspec.ValidationError) -> Invalid:
    """Build the error that names the wrong fields: msgspec stops at the first, so each field is decoded separately."""
    if body.lstrip()[:1] != b"{":
        return Invalid.field("", _("The body must be a JSON object."), "invalid")
    known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    raw = msgspec.structs.asdict(_raw_decoder(kind).decode(body))
    errors: list[dict[str, Any]] = []
    for name, field in known.items():
        if not bytes(raw[name]):
            if field.required:
                errors.append({"field": name, "code": "required", "message": _("This field is required.")})
            continue
        try:
            msgspec.json.decode(raw[name], type=field.type)
        except msgspec.ValidationError as error:
            errors.append(problem_of(error, name))
    names, number = _unknown_names(body, known)
    message = _("Unknown field. Available: {known}.").format(known=", ".join(known))
    errors += [{"field": name, "code": "unknown", "message": message} for name in names]
    if number > len(names):
        errors.append(more_errors(number - len(names)))
    return Invalid(errors=errors or [problem_of(first)])


def _decode(body: bytes, decoder: "msgspec.json.Decoder[S]", kind: type[S]) -> S:
    refuse_nul(body)
    try:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            raise _explain(body, kind, error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed(why_malformed(body)) from None


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
