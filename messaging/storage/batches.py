"""Batches that stop: what is in the broker is taken back at once, the rest is marked in the background.

The state of the batch is what counts: the feeder hands over nothing of a batch that does not run, and holds the batch while it
hands over (`BacklogQueue.hold`). So once the state is committed no row becomes `queued` any more, and only the few that are have to
be found; 100,000 that are `pending` may stay so until `sweep` comes to them, and are counted as cancelled meanwhile
(`selectors.batch_counts`).

What if the process dies: the next sweep goes on where this one ended. If two sweep at once, the row locks keep them apart.
"""

import time
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from messaging.models import Batch, BatchStatus, Message, Status
from messaging.storage import tallies
from tracing.services import record
from tracing.services.tally import tally

NOT_BEGUN = (Status.PENDING, Status.QUEUED)
ROWS_A_STEP = 2_000
SWEEP_SECONDS = 1.0


def counts_by_state(batch_id: UUID) -> dict[str, int]:
    """Count the messages of a batch by state; states without any are left out."""
    return {status: number for _id, status, number in tallies.by_batch([batch_id])}


def reopen(ids: Collection[UUID]) -> None:
    """Open batches that have ended, for messages that the caller puts back into progress in the same transaction.

    One that runs is held as well, so that it is not closed before they are back (see `settling.settle_batches`); one that was cancelled
    stays so, and the next sweep cancels them.
    """
    found = Batch.objects.filter(pk__in=ids)
    list(found.order_by("pk").select_for_update(no_key=True).values_list("pk"))
    found.filter(status=BatchStatus.FINISHED).update(status=BatchStatus.RUNNING, finished_at=None)
    found.filter(status=BatchStatus.CANCELLED).update(finished_at=None)


def _step(batch_id: UUID, *, while_it_is: str, states: tuple[str, ...], changes: dict[str, Any]) -> int:
    """Change some messages of a batch and return their number; none if the batch has changed state meanwhile.

    Rows that a worker is claiming are skipped: waiting for them could deadlock.
    """
    with transaction.atomic():
        if not Batch.objects.filter(pk=batch_id, status=while_it_is).order_by().select_for_update(no_key=True).values_list("pk"):
            return 0
        rows = Message.objects.filter(batch_id=batch_id, status__in=states).order_by()
        ids = list(rows.select_for_update(skip_locked=True)[:ROWS_A_STEP].values_list("pk", flat=True))
        if ids and while_it_is == BatchStatus.PAUSED:
            now = timezone.now()
            lines = {pk: record.line("B", pk, now, "paused") for pk in ids}
            transaction.on_commit(lambda: tally.trace(lines), robust=True)
        return Message.objects.filter(pk__in=ids).update(**changes) if ids else 0


def _all_steps(batch_id: UUID, *, until: float | None = None, **step: Any) -> int:
    changed = 0
    while moved := _step(batch_id, **step):
        changed += moved
        if moved < ROWS_A_STEP or (until is not None and time.monotonic() > until):
            break
    return changed


def take_back_paused(batch_id: UUID, *, until: float | None = None) -> int:
    """Take a paused batch's messages back from the broker and return their number."""
    changes = {"status": Status.PENDING, "queued_at": None}
    return _all_steps(batch_id, until=until, while_it_is=BatchStatus.PAUSED, states=(Status.QUEUED,), changes=changes)


def take_back_cancelled(batch_id: UUID, *, now: datetime, states: tuple[str, ...] = NOT_BEGUN, until: float | None = None) -> int:
    """Mark messages of a cancelled batch as cancelled and return their number."""
    changes = {"status": Status.CANCELLED, "finished_at": now}
    return _all_steps(batch_id, until=until, while_it_is=BatchStatus.CANCELLED, states=states, changes=changes)


def sweep(*, now: datetime, seconds: float = SWEEP_SECONDS) -> int:
    """Take back what cancelled and paused batches have left, for a limited time, and return the number of rows.

    This includes messages that came back to such a batch for a retry.
    """
    until = time.monotonic() + seconds
    swept = 0
    for status, states in ((BatchStatus.CANCELLED, NOT_BEGUN), (BatchStatus.PAUSED, (Status.QUEUED,))):
        left = Message.objects.filter(batch_id=OuterRef("pk"), status__in=states).order_by().values("status")[:1]
        stopped = Batch.objects.filter(status=status, finished_at=None).annotate(left=Subquery(left)).exclude(left=None)
        for batch_id in stopped.order_by("pk").values_list("pk", flat=True):
            if status == BatchStatus.CANCELLED:
                swept += take_back_cancelled(batch_id, now=now, until=until)
            else:
                swept += take_back_paused(batch_id, until=until)
            if time.monotonic() > until:
                return swept
    return swept
