"""What follows in assignment from what happens in conversations. Imported when the application starts, in every process."""

from datetime import datetime

from routing.assignment import holding, queueing
from routing.conversations import hooks, waiting
from routing.models import Conversation, Line


@hooks.on_resolved
def free_place(conversation: Conversation, now: datetime) -> None:
    """Free the place that a resolved conversation took of its agent's capacity."""
    holding.ended(conversation_id=conversation.pk, tenant_id=conversation.tenant_id, now=now)


@hooks.on_replied
def give_first_responder(conversation: Conversation, line: Line, now: datetime) -> None:
    """Let an agent who answers first have the conversation."""
    if line.agent_id is not None:
        holding.first_response(conversation_id=conversation.pk, agent_id=line.agent_id, now=now)


def _place(conversation: Conversation, now: datetime) -> waiting.Place:
    found = queueing.position(conversation, now=now)
    return (found.place, found.wait_seconds) if found else None


waiting.lend(_place)
