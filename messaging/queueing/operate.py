"""What people do with messages and batches: cancel, retry, pause, resume, decide about unknown outcomes."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.selectors import AuditEntry
from accounts.services import audit
from accounts.services.audit import Actor
from messaging.actions import Action
from messaging.models import Batch, BatchStatus, Message, Status
from messaging.queueing.publish import kick_feeder
from messaging.storage import batches, lost_content
from messaging.storage.batches import NOT_BEGUN
from messaging.storage.unreadable import CODE
from posthaste.lib.problems import Conflict
from tracing.services import record

CLAIM_SECONDS = 0.01  # what a claim takes, about
AT_ONCE_SECONDS = 0.2  # a caller who cancels a small batch finds all its messages cancelled
STEP = 500  # messages that one transaction of a bulk call touches
#: What an operator does with a message, as its trace says it.
VERBS = {
    Action.MESSAGE_CANCEL: "cancel",
    Action.MESSAGE_RETRY: "retry",
    Action.MESSAGE_SETTLE_SENT: "sent",
    Action.MESSAGE_SETTLE_FAILED: "failed",
}
RETRYABLE = (Status.FAILED, Status.UNKNOWN, Status.EXPIRED, Status.CANCELLED)


class ContentLost(Conflict):
    """The message was set aside because some of its content could not be read: it would be sent without that."""

    code = "content_lost"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """How many could still be stopped."""

    cancelled: int
    too_late: int
    unknown: int


def cancel_messages(*, ids: Sequence[UUID], by: Actor, now: datetime) -> int:
    """Cancel those that no worker has claimed yet and return their number."""
    return _many(Action.MESSAGE_CANCEL, lambda part: _cancel(part, now), ids, by, changed={"finished_at": now})


def cancel_message(*, message: Message, by: Actor, now: datetime) -> None:
    """Cancel one message.

    Raises:
        Conflict: it is being sent, or has ended.
    """
    if not _one(Action.MESSAGE_CANCEL, lambda part: _cancel(part, now), message, by):
        raise Conflict(_("It is too late: the message is {status}.").format(status=message.status), current_status=message.status)


def _cancel(ids: Sequence[UUID], now: datetime) -> int:
    return Message.objects.filter(pk__in=ids, status__in=NOT_BEGUN).update(status=Status.CANCELLED, finished_at=now)


def _one(action: Action, act: Callable[[Sequence[UUID]], int], message: Message, by: Actor, **detail: Any) -> bool:
    """Do something with one message and write it down; without effect, only its state is read again."""
    was = message.status
    with transaction.atomic():
        done = act([message.pk])
        if done:
            audit.record(by=by, action=action, target=message.pk, tenant_id=message.tenant_id, detail={"was": str(was), **detail})
    if done:
        _trace(action, [message.pk], by)
    else:
        message.refresh_from_db(fields=["status"])
    return bool(done)


def _trace(action: Action, ids: Iterable[UUID], by: Actor) -> None:
    """Tell the traces of messages what was done with them, and who did it, once that is committed."""
    verb, who, now = VERBS[action], record.word(str(by)), timezone.now()
    lines = {pk: [record.line("O", pk, now, verb, who)] for pk in ids}
    transaction.on_commit(lambda: record.append_now(lines), robust=True)


def _many(action: Action, act: Callable[[Sequence[UUID]], int], ids: Sequence[UUID], by: Actor, *, changed: dict[str, Any]) -> int:
    """Do something with many messages, some at a time; an entry for each tenant counts them with each step.

    `changed` tells the rows that it changed from the others.
    """
    owners: dict[int, list[UUID]] = defaultdict(list)
    for part in _steps(ids):
        for pk, tenant_id in Message.objects.filter(pk__in=part).values_list("pk", "tenant_id"):
            owners[tenant_id].append(pk)
    total = 0
    for tenant_id, own in owners.items():
        entry, done = None, 0
        first = [str(pk) for pk in own[: audit.NAMED]]
        for part in _steps(own):
            with transaction.atomic():
                did = act(part)
                done += did
                if did:
                    _trace(action, Message.objects.filter(pk__in=part, **changed).values_list("pk", flat=True), by)
                said: dict[str, Any] = {"target": f"{done} messages", "detail": {"count": done, "first": first}}
                if entry is None:
                    entry = audit.record(by=by, action=action, tenant_id=tenant_id, **said)
                else:
                    audit.complete(entry, **said)
        total += done
    return total


def _steps(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    return (ids[start : start + STEP] for start in range(0, len(ids), STEP))


def retry_messages(*, ids: Sequence[UUID], by: Actor, now: datetime) -> int:
    """Send dead letters, unknown, expired and cancelled messages once more, with fresh retries.

    An expiry that has passed is lifted: who asks for it now wants it now. Their batches run again. What was set aside and has lost some of
    its content is left out: see `retry_message`.
    """
    return _many(Action.MESSAGE_RETRY, lambda part: _retry_whole(part, now, by), ids, by, changed={"due_at": now})


def _retry_whole(ids: Sequence[UUID], now: datetime, by: Actor) -> int:
    """Retry those that have all their content; what is known of those that were set aside is kept in an audit entry for each."""
    set_aside = lost_content.among(ids)
    whole = [pk for pk in ids if pk not in set_aside or not lost_content.of(set_aside[pk])]
    for pk in whole:
        if (row := set_aside.get(pk)) is not None and row.status in RETRYABLE:
            detail = {"was": str(row.status), "set_aside": row.error_detail}
            audit.record(by=by, action=Action.MESSAGE_RETRY, target=pk, tenant_id=row.tenant_id, detail=detail)
    return _retry(whole, now)


@transaction.atomic
def _retry(ids: Sequence[UUID], now: datetime) -> int:
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
    """Finish cancelling batches before some of their messages run again, so that only those run."""
    named = Message.objects.filter(pk__in=ids).exclude(batch=None).order_by().values_list("batch_id", flat=True).distinct()
    # Held until the end, so that no batch, one that runs neither, is settled before the message is back in progress: see `batches.reopen`.
    for batch in Batch.objects.filter(pk__in=list(named)).order_by("pk").select_for_update(no_key=True):
        if batch.status == BatchStatus.CANCELLED and batch.finished_at is None:
            Message.objects.filter(batch=batch, status__in=NOT_BEGUN).update(status=Status.CANCELLED, finished_at=now)


def retry_message(*, message: Message, by: Actor, now: datetime, accept_loss: bool = False) -> None:
    """Send one message once more.

    `accept_loss`: also if it was set aside and has lost some of its content. What was found of a message that was set aside stays in the
    audit entry.

    Raises:
        ContentLost: some of its content could not be read, and the loss is not accepted.
        Conflict: it is under way, or has been sent.
    """
    lost = lost_content.of(message)
    if lost and not accept_loss and message.status in RETRYABLE:
        raise ContentLost(
            _("It can't be sent as it was meant, because this could not be read: {columns}. Confirm that it is sent without it.").format(
                columns=", ".join(lost)
            ),
            lost=lost,
        )
    is_set_aside = message.error_code == CODE
    found: dict[str, Any] = {"set_aside": message.error_detail, "lost": lost} if is_set_aside else {}

    def act(part: Sequence[UUID]) -> int:
        done = _retry(part, now)
        if done and lost:
            lost_content.clear_placeholders([message])
        return done

    if not _one(Action.MESSAGE_RETRY, act, message, by, **found):
        raise Conflict(
            _("Only failed, unknown, expired or cancelled messages can be sent again; this one is {status}.").format(status=message.status),
            current_status=message.status,
        )


SETTLED = {Status.SENT: Action.MESSAGE_SETTLE_SENT, Status.FAILED: Action.MESSAGE_SETTLE_FAILED}


def settle_unknown(*, ids: Sequence[UUID], status: Status, by: Actor, now: datetime) -> int:
    """Write an operator's decision (sent or failed) about messages with an unknown outcome and return their number."""
    if status not in SETTLED:
        raise ValueError(status)
    return _many(SETTLED[status], lambda part: _settle(part, status, now), ids, by, changed={"finished_at": now})


