"""How long a conversation will wait for an agent, as assignment knows it: it lies above, so it lends its answer."""

from collections.abc import Callable
from datetime import datetime

from routing.models import Conversation, ConversationStatus

#: Place from 1 and seconds to wait, None where they are not known; None for what does not wait.
Place = tuple[int, int | None] | None


def _by_age(conversation: Conversation, _now: datetime) -> Place:
    """Count what has waited longer in the same group."""
    older = Conversation.objects.filter(
        tenant_id=conversation.tenant_id,
        group_id=conversation.group_id,
        status=ConversationStatus.QUEUED,
        queued_at__lt=conversation.queued_at,
    )
    return older.count() + 1, None


_place: Callable[[Conversation, datetime], Place] = _by_age


def lend(place: Callable[[Conversation, datetime], Place]) -> None:
    """Let another function tell places in the queue."""
    global _place
    _place = place


def place_of(conversation: Conversation, *, now: datetime) -> Place:
    """Return the place of a conversation in the queue; None if it does not wait."""
    if conversation.status != ConversationStatus.QUEUED or conversation.queued_at is None:
        return None
    return _place(conversation, now)
