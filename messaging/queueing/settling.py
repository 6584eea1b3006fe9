"""Close batches that are through."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery

from messaging.models import IN_PROGRESS, Batch, BatchStatus, Message
from messaging.storage import batches, in_progress, unreadable


def settle_batches(*, now: datetime) -> int:
    """Close batches without a message in progress and return the number of those that finished.

    What came back to a cancelled batch for a retry is cancelled as well.
    """
    if not in_progress.any_batch_is_open():
        return 0
    unreadable.read(Batch.objects.exclude(status=BatchStatus.FINISHED), lambda: batches.sweep(now=now))
    ending = Batch.objects.filter(status=BatchStatus.CANCELLED, finished_at=None)
    running = Batch.objects.filter(status=BatchStatus.RUNNING)
    _settle(ending, finished_at=now)
    return _settle(running, status=BatchStatus.FINISHED, finished_at=now)


def _settle(rows: "QuerySet[Batch]", **changes: Any) -> int:
    """Change the batches that have no message in progress, and return the number.

    Putting a message back into progress locks its batch (`batches.reopen`). So none is put back between the check, made under that
    lock, and the change, and no message is left in an ended batch, which the feeder ignores.
    """
    # A sub-query for one row instead of EXISTS: of that the planner makes one pass over everything that is in progress.
    busy = Subquery(Message.objects.filter(batch_id=OuterRef("pk"), status__in=IN_PROGRESS).order_by().values("status")[:1])
    through = rows.order_by("pk").annotate(busy=busy).filter(busy=None)
    with transaction.atomic():
        locked = through.select_for_update(no_key=True, skip_locked=True).values_list("pk", flat=True)
        ids = unreadable.read(rows, lambda: list(locked))
        return rows.filter(pk__in=ids).annotate(busy=busy).filter(busy=None).update(**changes) if ids else 0
