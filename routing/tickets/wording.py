"""What happened to a ticket, in words for people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from routing.models import Ticket, TicketEvent, TicketLinkKind, TicketPriority, TicketStatus
from routing.tickets import field_values
from routing.tickets.fields import Definition
from routing.tickets.history import ACROSS, Happening

FIELDS = {
    "status": gettext_lazy("Status"),
    "priority": gettext_lazy("Priority"),
    "subject": gettext_lazy("Subject"),
    "description": gettext_lazy("Description"),
    "due_on": gettext_lazy("Due on"),
    "tags": gettext_lazy("Tags"),
    "agent": gettext_lazy("Agent"),
    "group": gettext_lazy("Skill group"),
    "conversation": gettext_lazy("Conversation"),
}
#: What a link is, seen from the ticket that it leads to.
REVERSED = {
    TicketLinkKind.RELATED: gettext_lazy("Related to"),
    TicketLinkKind.DUPLICATE: gettext_lazy("Has the duplicate"),
    TicketLinkKind.BLOCKED: gettext_lazy("Blocks"),
    TicketLinkKind.FOLLOW_UP: gettext_lazy("Followed up by"),
    TicketLinkKind.WORK_ORDER: gettext_lazy("Has the work order"),
}
#: Events whose details are one ticket.
OF_ANOTHER = (Happening.TOOK_IN, Happening.UNMERGED, Happening.WORK_ORDER, Happening.FOLLOWED_UP)


@dataclass(frozen=True, slots=True)
class Told:
    """An event for a page."""

    kind: str
    label: str
    details: list[str]
    actor: str
    at: datetime
    #: The number of a ticket that was merged into the one that is shown; 0: its own.
    of_number: int


def told(events: Iterable[TicketEvent], *, ticket: Ticket, definitions: Iterable[Definition], names: Mapping[str, str]) -> list[Told]:
    """Return events as a page shows them; `names` are those of their actors."""
    known = {one.key: one for one in definitions}
    return [
        Told(
            kind=event.kind,
            label=str(Happening(event.kind).label) if event.kind in Happening.values else event.kind,
            details=_details(event, known),
            actor=names.get(event.actor, event.actor),
            at=event.at,
            of_number=0 if event.ticket_id == ticket.pk else event.ticket.number,
        )
        for event in events
    ]


def link_label(kind: str, *, is_reverse: bool) -> str:
    """Return what another ticket is to this one."""
    found = TicketLinkKind(kind)
    return str(REVERSED[found] if is_reverse else found.label)


def _details(event: TicketEvent, known: Mapping[str, Definition]) -> list[str]:
    data: dict[str, Any] = event.data
    if not data:  # its customer was erased
        return []
    if data.get("changes"):
        return [_change(name, pair, known) for name, pair in data["changes"].items()]
    if event.kind in (Happening.LINKED, Happening.UNLINKED):
        kind = str(data.get("link", ""))
        label = link_label(kind, is_reverse=bool(data.get("is_reverse"))) if kind in TicketLinkKind.values else kind
        return [f"{label} #{data.get('other')}"]
    if event.kind == Happening.WORK_ORDER_MOVED:
        return [f"#{data.get('other')}: {_value('status', data.get('to'), known)}"]
    if event.kind in (Happening.MERGED, Happening.TOOK_IN) and data.get(ACROSS):
        return [_("#{n}, of another customer").format(n=data.get("into") or data.get("other"))]
    if event.kind == Happening.MERGED:
        return [f"#{data.get('into')}"]
    if event.kind in OF_ANOTHER:
        return [f"#{data.get('other')} {data.get('subject', '')}".strip()]
    return [str(data[name]) for name in ("item", "agent") if data.get(name) and event.kind != Happening.OPENED]


def _change(name: str, pair: list[Any], known: Mapping[str, Definition]) -> str:
    key = name.removeprefix("fields.")
    label = known[key].title if name != key and key in known else FIELDS.get(name, key)
    if name in ("description", "conversation"):
        return str(label)
    before, after = (_value(name, value, known) for value in pair)
    return _("{field}: {before} → {after}").format(field=label, before=before or "–", after=after or "–")


def _value(name: str, value: Any, known: Mapping[str, Definition]) -> str:
    if value in (None, "", []):
        return ""
    key = name.removeprefix("fields.")
    if name != key and key in known:
        return field_values.in_words(value, known[key])
    if name == "status" and value in TicketStatus.values:
        return str(TicketStatus(value).label)
    if name == "priority" and value in TicketPriority.values:
        return str(TicketPriority(value).label)
    if name == "due_on":
        return str(formats.date_format(date.fromisoformat(value)))
    return field_values.as_text(value)
