"""Forms of public ticket types, and the tickets of a visitor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from posthaste.lib.blank import is_blank
from posthaste.lib.problems import Invalid
from routing.contract import Incoming, SenderName
from routing.conversations import arrivals
from routing.conversations.arrivals import Stored
from routing.entrances.portal import flood
from routing.entrances.portal.writing import CLIENT_ID
from routing.models import IdentityKind, PortalSession, Ticket, TicketKind, TicketType
from routing.portal import own
from routing.tickets import field_values
from routing.tickets import fields as definitions
from routing.tickets.field_values import FieldKind, Wrong
from routing.tickets.fields import Definition, Required

SUBJECT, DESCRIPTION, OWN = "subject", "description", "fields."
MAX_SUBJECT, MAX_DESCRIPTION = 300, 10_000
#: Of inputs for texts: as much as a ticket takes.
MAX_LENGTHS = {
    FieldKind.TEXT: field_values.MAX_TEXT, FieldKind.LONG_TEXT: field_values.MAX_LONG_TEXT, FieldKind.ORDER: 60, FieldKind.PHONE: 30,
}  # fmt: skip
RESOURCE = "help_ticket"
PER_VISITOR, PER_ADDRESS = 10, 60
MAX_TICKETS = 50


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form, in the reader's language."""

    name: str
    kind: str
    label: str
    help: str = ""
    required: bool = False
    choices: Sequence[tuple[str, str]] = ()
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None


def public_types(tenant_id: int) -> "QuerySet[TicketType]":
    """Return the types whose form the portal shows."""
    return TicketType.objects.filter(tenant_id=tenant_id, is_public=True, is_active=True, kind=TicketKind.REQUEST).order_by("title")


def title_of(kind: TicketType, *, chinese: bool) -> str:
    """Return what a type is called in the reader's language."""
    return kind.title_zh if chinese and kind.title_zh else kind.title


def form_of(kind: TicketType, *, chinese: bool) -> list[Field]:
    """Return the fields of a type's form: what it is about, those of its own that customers fill in, and a text."""
    public = [_field(one, chinese) for one in definitions.of_type(kind) if one.is_public]
    return [
        Field(SUBJECT, "text", _("What is it about?"), required=True, max_length=MAX_SUBJECT),
        *public,
        Field(DESCRIPTION, "long_text", _("Tell us more"), required=True, max_length=MAX_DESCRIPTION),
    ]


def _field(one: Definition, chinese: bool) -> Field:
    return Field(
        name=f"{OWN}{one.key}",
        kind=one.kind,
        label=(chinese and one.label_zh) or one.label,
        help=(chinese and one.help_zh) or one.help,
        required=one.required == Required.OPEN,
        choices=[(each.value, (chinese and each.zh) or each.value) for each in one.choices],
        minimum=one.minimum,
        maximum=one.maximum,
        max_length=MAX_LENGTHS.get(one.kind, field_values.MAX_TEXT),
    )


def open_from_portal(
    session: PortalSession, kind: TicketType, *, values: Mapping[str, Any], client_id: str, chinese: bool, ip: str, now: datetime
) -> Stored:
    """Take in the form of a ticket type: what the visitor filled in arrives as a text at the portal entrance, once for a client id.

    The values come along in the arrival's details (`ticket`), by the keys of the type's fields, so that a ticket can be made of them.

    Raises:
        Invalid: naming each wrong field.
        TooMany: too many were sent.
    """
    if not CLIENT_ID.fullmatch(client_id):
        raise Invalid.field("client_id", _("1 to 64 letters, digits and _ . - that name this form and no other."))
    form = form_of(kind, chinese=chinese)
    given = _checked(kind, form, values)
    limits = {"per_visitor": PER_VISITOR, "per_address": PER_ADDRESS}
    flood.enter_hourly(RESOURCE, entrance_id=session.entrance_id.hex, visitor=session.identity_id.hex, ip=ip, **limits)
    fields = {name.removeprefix(OWN): value for name, value in given.items() if name.startswith(OWN)}
    identity = session.identity
    incoming = Incoming(
        external_id=f"{identity.pk.hex}:ticket:{client_id}",
        sender=SenderName(identity.kind, identity.value, verified=identity.kind == IdentityKind.OWN),
        text=_as_text(kind, form, given, chinese),
        details={"client_id": client_id, "ticket": {"type": kind.name, "subject": given[SUBJECT], "fields": fields}},
    )
    return arrivals.store(session.entrance_id, [incoming], tenant_id=session.tenant_id, now=now)[0]


def _checked(kind: TicketType, form: Sequence[Field], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was filled in, by the names of the fields, as a ticket takes it: what is let in here opens one.

    Raises:
        Invalid: naming each wrong field.
    """
    rules = {f"{OWN}{one.key}": one for one in definitions.of_type(kind)}
    found, errors = {}, []
    for field in form:
        value = values.get(field.name)
        if value is None or value in ("", []) or (isinstance(value, str) and is_blank(value)):
            if field.required:
                errors.append({"field": field.name, "code": "required", "message": _("Fill this in.")})
            continue
        try:
            found[field.name] = field_values.check(value, rules[field.name]) if field.name in rules else _text(field, value)
        except Wrong as wrong:
            errors.append({"field": field.name, "code": wrong.code, "message": wrong.message})
    if errors:
        raise Invalid(errors=errors)
    return found


def _text(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong(_("Must be a text."))
    text = value.replace("\x00", "").strip()
    if field.max_length is not None and len(text) > field.max_length:
        raise Wrong(_("At most {n} characters.").format(n=field.max_length), "too_long")
    return text


def _as_text(kind: TicketType, form: Sequence[Field], given: Mapping[str, Any], chinese: bool) -> str:
    """Return a filled form as a person reads it."""
    parts = [f"[{title_of(kind, chinese=chinese)}] {given[SUBJECT]}"]
    rows = []
    for field in form:
        if field.name.startswith(OWN) and field.name in given:
            labels, value = dict(field.choices), given[field.name]
            if isinstance(value, bool):
                shown = _("Yes") if value else _("No")
            else:
                shown = ", ".join(labels.get(str(one), str(one)) for one in (value if isinstance(value, list) else [value]))
            rows.append(f"{field.label}: {shown}")
    if rows:
        parts.append("\n".join(rows))
    return "\n\n".join([*parts, str(given[DESCRIPTION])])


def tickets_of(session: PortalSession) -> list[Ticket]:
    """Return the tickets that are shown to a session, those that changed last first."""
    return list(own.tickets(session).select_related("type", "merged_into").order_by("-changed_at")[:MAX_TICKETS])
