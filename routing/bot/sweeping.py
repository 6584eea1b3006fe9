"""The safety net: what the bot should have answered long ago, and what customers left unanswered."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Case, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.registry import Blocking, job
from posthaste.lib import queues
from posthaste.lib.resting import Resting
from routing.bot.answering import answer_waiting, give_up
from routing.bot.handing_over import BOT
from routing.configuration import bot
from routing.conversations import lines, resolving
from routing.models import BotAction, BotTurn, Conversation, ConversationStatus

log = structlog.get_logger(__name__)
#: A text that has waited longer was not kicked for, or its worker is gone: another one answers.
OVERDUE = timedelta(seconds=3)
#: By then an agent takes over, without another try: the text may be what kills the workers.
LATE = timedelta(seconds=15)
MOST = 500
#: How often idle conversations are looked at; the shortest time that can be configured is a minute.
IDLE_LOOK = timedelta(seconds=30)
_resting = Resting("bot")
#: Of what the bot did last: the customer got what they wanted.
ANSWERED = Q(action=BotAction.ANSWER) | Q(reason="thanks")
WITH_BOT = Conversation.objects.filter(status=ConversationStatus.BOT)


def is_overdue() -> bool:
    """Return whether a text waits for the bot longer than it should: a probe of a small index."""
    return WITH_BOT.filter(unanswered_since__lt=timezone.now() - OVERDUE).exists()


@job(
    "routing.sweep_bot",
    title=_("Find conversations that the bot left behind"),
    purpose=_("Lets the bot answer when a worker was killed or the broker lost its task, and hands over what has waited too long."),
    every=timedelta(seconds=4),
    timeout=timedelta(minutes=2),
    blocking=Blocking.DISCARD,
    queue=queues.DELAYED,
    is_needed=is_overdue,
)
def sweep_bot() -> None:
    """Hand over what has waited too long, then answer what waits."""
    hand_over_late(now=timezone.now())
    answer_waiting()


def hand_over_late(*, now: datetime) -> int:
    """Hand over what the bot has not answered in time, and return how many conversations."""
    late = WITH_BOT.filter(unanswered_since__lt=now - LATE).exclude(pk__in=_resting.ids(now=now)).order_by("unanswered_since")
    return sum(_given_up(pk, "late", now) for pk in list(late.values_list("pk", flat=True)[:MOST]))


def is_anything_idle() -> bool:
    """Return whether the bot has conversations whose customer has written nothing for a minute."""
    return WITH_BOT.filter(unanswered_since=None, agent_wrote_at__lt=timezone.now() - timedelta(minutes=1)).exists()


@job(
    "routing.end_bot_talks",
    title=_("End idle conversations of the bot"),
    purpose=_("Resolves what was answered, and hands over where the customer did not reply to a question, after the configured times."),
    every=IDLE_LOOK,
    timeout=timedelta(minutes=2),
    blocking=Blocking.DISCARD,
    queue=queues.DELAYED,
    is_needed=is_anything_idle,
)
def end_bot_talks() -> None:
    """Look at the bot's conversations in which the customer is silent."""
    end_idle(now=timezone.now())


def end_idle(*, now: datetime) -> int:
    """Resolve or hand over what is idle for as long as its tenant has configured, and return how many conversations.

    An error of one conversation does not stop the others, and it rests.
    """
    idle = WITH_BOT.filter(unanswered_since=None, agent_wrote_at__lt=now - timedelta(minutes=1))
    resting = _resting.ids(now=now)
    ended = 0
    for tenant_id in list(idle.order_by().values_list("tenant_id", flat=True).distinct()):
        due = _due(idle.filter(tenant_id=tenant_id), tenant_id, now=now).exclude(pk__in=resting)
        for row in list(due.order_by("agent_wrote_at")[:MOST]):
            try:
                ended += _resolved(row, now) if row.is_answered else _given_up(row.pk, "idle", now)
            except (OperationalError, InterfaceError):
                raise
            except Exception:
                log.exception("an idle conversation could not be ended", conversation=str(row.pk))
                _resting.failed(row.pk, now=now)
    return ended


def _due(idle: "QuerySet[Conversation]", tenant_id: int, *, now: datetime) -> "QuerySet[Any, Any]":
    """Keep what is idle for long enough, with `is_answered`. What never ends, or not yet, is left out: it would take the others' places."""
    settings = bot.of(tenant_id)
    last = BotTurn.objects.filter(conversation=OuterRef("pk")).order_by("-seq")
    rows = idle.annotate(action=Subquery(last.values("action")[:1]), reason=Subquery(last.values("reason")[:1]))
    rows = rows.annotate(is_answered=Case(When(ANSWERED, then=Value(True)), default=Value(False)))
    due = Q(pk__in=[])
    for is_answered, minutes in ((True, settings.resolve_minutes), (False, settings.hand_over_minutes)):
        if minutes:
            due |= Q(is_answered=is_answered, agent_wrote_at__lte=now - timedelta(minutes=minutes))
    return rows.filter(due)


@transaction.atomic
def _resolved(row: Conversation, now: datetime) -> bool:
    locked = lines.lock(row.pk)
    if locked.status != ConversationStatus.BOT or locked.last_seq != row.last_seq:
        return False  # the customer has written, or an agent has it
    resolving.resolve(conversation=locked, by=BOT, now=now)
    return True


def _given_up(conversation_id: UUID, reason: str, now: datetime) -> bool:
    try:
        return give_up(conversation_id, reason=reason, now=now)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the next look does it
    except Exception:  # it stays the bot's until another look
        log.exception("a conversation of the bot could not be handed over", conversation=str(conversation_id))
        _resting.failed(conversation_id, now=now)
        return False
