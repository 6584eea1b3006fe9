"""Conversations of an inbox as a table, read in chunks while it is written."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from routing.conversations.masking import mask_identity
from routing.desk.inbox import Query, ids
from routing.desk.seats import Seat
from routing.intents.titles import intent_titles
from routing.models import Conversation

ROWS_AT_ONCE = 500


def heads() -> list[str]:
    """Return the names of the columns."""
    return [
        _("ID"), _("Customer"), _("Identity"), _("Subject"), _("Status"), _("Priority"), _("Intent"), _("Language"), _("Entrance"),
        _("Skill group"), _("Agent"), _("Tags"), pgettext("conversation", "Lines"), _("Created"), _("Unanswered since"),
        _("First response"), pgettext("conversation", "Resolved"),
    ]  # fmt: skip


def table(query: Query, seat: Seat, *, are_masked: bool, now: datetime) -> Iterator[list[Any]]:
    """Yield the rows of a view in its order; identities are masked unless told otherwise."""
    wanted = ids(query, seat, now=now)
    titles = intent_titles([seat.tenant_id])[seat.tenant_id]
    for begin in range(0, len(wanted), ROWS_AT_ONCE):
        chunk = [UUID(pk) for pk in wanted[begin : begin + ROWS_AT_ONCE]]
        found = Conversation.objects.filter(tenant_id=seat.tenant_id).select_related("customer", "identity", "entrance", "group", "agent")
        by_id = found.prefetch_related("tags").in_bulk(chunk)
        for row in (by_id[pk] for pk in chunk if pk in by_id):
            identity = row.identity
            yield [
                str(row.pk),
                row.customer.name,
                mask_identity(identity.kind, identity.value) if are_masked else identity.value,
                row.subject,
                row.get_status_display(),
                row.priority,
                titles.get(row.intent, row.intent),
                row.language,
                row.entrance.name,
                row.group.title if row.group else "",
                row.agent.name if row.agent else "",
                ", ".join(tag.name for tag in row.tags.all()),
                row.last_seq,
                row.created_at,
                row.unanswered_since,
                row.first_response_at,
                row.resolved_at,
            ]
