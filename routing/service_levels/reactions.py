"""What follows for clocks from what happens in conversations and to tickets. Imported when the application starts, in every process."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from routing import events
from routing.conversations import hooks
from routing.models import AuthorKind, ClockSignal, Conversation, ConversationStatus, Line
from routing.service_levels import conversations, telling, tickets
from routing.tickets import hooks as ticket_hooks


@hooks.on_received
def start_clocks(received: Sequence[hooks.Received], now: datetime) -> None:
    """Start what customers' lines start."""
    conversations.customers_wrote({each.conversation.pk for each in received}, now=now)


@hooks.on_replied
def stop_responses(conversation: Conversation, line: Line, now: datetime) -> None:
    """Stop the clocks of responses, unless a bot wrote."""
    if line.author == AuthorKind.AGENT:
        conversations.agent_replied(conversation.pk, now=now)


@hooks.on_resolved
def stop_all(conversation: Conversation, now: datetime) -> None:
    """Stop the clocks of a conversation that is over. Nothing was resolved in spam, nor in what goes on in another one."""
    is_done = conversation.status != ConversationStatus.SPAM and conversation.merged_into_id is None
    conversations.ended(conversation.pk, is_done=is_done, now=now)


@hooks.on_reopened
def start_again(conversation: Conversation, now: datetime) -> None:
    """Have the clocks of a conversation go on that an agent opens again."""
    conversations.reopened(conversation.pk, now=now)


@hooks.on_moved
def follow(conversation_ids: Collection[UUID], now: datetime) -> None:
    """Have clocks follow the status and priority of conversations."""
    conversations.refresh(conversation_ids, now=now)


# --- what happens to tickets, and to clocks themselves --------------------------------------------------------------

ticket_hooks.on_opened(tickets.ticket_opened)
ticket_hooks.on_moved(tickets.ticket_moved)
ticket_hooks.on_changed(tickets.ticket_changed)
ticket_hooks.on_answered(tickets.ticket_answered)
ticket_hooks.on_asked(tickets.customer_asked)


@telling.on_told
def tell_integrators(signals: Sequence[ClockSignal], now: datetime) -> None:
    """Tell webhooks and streams of warnings and breaches."""
    events.clock(*signals, now=now)
