"""Tickets as a table to keep: the columns of a file, one fact each."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from accounts.services import audit
from accounts.services.audit import Actor
from routing.actions import Action
from routing.models import Ticket
from routing.tickets import fields as own_fields
from routing.tickets.types import title_of

MAX_ROWS = 100_000
ROWS_AT_ONCE = 500


def export(
    rows: "QuerySet[Ticket]", *, by: Actor, tenant_id: int | None, filters: Iterable[str]
) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """Return the headings and the rows of a file of tickets, and note who took it, with the names of the filters."""
    audit.record(by=by, action=Action.TICKET_EXPORT, tenant_id=tenant_id, detail={"filters": sorted(filters)})
    heads = [
        _("Number"), _("Type"), _("Status"), _("Priority"), _("Subject"), _("Customer"), _("Skill group"), _("Agent"), _("Tags"),
        _("Due on"), pgettext("ticket", "Opened"), pgettext("ticket", "Resolved"), pgettext("ticket", "Closed"), _("Fields"),
    ]  # fmt: skip
    return heads, _rows(rows)


def _rows(rows: "QuerySet[Ticket]") -> Iterator[Sequence[Any]]:
    for row in rows[:MAX_ROWS].iterator(chunk_size=ROWS_AT_ONCE):
        yield (
            row.number,
            title_of(row.type),
            row.get_status_display(),
            row.get_priority_display(),
            row.subject,
            row.customer.name if row.customer else "",
            str(row.group or ""),
            str(row.agent or ""),
            ", ".join(sorted(tag.name for tag in row.tags.all())),
            row.due_on.isoformat() if row.due_on else "",
            row.created_at,
            row.resolved_at,
            row.closed_at,
            "; ".join(f"{label}: {value}" for label, value in own_fields.shown(own_fields.of_type(row.type), row.fields)),
        )
