"""Snooze: a conversation is out of its agent's way until a time, or until the customer writes."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import audit
from accounts.services.audit import Actor
from jobs.registry import Blocking, job
from posthaste.lib import queues
from posthaste.lib.problems import Conflict, Invalid
from routing.actions import Action
from routing.conversations import hooks
from routing.desk import telling
from routing.desk.states import locked
from routing.models import OPEN_STATUSES, Conversation, NoticeKind

LONGEST = timedelta(days=366)
AT_ONCE = 200


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


@transaction.atomic
def wake_due(*, now: datetime) -> int:
    """Wake conversations whose snooze is over, and return how many; run twice, or by two at once, each wakes once."""
    due = Conversation.objects.filter(snoozed_until__lte=now).order_by("snoozed_until").select_for_update(skip_locked=True, no_key=True)
    rows = list(due.only("pk", "agent_id", "snoozed_until", "status")[:AT_ONCE])
    ids = [row.pk for row in rows]
    Conversation.objects.filter(pk__in=ids, snoozed_until__lte=now).update(snoozed_until=None)
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
