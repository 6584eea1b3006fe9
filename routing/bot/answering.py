"""Let the bot answer: the task `routing.bot`.

It decides outside of transactions. Then the conversation is locked, and the turn is written together with its line and message, or with the
hand-over: only if the conversation is still the bot's, the customer has written nothing since, and no other worker has answered (a turn is
unique for each conversation and line). Whatever goes wrong, an agent gets the conversation.

What if the process dies: before the commit nothing of a turn is written, and the sweep (`routing.sweep_bot`) lets another worker answer, or
hands over; after it, all is.
"""

from datetime import datetime
from enum import Enum, auto
from typing import Any
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from posthaste.lib.door import Door
from posthaste.lib.problems import Problem
from routing.assignment import business_hours
from routing.bot import kicking, opinions, wording
from routing.bot.deciding import Decision, decide
from routing.bot.handing_over import AUTHOR, BOT, hand_over
from routing.bot.reading import Seen, last_turn, newest_text, read, situation_of
from routing.configuration import bot
from routing.conversations import lines, notices, replies
from routing.faq import counting
from routing.faq.published import entries, texts_of
from routing.faq.rendering import text_of
from routing.models import BotAction, BotTurn, Conversation, ConversationStatus

log = structlog.get_logger(__name__)
BATCH = 50
#: A task ends after so many batches, and another one goes on.
MAX_BATCHES = 20
#: Where the customer writes faster than the bot decides, an agent takes over.
MAX_ATTEMPTS = 3
_door = Door()


class Written(Enum):
    """What became of a decision."""

    DONE = auto()
    #: An agent has the conversation, or another worker has answered.
    BEATEN = auto()
    #: The customer has written meanwhile: decide again.
    OUTDATED = auto()


def answer_waiting() -> int:
    """Answer in all conversations that wait for the bot, the longest first, and return in how many."""
    done, tried = 0, set[UUID]()
    for _batch in range(MAX_BATCHES):
        with _door.enter() as is_mine:
            if not is_mine:
                return done
            kicking.kick_taken()  # not before: while one waits, what comes needs no other task
            rows = Conversation.objects.filter(status=ConversationStatus.BOT, unanswered_since__isnull=False)
            waiting = [pk for pk in rows.order_by("unanswered_since").values_list("pk", flat=True)[: BATCH + len(tried)] if pk not in tried]
            for pk in waiting:
                done += _tried(pk)
        if not waiting:
            return done
        tried.update(waiting)
    kicking.kick()
    return done


def _tried(conversation_id: UUID) -> bool:
    """Answer in one conversation; what can't even be handed over holds up no other, and the sweep comes again."""
    try:
        return answer(conversation_id)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("a conversation of the bot could not be handed over", conversation=str(conversation_id))
        return False


def answer(conversation_id: UUID) -> bool:
    """Answer in one conversation, or hand it over; False: it does not wait, or others were faster."""
    for _attempt in range(MAX_ATTEMPTS):
        seen = read(conversation_id)
        if seen is None:
            return False
        try:
            written = write(seen, _decided(seen), now=timezone.now())
        except (OperationalError, InterfaceError):
            raise  # the database is away, or busy: the sweep comes again
        except Problem as problem:  # such as an e-mail that asks for no automatic reply
            log.info("the bot may not answer", conversation=str(conversation_id), code=problem.code)
            return give_up(conversation_id, reason="failure", now=timezone.now())
        except Exception:  # whatever it is, the customer waits, and an agent can answer
            log.exception("the bot could not answer", conversation=str(conversation_id))
            return give_up(conversation_id, reason="failure", now=timezone.now())
        if written is not Written.OUTDATED:
            return written is Written.DONE
    return give_up(conversation_id, reason="failure", now=timezone.now())


def give_up(conversation_id: UUID, *, reason: str, now: datetime) -> bool:
    """Hand a conversation over without looking for an answer; False: it is not the bot's any more."""
    for _attempt in range(MAX_ATTEMPTS):
        seen = read(conversation_id, is_waiting=False)
        if seen is None:
            return False
        before = seen.before
        decision = Decision(BotAction.HAND_OVER, reason, collected=before.collected, misses=before.misses)
        written = write(seen, decision, now=now)
        if written is not Written.OUTDATED:
            return written is Written.DONE
    return False


