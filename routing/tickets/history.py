"""The history of tickets: rows that are written once, in the transaction of what they tell of, with who did it.

`data` of an event holds `version`, the ticket's version after it, and `changes`: {"field": [before, after]}, as people name the values.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.services import audit
from accounts.services.audit import Actor, ActorKind
from routing.actions import Action
from routing.models import Ticket, TicketEvent
from routing.tickets import hooks

#: Those whose doings are in the audit trail; what the platform does by itself is in the history only.
STAFF = (ActorKind.USER, ActorKind.KEY, ActorKind.COMMAND)
#: Longer values of a change are cut: the history says what changed, it is no copy.
MAX_CHARACTERS = 200
#: In the data of a merge: the ids of the two customers, where the tickets are of two.
ACROSS = "across_customers"


class Happening(models.TextChoices):
    """What may happen to a ticket."""

    OPENED = "opened", pgettext_lazy("ticket", "Opened")
    CHANGED = "changed", pgettext_lazy("ticket", "Changed")
    MOVED = "moved", _("Status changed")
    NOTED = "noted", _("Note written")
    WRITTEN = "written", _("Written to the customer")
    LINKED = "linked", _("Linked")
    UNLINKED = "unlinked", _("Link removed")
    WATCHED = "watched", _("Watcher added")
    UNWATCHED = "unwatched", _("Watcher removed")
    CHECKED = "checked", _("Checklist item done")
    UNCHECKED = "unchecked", _("Checklist item not done any more")
    ITEM_ADDED = "item_added", _("Checklist item added")
    ITEM_REMOVED = "item_removed", _("Checklist item removed")
    MERGED = "merged", _("Merged into another ticket")
    TOOK_IN = "took_in", _("Another ticket was merged into this one")
    UNMERGED = "unmerged", _("Merge undone")
    WORK_ORDER = "work_order", _("Work order opened")
    WORK_ORDER_MOVED = "work_order_moved", _("Status of a work order changed")
    FOLLOWED_UP = "followed_up", _("Follow-up opened")


def write(ticket: Ticket, kind: Happening, *, by: Actor, now: datetime, action: Action | None = None, **data: Any) -> TicketEvent:
    """Write an event, and an entry of the audit trail where staff or a key did it and `action` names it."""
    kept = {"version": ticket.version, **{name: _plain(value) for name, value in data.items()}}
    event = TicketEvent.objects.create(ticket=ticket, kind=kind, actor=str(by)[:150], data=kept, at=now)
    if action is not None and by.kind in STAFF:
        audit.record(by=by, action=action, target=ticket.pk, tenant_id=ticket.tenant_id, detail=_without_texts(ticket, data))
    hooks.tell_happened(ticket, event)
    return event


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return what differs, as an event keeps it."""
    return {name: [_plain(before.get(name)), _plain(value)] for name, value in after.items() if before.get(name) != value}


def _plain(value: Any) -> Any:
    """Return a value as JSON, long texts cut."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}…"


def _without_texts(ticket: Ticket, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the audit trail keeps: which fields changed, without what customers and agents wrote."""
    kept = {name: str(value) for name, value in data.items() if name in ("to", "from", "into", "other", "link", "forced", "agent")}
    fields = {"fields": sorted(data["changes"])} if data.get("changes") else {}
    return {"number": ticket.number, **kept, **fields}
