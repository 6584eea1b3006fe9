"""How a ticket's row is locked, checked against what its changer saw, and written: one guarded UPDATE that counts its version up."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from posthaste.lib.problems import Conflict, NotFound
from routing.models import Ticket, TicketEvent

#: Events that are looked through for what changed since a version.
LOOKED_AT = 50


class TicketChanged(Conflict):
    """Someone has changed the ticket since you read it. `changes` says what; read it again, then decide."""

    code = "ticket_changed"
    title = gettext_lazy("The ticket was changed in the meantime")


class TicketOver(Conflict):
    """The ticket is closed, merged or spam, so it is not changed any more. Open a follow-up, or undo the merge."""

    code = "ticket_over"
    title = gettext_lazy("The ticket is not changed any more")


def lock(ticket_id: UUID, *, tenant_id: int) -> Ticket:
    """Return a ticket, locked until the transaction ends.

    Raises:
        NotFound: the tenant has no such ticket.
    """
    return lock_all([ticket_id], tenant_id=tenant_id)[ticket_id]


def lock_all(ticket_ids: Collection[UUID], *, tenant_id: int) -> dict[UUID, Ticket]:
    """Return tickets, locked in the order of their ids, which is the one order of all that lock several.

    Raises:
        NotFound: the tenant does not have all of them.
    """
    own = Ticket.objects.filter(pk__in=set(ticket_ids), tenant_id=tenant_id).select_related("type", "agent", "group")
    found = {row.pk: row for row in own.order_by("pk").select_for_update(no_key=True, of=("self",))}
    if len(found) < len(set(ticket_ids)):
        raise NotFound(_("There is no such ticket."))
    return found


def must_be(ticket: Ticket, version: int | None) -> None:
    """Check that a locked ticket is as its changer saw it; None: they do not say.

    Raises:
        TicketChanged: it is not; the problem says what changed since.
    """
    if version is None or version == ticket.version:
        return
    raise TicketChanged(
        _("It was changed in the meantime: {what}. Read it again, then decide.").format(what=", ".join(_changed(ticket, version)) or "…"),
        version=ticket.version,
        changes=_changes(ticket, version),
    )


def update(ticket: Ticket, *, now: datetime, **values: Any) -> None:
    """Write fields of a ticket if it still has the version that was read, and count that up.

    Raises:
        TicketChanged: another was faster.
    """
    guarded = Ticket.objects.filter(pk=ticket.pk, version=ticket.version)
    if not guarded.update(version=F("version") + 1, changed_at=now, **values):
        raise TicketChanged
    ticket.version += 1
    ticket.changed_at = now
    for name, value in values.items():
        setattr(ticket, name, value)


def _since(ticket: Ticket, version: int) -> list[TicketEvent]:
    newest = TicketEvent.objects.filter(ticket=ticket).order_by("-pk")[:LOOKED_AT]
    return [event for event in newest if int(event.data.get("version", 0)) > version and event.data.get("changes")]


def _changes(ticket: Ticket, version: int) -> list[dict[str, Any]]:
    return [
        {"at": event.at.isoformat(), "by": event.actor, "changes": event.data["changes"], "version": event.data["version"]}
        for event in _since(ticket, version)
    ]


def _changed(ticket: Ticket, version: int) -> list[str]:
    return sorted({str(name) for event in _since(ticket, version) for name in event.data["changes"]})
