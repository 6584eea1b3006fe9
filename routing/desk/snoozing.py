"""Snooze: a conversation is out of its agent's way until a time, or until the customer writes."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import audit
from accounts.services.audit import Actor
from jobs.registry import Blocking, job
from posthaste.lib import queues
from posthaste.lib.problems import Conflict, Invalid
from posthaste.lib.resting import Resting
from routing.actions import Action
from routing.conversations import hooks
from routing.desk import telling
from routing.desk.states import locked
from routing.models import OPEN_STATUSES, Conversation, NoticeKind

log = structlog.get_logger(__name__)
LONGEST = timedelta(days=366)
AT_ONCE = 200
_resting = Resting("wake")


@transaction.atomic
def snooze(*, conversation: Conversation, until: datetime | None, by: Actor, now: datetime) -> Conversation:
    """Snooze an open conversation until a time; None wakes it.

    Raises:
        Invalid: the time is not in the future, or more than a year away.
        Conflict: it is not open.
    """
    if until is not None and not now < until <= now + LONGEST:
        raise Invalid.field("until", _("Must be in the future, and within a year."))
    row = locked(conversation)
    if row.status not in OPEN_STATUSES:
        raise Conflict(_("Only an open conversation can be snoozed."))
    row.snoozed_until = until
    row.save(update_fields=["snoozed_until"])
    detail = {"until": until.isoformat() if until else None}
    audit.record(by=by, action=Action.CONVERSATION_SNOOZE, target=row.pk, tenant_id=row.tenant_id, detail=detail)
    hooks.tell_moved([row.pk], now=now)
    return row


def is_any_due() -> bool:
    """Return whether a snooze is over; a probe of one index."""
    return Conversation.objects.filter(snoozed_until__lte=timezone.now()).exists()


@job(
    "routing.wake",
    title=gettext_lazy("Wake snoozed conversations"),
    purpose=gettext_lazy("Brings conversations back whose snooze is over, and tells their agents."),
    every=timedelta(seconds=5),
    timeout=timedelta(minutes=1),
    expires=timedelta(seconds=10),
    blocking=Blocking.DISCARD,
    queue=queues.AI,
    is_needed=is_any_due,
)
def wake() -> None:
    """Wake what is due."""
    while wake_due(now=timezone.now()) == AT_ONCE:
        pass


def wake_due(*, now: datetime) -> int:
    """Wake conversations whose snooze is over, and return how many; run twice, or by two at once, each wakes once.

    They wake together; if that fails, each alone, and the one that fails rests.
    """
    due = Conversation.objects.filter(snoozed_until__lte=now).exclude(pk__in=_resting.ids(now=now)).order_by("snoozed_until")
    ids = list(due.values_list("pk", flat=True)[:AT_ONCE])
    try:
        return _woken(ids, now=now)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the next run wakes them
    except Exception:
        log.exception("conversations did not wake together", number=len(ids))
        return sum(_woken_alone(pk, now=now) for pk in ids)


def _woken_alone(conversation_id: UUID, *, now: datetime) -> int:
    try:
        return _woken([conversation_id], now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("a conversation did not wake", conversation=str(conversation_id))
        _resting.failed(conversation_id, now=now)
        return 0


@transaction.atomic
def _woken(found: Collection[UUID], *, now: datetime) -> int:
    due = Conversation.objects.filter(pk__in=found, snoozed_until__lte=now).order_by("pk")
    rows = list(due.select_for_update(skip_locked=True, no_key=True).only("pk", "agent_id", "snoozed_until", "status"))
    ids = [row.pk for row in rows]
    Conversation.objects.filter(pk__in=ids).update(snoozed_until=None)
    hooks.tell_moved(ids, now=now)
    telling.tell(
        telling.about_conversation(
            NoticeKind.WOKEN,
            agent_id=row.agent_id,
            conversation_id=row.pk,
            about=f"{row.pk.hex}:{int(row.snoozed_until.timestamp()) if row.snoozed_until else 0}",
            now=now,
        )
        for row in rows
        if row.agent_id is not None and row.status in OPEN_STATUSES
    )
    return len(rows)