def settle_message(*, message: Message, status: Status, by: Actor, now: datetime) -> None:
    """Write an operator's decision (sent or failed) about one message with an unknown outcome.

    Raises:
        Conflict: its outcome is known.
    """
    if not _one(SETTLED[status], lambda part: _settle(part, status, now), message, by):
        raise Conflict(_("The outcome of this message is already known."), current_status=message.status)


def reveal_recipient(*, message: Message, by: Actor) -> str:
    """Return the recipient of a message in clear, and write down who looked."""
    audit.record(by=by, action=Action.MESSAGE_REVEAL, target=message.pk, tenant_id=message.tenant_id)
    return message.recipient


def _settle(ids: Sequence[UUID], status: Status, now: datetime) -> int:
    times = {"sent_at": now} if status == Status.SENT else {}
    return Message.objects.filter(pk__in=ids, status=Status.UNKNOWN).update(status=status, finished_at=now, claim=None, **times)


def _change(batch: Batch, *, source: Sequence[str], target: str, refused: str, action: Action, by: Actor) -> AuditEntry:
    """Change a batch's state and write it down; only within a transaction."""
    if not Batch.objects.filter(pk=batch.pk, status__in=source).update(status=target):
        batch.refresh_from_db(fields=["status"])
        raise Conflict(refused.format(status=batch.status), current_status=batch.status)
    batch.status = target
    return audit.record(by=by, action=action, target=batch.pk, tenant_id=batch.tenant_id)


