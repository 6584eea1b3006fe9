"""Conversations, tickets and clocks for tests of service levels."""

import itertools
from datetime import UTC, datetime
from typing import Any

from accounts.models import Tenant
from posthaste.lib.ids import new_id
from routing.conversations import hooks, lines, replies
from routing.conversations.replies import Author
from routing.entrances.provision import ensure_reply_provider
from routing.models import Agent, AuthorKind, Clock, Conversation, Ticket, TicketType
from tests.builders import TESTER, untraced
from tests.routing.builders import make_conversation, make_customer, make_identity

#: A Tuesday, an hour after the desk opened.
NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)
_numbers = itertools.count(10_001)  # what services number themselves has small numbers


def make_talk(tenant: Tenant, **fields: Any) -> Conversation:
    """Make a conversation without lines, in which replies can be sent."""
    with untraced() as by:
        ensure_reply_provider(tenant_id=tenant.pk, by=by)
    return make_conversation(make_identity(make_customer(tenant)), **{"created_at": NOW, **fields})


def customer_writes(conversation: Conversation, *, at: datetime) -> None:
    """Have the customer write a line, as it is taken in."""
    conversation.refresh_from_db()
    line, _new = lines.append(conversation, author=AuthorKind.CUSTOMER, text="Where is my order?", now=at)
    hooks.tell_received([hooks.Received(conversation, line, begins=False)], now=at)


def reply(conversation: Conversation, agent: Agent | None, *, at: datetime) -> None:
    """Have an agent reply, or a bot."""
    author = Author(agent=agent, owner="" if agent else "key:bot")
    replies.reply(conversation=conversation, author=author, text="On its way.", by=TESTER, now=at)


def make_type(tenant: Tenant, **fields: Any) -> TicketType:
    """Make a type of tickets."""
    return TicketType.objects.create(tenant=tenant, **{"name": f"type-{next(_numbers)}", "title": "Refund", "created_at": NOW, **fields})


def make_ticket(tenant: Tenant, **fields: Any) -> Ticket:
    """Make a ticket; its clocks are not started."""
    values = {"number": next(_numbers), "subject": "Refund", "created_at": NOW, "changed_at": NOW, **fields}
    return Ticket.objects.create(tenant=tenant, type=values.pop("type", None) or make_type(tenant), **values)


def make_clock(of: Conversation | Ticket, **fields: Any) -> Clock:
    """Make a running clock of the first response."""
    owner = {"conversation": of} if isinstance(of, Conversation) else {"ticket": of}
    values = {"metric": "first_response", "started_at": NOW, "target_minutes": 60, "facts": {"priority": "normal"}, **fields}
    return Clock.objects.create(id=new_id(), tenant_id=of.tenant_id, **owner, **values)


def clocks_of(of: Conversation | Ticket) -> dict[str, Clock]:
    """Return the newest clock of each measure."""
    return {clock.metric: clock for clock in of.clocks.order_by("pk")}


def states_of(of: Conversation | Ticket) -> dict[str, str]:
    """Return the state of the newest clock of each measure."""
    return {metric: clock.state for metric, clock in clocks_of(of).items()}
