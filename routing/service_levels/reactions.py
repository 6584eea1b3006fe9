"""What follows for clocks from what happens in conversations. Imported when the application starts, in every process."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from routing.conversations import hooks
from routing.models import AuthorKind, Conversation, Line
from routing.service_levels import conversations


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
def stop_resolution(conversation: Conversation, now: datetime) -> None:
    """Stop the clocks of a resolved conversation."""
    conversations.resolved(conversation.pk, now=now)


@hooks.on_moved
def follow(conversation_ids: Collection[UUID], now: datetime) -> None:
    """Have clocks follow the status and priority of conversations."""
    conversations.refresh(conversation_ids, now=now)