def pause_batch(*, batch: Batch, by: Actor) -> int:
    """Pause a batch and return the number of messages taken back from the broker.

    Raises:
        Conflict: it does not run.
    """
    with transaction.atomic():
        entry = _change(
            batch,
            source=[BatchStatus.RUNNING],
            target=BatchStatus.PAUSED,
            refused=_("Only a running batch can be paused; this one is {status}."),
            action=Action.BATCH_PAUSE,
            by=by,
        )
    held = batches.take_back_paused(batch.pk)
    # What a worker was claiming has been skipped. It is sent, so it is counted as that in the answer.
    until = time.monotonic() + AT_ONCE_SECONDS
    while Message.objects.filter(batch=batch, status=Status.QUEUED).exists() and time.monotonic() < until:
        time.sleep(CLAIM_SECONDS)
        held += batches.take_back_paused(batch.pk)
    audit.complete(entry, detail={"taken_back": held})
    return held


def resume_batch(*, batch: Batch, by: Actor) -> None:
    """Let a paused batch go on.

    Raises:
        Conflict: it is not paused.
    """
    with transaction.atomic():
        _change(
            batch,
            source=[BatchStatus.PAUSED],
            target=BatchStatus.RUNNING,
            refused=_("Only a paused batch can be resumed; this one is {status}."),
            action=Action.BATCH_RESUME,
            by=by,
        )
    kick_feeder()


def cancel_batch(*, batch: Batch, by: Actor, now: datetime) -> Cancelled:
    """Cancel what of a batch has not begun and return how many that were.

    It takes effect with the batch's own state and what is taken back from the broker; what waits in the database is marked in the
    background, and counted as cancelled from now on.

    Raises:
        Conflict: the batch has ended.
    """
    with transaction.atomic():
        entry = _change(
            batch,
            source=[BatchStatus.RUNNING, BatchStatus.PAUSED],
            target=BatchStatus.CANCELLED,
            refused=_("Only a running or paused batch can be cancelled; this one is {status}."),
            action=Action.BATCH_CANCEL,
            by=by,
        )
        before = Message.objects.filter(batch=batch, status=Status.CANCELLED).count()
    batches.take_back_cancelled(batch.pk, now=now, states=(Status.QUEUED,))
    batches.take_back_cancelled(batch.pk, now=now, until=time.monotonic() + AT_ONCE_SECONDS)
    counts = batches.counts_by_state(batch.pk)
    cancelled = counts.get(Status.CANCELLED, 0) + counts.get(Status.PENDING, 0) - before
    unknown = counts.get(Status.UNKNOWN, 0)
    result = Cancelled(cancelled, sum(counts.values()) - cancelled - unknown, unknown)
    audit.complete(entry, detail={"cancelled": result.cancelled, "too_late": result.too_late, "unknown": result.unknown})
    transaction.on_commit(kick_feeder, robust=True)
    return result
