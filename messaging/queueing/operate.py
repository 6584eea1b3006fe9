"""What people do with messages and batches: cancel, retry, pause, resume, decide about unknown outcomes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from messaging.models import Batch, BatchStatus, Message, Status
from messaging.queueing.publish import kick_feeder
from messaging.storage import batches
from messaging.storage.batches import NOT_BEGUN
from posthaste.lib.problems import Conflict

AT_ONCE_SECONDS = 0.2  # a caller who cancels a small batch finds all its messages cancelled
RETRYABLE = (Status.FAILED, Status.UNKNOWN, Status.EXPIRED, Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """How many could still be stopped."""

    cancelled: int
    too_late: int
    unknown: int


def cancel_messages(*, ids: Sequence[UUID], now: datetime) -> int:
    """Cancel those that no worker has claimed yet and return their number."""
    return Message.objects.filter(pk__in=ids, status__in=NOT_BEGUN).update(status=Status.CANCELLED, finished_at=now)


def cancel_message(*, message: Message, now: datetime) -> None:
    """Cancel one message.

    Raises:
        Conflict: it is being sent, or has ended.
    """
    if not cancel_messages(ids=[message.pk], now=now):
        message.refresh_from_db(fields=["status"])
        raise Conflict(_("It is too late: the message is {status}.").format(status=message.status), current_status=message.status)


@transaction.atomic
def retry_messages(*, ids: Sequence[UUID], now: datetime) -> int:
    """Send dead letters, unknown, expired and cancelled messages once more, with fresh retries.

    An expiry that has passed is lifted: whoever asks for it now wants it now. Their batches run again.
    """
    _finish_cancelling(ids, now)
    rows = Message.objects.filter(pk__in=ids, status__in=RETRYABLE)
    concerned = list(rows.exclude(batch=None).order_by().values_list("batch_id", flat=True).distinct())
    Message.objects.filter(pk__in=ids, status__in=RETRYABLE, expires_at__lte=now).update(expires_at=None)
    changed = rows.update(
        status=Status.PENDING,
        due_at=now,
        attempts=0,
        queued_at=None,
        finished_at=None,
        sent_at=None,
        claim=None,
        lease_until=None,
        error_code="",
        error_detail="",
    )
    Batch.objects.filter(pk__in=concerned, status__in=[BatchStatus.FINISHED, BatchStatus.CANCELLED]).update(
        status=BatchStatus.RUNNING, finished_at=None
    )
    transaction.on_commit(kick_feeder, robust=True)
    return changed


def _finish_cancelling(ids: Sequence[UUID], now: datetime) -> None:
    """A cancelled batch that runs again for the sake of one message must have nothing left that was not meant."""
    named = Message.objects.filter(pk__in=ids).exclude(batch=None).order_by().values_list("batch_id", flat=True).distinct()
    # Held until the end, so that no batch, one that runs neither, is settled before the message is back in progress: see `batches.reopen`.
    for batch in Batch.objects.filter(pk__in=list(named)).order_by("pk").select_for_update(no_key=True):
        if batch.status == BatchStatus.CANCELLED and batch.finished_at is None:
            Message.objects.filter(batch=batch, status__in=NOT_BEGUN).update(status=Status.CANCELLED, finished_at=now)


def retry_message(*, message: Message, now: datetime) -> None:
    """Send one message once more.

    Raises:
        Conflict: it is under way, or has been sent.
    """
    if not retry_messages(ids=[message.pk], now=now):
        message.refresh_from_db(fields=["status"])
        raise Conflict(
            _("Only failed, unknown, expired or cancelled messages can be sent again; this one is {status}.").format(status=message.status),
            current_status=message.status,
        )


def settle_unknown(*, ids: Sequence[UUID], status: Status, now: datetime) -> int:
    """Write an operator's decision (sent or failed) about messages with an unknown outcome."""
    if status not in (Status.SENT, Status.FAILED):
        raise ValueError(status)
    times = {"sent_at": now} if status == Status.SENT else {}
    return Message.objects.filter(pk__in=ids, status=Status.UNKNOWN).update(status=status, finished_at=now, claim=None, **times)


def _change(batch: Batch, *, source: Sequence[str], target: str, refused: str) -> None:
    if not Batch.objects.filter(pk=batch.pk, status__in=source).update(status=target):
        batch.refresh_from_db(fields=["status"])
        raise Conflict(refused.format(status=batch.status), current_status=batch.status)
    batch.status = target


def pause_batch(*, batch: Batch) -> int:
    """Stop a batch where it stands and return the number of messages taken back from the broker.

    Raises:
        Conflict: it does not run.
    """
    _change(
        batch,
        source=[BatchStatus.RUNNING],
        target=BatchStatus.PAUSED,
        refused=_("Only a running batch can be paused; this one is {status}."),
    )
    return batches.take_back_paused(batch.pk)


def resume_batch(*, batch: Batch) -> None:
    """Let a paused batch go on.

    Raises:
        Conflict: it is not paused.
    """
    _change(
        batch,
        source=[BatchStatus.PAUSED],
        target=BatchStatus.RUNNING,
        refused=_("Only a paused batch can be resumed; this one is {status}."),
    )
    kick_feeder()


def cancel_batch(*, batch: Batch, now: datetime) -> Cancelled:
    """Cancel what of a batch has not begun and return how many that were.

    It takes effect with the batch's own state and what is taken back from the broker; what waits in the database is marked in the
    background, and counted as cancelled from now on.

    Raises:
        Conflict: the batch has ended.
    """
    with transaction.atomic():
        _change(
            batch,
            source=[BatchStatus.RUNNING, BatchStatus.PAUSED],
            target=BatchStatus.CANCELLED,
            refused=_("Only a running or paused batch can be cancelled; this one is {status}."),
        )
        before = Message.objects.filter(batch=batch, status=Status.CANCELLED).count()
    batches.take_back_cancelled(batch.pk, now=now, states=(Status.QUEUED,))
    batches.take_back_cancelled(batch.pk, now=now, until=time.monotonic() + AT_ONCE_SECONDS)
    counts = batches.counts_by_state(batch.pk)
    cancelled = counts.get(Status.CANCELLED, 0) + counts.get(Status.PENDING, 0) - before
    unknown = counts.get(Status.UNKNOWN, 0)
    transaction.on_commit(kick_feeder, robust=True)
    return Cancelled(cancelled, sum(counts.values()) - cancelled - unknown, unknown)
