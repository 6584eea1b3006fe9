"""Messages that no process would ever meet: what waits for a time that can't be read is never due, and its batch never ends."""

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from jobs.registry import Blocking, job
from messaging.models import Message, Status
from messaging.storage import row_kinds, unreadable
from posthaste.lib import queues
from posthaste.lib.dates import EARLIEST, LATEST


@job(
    "messaging.set_aside_unreadable",
    entry="set aside unreadable messages",
    title=_("Set aside unreadable rows"),
    purpose=_("Ends messages that wait for a time which can't be read, and repairs unreadable API keys, providers and idempotency keys."),
    every=timedelta(minutes=10),
    timeout=timedelta(minutes=5),
    expires=timedelta(minutes=5),
    blocking=Blocking.DISCARD,
    queue=queues.NOTIFICATION,
    stoppable=False,  # short steps every few minutes; a process each time would cost more than the work
)
def set_aside_unreadable(*, now: datetime) -> int:
    """Set aside the messages in progress whose times are out of range, and other rows that can't be read; return their number."""
    rows = Message.objects.filter(
        Q(status=Status.PENDING, due_at__gt=LATEST)
        | Q(status=Status.PENDING, due_at__lt=EARLIEST)
        | Q(status=Status.QUEUED, queued_at__gt=LATEST)
        | Q(status=Status.SENDING, lease_until__gt=LATEST)
    )
    return unreadable.set_aside(rows.order_by()) + row_kinds.set_aside_others()
