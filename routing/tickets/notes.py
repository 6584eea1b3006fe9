"""What agents write about a ticket among themselves."""

import re
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services.audit import Actor
from posthaste.lib.blank import is_blank
from posthaste.lib.problems import Conflict, Invalid
from routing.actions import Action
from routing.models import Agent, Note, Notice, NoticeKind, Ticket, TicketWatcher
from routing.tickets.family import family_ids
from routing.tickets.history import Happening, write

MAX_TEXT = 20_000
MAX_MENTIONS = 50


@transaction.atomic
def add_note(
    *,
    ticket: Ticket,
    text: str,
    agent: Agent | None = None,
    mentions: Collection[UUID] = (),
    client_id: str = "",
    by: Actor,
    now: datetime,
) -> Note:
    """Write a note, and tell the agents that it mentions, by id or as `@name` in the text; return the one that has the client id already.

    Raises:
        Invalid: it is empty or too long, or it mentions an agent that there is not.
        Conflict: the client id was used for a note about something else.
    """
    client_id = client_id.replace("\x00", "")
    if client_id and (known := Note.objects.filter(tenant_id=ticket.tenant_id, client_id=client_id).first()):
        return _own(known, ticket)
    text = text.replace("\x00", "").strip()
    if is_blank(text):
        raise Invalid.field("text", _("Write a text."), "required")
    if len(text) > MAX_TEXT:
        raise Invalid.field("text", _("At most {n} characters.").format(n=MAX_TEXT), "too_long")
    mentioned = _mentioned(ticket, text, mentions)
    made = Note(
        tenant_id=ticket.tenant_id,
        ticket=ticket,
        agent=agent,
        written_by=str(by)[:150],
        text=text,
        client_id=client_id,
        created_at=now,
    )
    Note.objects.bulk_create([made], ignore_conflicts=bool(client_id))
    kept = Note.objects.filter(tenant_id=ticket.tenant_id, client_id=client_id).first() if client_id else made
    if kept is None or kept.pk != made.pk:  # the same request came twice at once
        return _own(kept or made, ticket)
    write(ticket, Happening.NOTED, by=by, now=now, action=Action.TICKET_NOTE, note=made.pk)
    _tell(ticket, made, mentioned, author=agent, now=now)
    return made


def _own(note: Note, ticket: Ticket) -> Note:
    if note.ticket_id != ticket.pk:
        raise Conflict(_("This client ID was used for another note."))
    return note


def _mentioned(ticket: Ticket, text: str, ids: Collection[UUID]) -> list[Agent]:
    if len(ids) > MAX_MENTIONS:
        raise Invalid.field("mentions", _("At most {n} entries.").format(n=MAX_MENTIONS), "too_many")
    active = Agent.objects.filter(tenant_id=ticket.tenant_id, is_active=True)
    found = list(active.filter(pk__in=ids))
    if len(found) < len(set(ids)):
        raise Invalid.field("mentions", _("There is no active agent with this id."), "unknown")
    if "@" in text:
        known = {agent.pk for agent in found}
        found += [agent for agent in active if agent.pk not in known and _is_named(agent.name, text)]
    return found


def _is_named(name: str, text: str) -> bool:
    """Return whether a text has `@name`, and no longer name."""
    return re.search(rf"@{re.escape(name)}(?![\w])", text, re.IGNORECASE) is not None


def _tell(ticket: Ticket, note: Note, mentioned: list[Agent], *, author: Agent | None, now: datetime) -> None:
    """Write notices for the agents that a note mentions; for watchers, the note's event does (`routing.tickets.reactions`)."""
    own = author.pk if author else None
    data = {"number": ticket.number, "by": note.written_by}
    rows = [
        Notice(agent=agent, kind=NoticeKind.MENTION, ticket=ticket, about=f"note:{note.pk}", data=data, at=now)
        for agent in mentioned
        if agent.pk != own
    ]
    Notice.objects.bulk_create(rows, ignore_conflicts=True)


def watchers_of(ticket: Ticket) -> list[UUID]:
    """Return the ids of the agents who watch a ticket or one that was merged into it."""
    return list(TicketWatcher.objects.filter(ticket__in=family_ids(ticket)).values_list("agent_id", flat=True).distinct())
