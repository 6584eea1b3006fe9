"""Tell webhooks and streams what happens in conversations. Imported when the application starts, in every process."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from routing import event_types, events
from routing.conversations import hooks
from routing.models import Conversation, ConversationStatus, Line


@hooks.on_written
def tell_lines(received: Sequence[hooks.Received], now: datetime) -> None:
    """Tell of customers' lines, before it is told where their conversations wait."""
    events.lines_received([(each.conversation, each.line, each.begins) for each in received], now=now)


@hooks.on_moved
def tell_moves(conversation_ids: Collection[UUID], now: datetime) -> None:
    """Tell of conversations that are queued, assigned or closed."""
    events.conversations_moved(conversation_ids, now=now)


@hooks.on_replied
def tell_reply(conversation: Conversation, line: Line, now: datetime) -> None:
    """Tell of a reply."""
    events.line_sent(conversation, line, now=now)


@hooks.on_resolved
def tell_resolved(conversation: Conversation, now: datetime) -> None:
    """Tell of a resolved conversation; one that is closed instead is told as a move."""
    if conversation.status == ConversationStatus.RESOLVED:
        events.conversation(event_types.CONVERSATION_RESOLVED, conversation, now=now)
