"""From the bot to the agents: the conversation is queued, with a note that says what there was so far."""

from datetime import datetime
from functools import partial
from typing import Any

import structlog
from django.db import transaction

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Problem
from routing.actions import Action
from routing.assignment import queueing
from routing.assignment.assigning import assign_waiting
from routing.bot import wording
from routing.bot.deciding import Decision
from routing.configuration import assignment, bot
from routing.conversations import replies
from routing.conversations.replies import Author
from routing.models import AuthorKind, BotAction, BotTurn, Conversation, ConversationStatus, Line, Note

log = structlog.get_logger(__name__)
BOT = Actor.system("bot")
AUTHOR = Author(owner="bot")
#: Of the customer's texts, in the note.
MAX_TEXTS, MAX_TEXT = 5, 300


def hand_over(row: Conversation, decision: Decision, *, text: str, now: datetime) -> None:
    """Queue a locked conversation of the bot, in the caller's transaction: it is the agents' from now on.

    The customer is told if that is possible. The one thing that matters is that an agent gets it, so nothing of that stops it.
    """
    if text:
        try:
            replies.reply(
                conversation=row, author=AUTHOR, text=text, data={"bot": BotAction.HAND_OVER, "reason": decision.reason}, by=BOT, now=now
            )
        except Problem as problem:  # an e-mail that asks for no automatic reply, a customer who was erased
            log.info("the customer was not told that an agent takes over", conversation=str(row.pk), reason=problem.code)
    changes: dict[str, Any] = {"status": ConversationStatus.NEW, "unanswered_since": row.unanswered_since or row.customer_wrote_at or now}
    changes |= wanted_last(row)
    if decision.collected:
        changes["details"] = {**row.details, "collected": dict(decision.collected)}
    if not Conversation.objects.filter(pk=row.pk, status=ConversationStatus.BOT).update(**changes):
        return  # the lock makes this impossible; an agent who has it keeps it
    _note(row, decision, now=now)
    audit.record(
        by=BOT,
        action=Action.CONVERSATION_HAND_OVER,
        target=row.pk,
        tenant_id=row.tenant_id,
        detail={"reason": decision.reason, "details": sorted(decision.collected)},
    )
    queueing.enqueue([row.pk], now=now)
    transaction.on_commit(partial(assign_waiting, tenant_id=row.tenant_id, now=now), robust=True)


def wanted_last(row: Conversation) -> dict[str, Any]:
    """Return the intent of the newest text that surely has one, as changes: rules lead to the group for what is wanted now.

    A request for an agent says nothing of the matter, and neither does a reply to a question of the bot.
    """
    least, others = assignment.of(row.tenant_id).min_confidence_percent / 100, bot.of(row.tenant_id).hand_over_intents
    turns = list(BotTurn.objects.filter(conversation=row).order_by("-seq").values_list("seq", "action"))
    texts = Line.objects.filter(conversation=row, author=AuthorKind.CUSTOMER).order_by("-seq").values_list("seq", "recognition")
    for seq, recognition in texts[:MAX_TEXTS]:
        intent, confidence = recognition.get("intent") or "", recognition.get("confidence") or 0.0
        before = next((action for turn, action in turns if turn < seq), "")
        if intent and confidence >= least and intent not in others and before not in (BotAction.COLLECT, BotAction.OFFER):
            return {"intent": intent, "confidence": confidence}
    return {}


def _note(row: Conversation, decision: Decision, *, now: datetime) -> None:
    turns = BotTurn.objects.filter(conversation=row, entry__isnull=False).select_related("entry").order_by("seq")
    answers = [f"{turn.entry.question} ({round(100 * (turn.score or 0))} %)" for turn in turns[:MAX_TEXTS] if turn.entry]
    asked = Line.objects.filter(conversation=row, author=AuthorKind.CUSTOMER).exclude(text="").order_by("-seq")
    texts = [text[:MAX_TEXT] for text in reversed(asked.values_list("text", flat=True)[:MAX_TEXTS])]
    after = Conversation.objects.filter(pk=row.pk).values_list("last_seq", flat=True).first() or row.last_seq
    Note.objects.create(
        tenant_id=row.tenant_id,
        conversation=row,
        written_by=str(BOT),
        text=wording.summary(decision, asked=texts, answers=answers),
        after_seq=after,
        created_at=now,
    )
