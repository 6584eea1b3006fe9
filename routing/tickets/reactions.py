"""What follows for tickets from what happens in conversations, and for others from what happens to a ticket.

Imported when the application starts, in every process.

- A conversation that is queued, handed to the bot or assigned takes the tickets along that no agent has taken up, unless they are of
  another group.
- An agent's first answer puts the tickets in progress that are theirs, or that no agent has.
- A customer's text puts a ticket that waits for it in progress again; without an agent, into the queue. Where no ticket is open, the one
  that was resolved last is reopened, within the window.
- Resolving a conversation resolves no ticket, and the other way round.

What is written in a conversation concerns the tickets of those that were merged into it, too. Work orders are between groups: what the
customer writes does not move them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import structlog

from accounts.services.audit import Actor, ActorKind
from posthaste.lib.problems import Problem
from routing.conversations import hooks as conversation_hooks
from routing.conversations.family import MAX_DEPTH
from routing.conversations.hooks import Received
from routing.models import (
    OPEN_TICKETS,
    Agent,
    Conversation,
    ConversationStatus,
    Line,
    Notice,
    NoticeKind,
    Ticket,
    TicketEvent,
    TicketKind,
    TicketLink,
    TicketLinkKind,
    TicketStatus,
    TicketType,
    TicketWatcher,
)
from routing.tickets import hooks, places
from routing.tickets.changing import tell_agent
from routing.tickets.family import family_ids, root_of
from routing.tickets.history import Happening, write
from routing.tickets.opening import NewTicket, open_ticket
from routing.tickets.progress import is_in_time
from routing.tickets.storing import lock_all, update
from routing.tickets.transitions import ASSIGNED, BOT, IN_PROGRESS, MERGED, NEW, QUEUED, RESOLVED, WAITING, is_possible, move

log = structlog.get_logger(__name__)
PLATFORM = Actor.system("tickets")
#: In the data of a line: the id of the ticket that its customer wrote it about, on the ticket's page in the portal.
ABOUT = "about_ticket"
#: Those that no agent has taken up.
UNTAKEN = (NEW, BOT, QUEUED)
#: The ways to the tickets of a conversation, and to those of what was merged into it, or into that.
OWN = ("conversation",)
WITH_MERGED = (*OWN, "conversation__merged_into", "conversation__merged_into__merged_into")
#: What watchers are told of.
TOLD_TO_WATCHERS = frozenset(
    {
        Happening.CHANGED, Happening.MOVED, Happening.NOTED, Happening.WRITTEN, Happening.WORK_ORDER_MOVED,
        Happening.FOLLOWED_UP,
    }
)  # fmt: skip


# --- what happens in conversations -----------------------------------------------------------------------------------


@conversation_hooks.on_received
def customers_wrote(received: Sequence[Received], now: datetime) -> None:
    """Take up what waited for the customer, and reopen what was resolved; of a line about one ticket, see `answers_came`."""
    ids = [one.conversation.pk for one in received if ABOUT not in one.line.data]
    found = _tickets(ids, (*OPEN_TICKETS, RESOLVED, MERGED), of=WITH_MERGED)
    if not found:
        return
    for rows in _by_conversation(found, _families(ids)).values():
        still_open = [row for row in rows if row.status in OPEN_TICKETS]
        _take_up(still_open, now)
        if not still_open:
            _reopen_latest([row for row in rows if row.status == RESOLVED], now)


@conversation_hooks.on_received
def answers_came(received: Sequence[Received], now: datetime) -> None:
    """Let the tickets go on, or open them again, that lines were written about: in the conversation of the line from now on.

    A ticket that another identity's conversation is about by now stays there: who is shown the one need not be shown the other.
    """
    for one in received:
        talk, about = one.conversation, one.line.data.get(ABOUT)
        own = Ticket.objects.filter(pk=UUID(about), tenant_id=talk.tenant_id).first() if about else None
        if own is None:
            continue
        root = root_of(own)
        rows = lock_all({own.pk, root.pk}, tenant_id=talk.tenant_id)
        own, row = rows[own.pk], rows[root.pk]
        fits = own.conversation is None or own.conversation.identity_id == talk.identity_id
        if fits and own.conversation_id != talk.pk:  # it had none, or that one is over
            before = str(own.conversation_id or "")
            update(own, now=now, conversation=talk)
            write(own, Happening.CHANGED, by=Actor.recipient(), now=now, changes={"conversation": [before, str(talk.pk)]})
            hooks.tell_changed(own, ["conversation"], now=now)
        if row.status in OPEN_TICKETS:
            _take_up([row], now)
        else:
            _reopen_latest([row] if row.status == RESOLVED else [], now)


@conversation_hooks.on_received
def forms_came(received: Sequence[Received], now: datetime) -> None:
    """Open a ticket of each form of the portal, in the transaction of its line; a form without a type any more stays a text."""
    for one in received:
        form = one.line.data.get("ticket")
        if not form:
            continue
        kind = TicketType.objects.filter(tenant_id=one.conversation.tenant_id, name=form["type"]).first()
        if kind is None:
            continue
        talk = one.conversation
        told = {"subject": form["subject"], "description": one.line.text, "fields": form["fields"]}
        new = NewTicket(type=kind, customer=talk.customer, conversation=talk, **told)
        try:
            open_ticket(tenant_id=talk.tenant_id, new=new, by=Actor.recipient(), now=now, public_only=True)
        except Problem as problem:  # the form has changed since it was shown; an agent reads the text
            log.info("no ticket was opened of a form", conversation=str(talk.pk), code=problem.code)


@conversation_hooks.on_moved
def conversations_moved(conversation_ids: Collection[UUID], now: datetime) -> None:
    """Let the tickets follow that no one has taken up."""
    for row in _tickets(conversation_ids, UNTAKEN, agent=None):
        talk = row.conversation
        if talk is None or (row.group_id is not None and row.group_id != talk.group_id):
            continue
        to = {
            ConversationStatus.BOT: BOT,
            ConversationStatus.QUEUED: QUEUED,
            ConversationStatus.ASSIGNED: ASSIGNED if talk.agent else QUEUED,
        }.get(ConversationStatus(talk.status))
        if to is None or to == row.status or not is_possible(row.status, to):
            continue
        agent = talk.agent if to == ASSIGNED else None
        move(row, to=to, by=PLATFORM, now=now, agent=agent, group=places.group_for(agent, kept=row.group or talk.group))


@conversation_hooks.on_replied
def agent_answered(conversation: Conversation, line: Line, now: datetime) -> None:
    """Put the tickets in progress that the agent who answered has, or no one; a bot's answer moves none."""
    agent = line.agent
    if agent is None:
        return
    rows = _tickets([conversation.pk], OPEN_TICKETS, of=WITH_MERGED)
    for row in rows:
        is_own = row.agent_id == agent.pk or (row.agent is None and row.group_id in (None, conversation.group_id))
        if is_own and row.status in (*UNTAKEN, ASSIGNED):
            group = places.group_for(agent, kept=row.group, had=row.agent_id)
            move(row, to=IN_PROGRESS, by=Actor.of_user(agent.user), now=now, agent=agent, group=group)
    hooks.tell_answered(rows, now=now)


