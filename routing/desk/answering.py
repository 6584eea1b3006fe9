"""What agents do with a conversation that they hold or take: reply, claim."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from accounts.services.audit import Actor
from routing.assignment import holding
from routing.conversations import replies
from routing.desk import telling
from routing.models import Agent, Conversation, Draft, Line


@transaction.atomic
def reply(
    *,
    conversation: Conversation,
    agent: Agent | None,
    text: str,
    file_ids: Sequence[UUID] = (),
    client_id: str = "",
    seen_seq: int | None = None,
    owner: str = "",
    by: Actor,
    now: datetime,
) -> Line:
    """Write a reply; the draft of the agent who writes, if one is named, goes with it, and what they were told of it counts as read.

    `owner` is under which name its files were uploaded, if that is another than the agent's own.

    Raises:
        Invalid, AnsweredMeanwhile, Conflict, NotFound: as for `replies.reply`.
    """
    author = replies.Author(agent=agent, owner=owner or (owner_of(agent) if agent else ""))
    line = replies.reply(
        conversation=conversation, author=author, text=text, file_ids=file_ids, client_id=client_id, seen_seq=seen_seq, by=by, now=now
    )
    if agent is not None:
        Draft.objects.filter(agent=agent, conversation=conversation, is_note=False).delete()
        telling.mark_read(agent, conversation_id=conversation.pk, now=now)
    return line


@transaction.atomic
def claim(*, conversation: Conversation, agent: Agent, by: Actor, now: datetime) -> Conversation:
    """Let an agent take a conversation that waits. They know of it, so it is no news to them.

    Raises:
        Taken, NotOpen, Full, NotFound: as for `holding.claim`.
    """
    taken = holding.claim(conversation=conversation, agent=agent, by=by, now=now)
    telling.mark_read(agent, conversation_id=conversation.pk, now=now)
    return taken


def owner_of(agent: Agent) -> str:
    """Return under which name files are kept that an agent has uploaded and not sent yet."""
    return f"agent:{agent.pk.hex}"