def _decided(seen: Seen) -> Decision:
    settings = bot.of(seen.conversation.tenant_id)
    return decide(situation_of(seen, settings), settings)


@transaction.atomic
def write(seen: Seen, decision: Decision, *, now: datetime) -> Written:
    """Write a turn with what follows from it, if nothing has changed since the conversation was read."""
    try:
        row = lines.lock(seen.conversation.pk)
    except Conversation.DoesNotExist:
        return Written.BEATEN
    if newest_text(row.pk) != seen.newest_seq:
        return Written.OUTDATED
    last = last_turn(row.pk)
    if (last.pk if last else None) != (seen.last.pk if seen.last else None):
        return Written.BEATEN
    if row.status != ConversationStatus.BOT:
        _turn(row, seen, Decision(BotAction.SILENT, "human"), now=now)
        return Written.BEATEN
    answer_text = _answer_of(row, decision)
    if decision.action == BotAction.ANSWER and not answer_text:  # archived since it was found or offered
        decision = Decision(BotAction.HAND_OVER, "no_answer", collected=decision.collected, misses=decision.misses)
    if decision.opinion is not None and seen.last is not None:
        opinions.note(turn=seen.last, helpful=decision.opinion)
    _turn(row, seen, decision, now=now)
    if decision.action == BotAction.SILENT:
        Conversation.objects.filter(pk=row.pk).update(unanswered_since=None)
        notices.changed_after_commit(row)
        return Written.DONE
    text = wording.reply_to(
        decision,
        answer=answer_text,
        language=seen.language,
        settings=bot.of(row.tenant_id),
        is_first=seen.last is None,
        is_open=business_hours.open_at(row.tenant_id, now),
    )
    if decision.action == BotAction.HAND_OVER:
        hand_over(row, decision, text=text, now=now)
    else:
        replies.reply(conversation=row, author=AUTHOR, text=text, data=_data(decision, seen), by=BOT, now=now)
        _count(row, decision)
    return Written.DONE


def _answer_of(row: Conversation, decision: Decision) -> str:
    """Return the published answer of the entry that was decided for; empty: there is none."""
    if decision.action != BotAction.ANSWER or decision.entry is None:
        return ""
    entry = entries(row.tenant_id).filter(pk=decision.entry.id).first()
    return text_of(texts_of(entry).answer) if entry else ""


def _data(decision: Decision, seen: Seen) -> dict[str, Any]:
    """Return what agents see beside the line, and the choices that a chat shows as buttons."""
    data: dict[str, Any] = {"bot": decision.action, "reason": decision.reason}
    if decision.entry:
        data |= {"faq": str(decision.entry.id), "score": decision.entry.score}
    if decision.offered:
        data["offered"] = [{"faq": str(each.id), "score": each.score} for each in decision.offered]
    if choices := wording.choices_of(decision, seen.language):
        data["choices"] = choices
    return data


def _count(row: Conversation, decision: Decision) -> None:
    if decision.entry:
        counting.note_answered(decision.entry.id, tenant_id=row.tenant_id)
    if decision.offered:
        counting.note_shown([each.id for each in decision.offered], tenant_id=row.tenant_id)


def _turn(row: Conversation, seen: Seen, decision: Decision, *, now: datetime) -> None:
    """Store the turn. A second one for the same line is refused by the database, and all that belongs to it with it."""
    offered = [{"faq": str(each.id), "question": each.question, "score": each.score} for each in decision.offered]
    data: dict[str, Any] = {"misses": decision.misses, "collected": dict(decision.collected)}
    data |= {"offered": offered} if offered else {}
    data |= {"intent": decision.detail.intent, "detail": decision.detail.name} if decision.detail else {}
    BotTurn.objects.create(
        tenant_id=row.tenant_id,
        conversation=row,
        seq=seen.newest_seq if seen.lines else row.last_seq,  # without a new text of the customer, the number of the bot's own
        action=decision.action,
        reason=decision.reason,
        entry_id=decision.entry.id if decision.entry else None,
        score=decision.entry.score if decision.entry else None,
        data=data,
        at=now,
    )