# --- what happens to tickets -----------------------------------------------------------------------------------------


@hooks.on_happened
def tell_parent(ticket: Ticket, event: TicketEvent) -> None:
    """Say in the history of a ticket how far its work orders are."""
    if event.kind != Happening.MOVED or ticket.type.kind != TicketKind.WORK_ORDER:
        return
    link = TicketLink.objects.filter(ticket=ticket, kind=TicketLinkKind.WORK_ORDER).select_related("other__type").first()
    if link is not None:
        write(link.other, Happening.WORK_ORDER_MOVED, by=_actor(event), now=event.at, other=ticket.number, to=ticket.status)


@hooks.on_happened
def tell_watchers(ticket: Ticket, event: TicketEvent) -> None:
    """Tell the agents who watch a ticket, except the one who did it."""
    if event.kind not in TOLD_TO_WATCHERS:
        return
    ids = [ticket.pk] if ticket.status == MERGED else family_ids(ticket)
    watchers = TicketWatcher.objects.filter(ticket__in=ids).values_list("agent_id", "agent__user__username").distinct()
    data = {"number": ticket.number, "event": event.kind, "by": event.actor}
    rows = [
        Notice(agent_id=agent_id, kind=NoticeKind.WATCHED, ticket=ticket, about=f"event:{event.pk}", data=data, at=event.at)
        for agent_id, login in watchers
        if event.actor != f"{ActorKind.USER}:{login}"
    ]
    if rows:
        Notice.objects.bulk_create(rows, ignore_conflicts=True)


