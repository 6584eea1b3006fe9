"""What the bot does when something happens in conversations. Imported when the application starts, in every process."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from django.db import transaction

from routing.assignment import queueing
from routing.assignment.assigning import assign_waiting
from routing.bot import kicking
from routing.conversations import hooks
from routing.conversations.hooks import Received
from routing.models import Conversation, ConversationStatus, Line


@hooks.on_received
def answer_soon(received: Sequence[Received], now: datetime) -> None:
    """Have a worker answer what customers wrote to the bot, once it is committed."""
    if any(each.conversation.status == ConversationStatus.BOT for each in received):
        transaction.on_commit(kicking.kick, robust=True)


@hooks.on_replied
def step_back(conversation: Conversation, line: Line, now: datetime) -> None:
    """Leave a conversation to the agents as soon as one of them, or another system, has written: the bot never answers beside others."""
    if "bot" in line.data:  # its own
        return
    left = Conversation.objects.filter(pk=conversation.pk, status=ConversationStatus.BOT).update(status=ConversationStatus.NEW)
    if left:
        queueing.enqueue([conversation.pk], now=now)
        transaction.on_commit(partial(assign_waiting, tenant_id=conversation.tenant_id, now=now), robust=True)