# --- parts -----------------------------------------------------------------------------------------------------------


def _tickets(
    conversation_ids: Collection[UUID], statuses: Iterable[TicketStatus], *, of: Sequence[str] = OWN, **more: object
) -> list[Ticket]:
    """Return the customers' tickets of conversations, locked; of a merged one, the one that goes on. Mostly there is none: one probe."""
    rows = Ticket.objects.filter(status__in=list(statuses), type__kind=TicketKind.REQUEST, **more).order_by()
    wanted_statuses = set(statuses)
    # Each way by its own index.
    ways = [rows.filter(**{f"{way}__in": list(conversation_ids)}).values_list("pk", "tenant_id", "status") for way in of]
    known = list(ways[0].union(*ways[1:]) if ways[1:] else ways[0])
    found: list[Ticket] = []
    for tenant_id in {tenant_id for _pk, tenant_id, _status in known}:
        wanted = {pk for pk, owner, status in known if owner == tenant_id and status != MERGED}
        merged = [pk for pk, owner, status in known if owner == tenant_id and status == MERGED]
        wanted |= {root_of(row).pk for row in Ticket.objects.filter(pk__in=merged)} if merged else set()
        # Read again under the lock: another may have moved one meanwhile.
        found += [row for row in lock_all(wanted, tenant_id=tenant_id).values() if row.status in wanted_statuses and row.status != MERGED]
    return found


def _take_up(rows: Sequence[Ticket], now: datetime) -> None:
    """Put open tickets in progress again that waited for the customer who has written."""
    hooks.tell_asked(rows, now=now)
    for row in rows:
        if row.status == WAITING:
            agent = _active_agent(row)
            move(row, to=IN_PROGRESS if agent else QUEUED, by=Actor.recipient(), now=now, agent=agent)


def _families(conversation_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Return conversations and those that were merged into them, each with the one that goes on."""
    found = newest = {pk: pk for pk in conversation_ids}
    for _step in range(MAX_DEPTH):
        rows = Conversation.objects.filter(merged_into__in=list(newest)).values_list("pk", "merged_into_id")
        newest = {pk: found[into] for pk, into in rows if into is not None and pk not in found}
        if not newest:
            break
        found |= newest
    return found


def _by_conversation(rows: Iterable[Ticket], families: Mapping[UUID, UUID]) -> dict[UUID | None, list[Ticket]]:
    found: dict[UUID | None, list[Ticket]] = {}
    for row in rows:
        talk = row.conversation_id
        found.setdefault(families.get(talk, talk) if talk else None, []).append(row)
    return found


def _reopen_latest(rows: Sequence[Ticket], now: datetime) -> None:
    """Reopen the ticket that was resolved last: a text is about one matter, not about all that there ever were."""
    in_time = [row for row in rows if is_in_time(row, now=now)]
    if not in_time:
        return
    row = max(in_time, key=lambda one: one.resolved_at or one.changed_at)
    agent = _active_agent(row)
    move(row, to=ASSIGNED if agent else QUEUED, by=Actor.recipient(), now=now, agent=agent)
    if agent is not None:
        tell_agent(row, agent, by=PLATFORM, now=now)


def _active_agent(row: Ticket) -> Agent | None:
    return row.agent if row.agent is not None and row.agent.is_active else None


def _actor(event: TicketEvent) -> Actor:
    kind, _colon, name = event.actor.partition(":")
    return Actor(ActorKind(kind), name)
