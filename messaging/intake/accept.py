"""Accept: from checked rows to the answer 202, which means committed.

Single messages of many request threads are written together (see `posthaste.lib.batching`): one transaction, one
COPY, one task for each route, one Redis pipeline. Within a caller's own transaction the write joins it and the tasks
are published after its commit.

What if the process dies: before the commit, nothing is stored and no answer was sent. After the commit and before the
publish, the rows are `queued` without a task; `recover` finds them.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import DataError, IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy

from messaging.intake.prepare import PreparedBatch
from messaging.intake.repeats import Answer, KeyReused, Repeatable, answer_of, find_repeated, trace_repeat
from messaging.models import Batch, IdempotencyKey, Status
from messaging.queueing.admission import admission_control
from messaging.queueing.publish import Route, broker_is_up, kick_feeder, publish_all
from messaging.storage import row_kinds, store, unreadable
from messaging.storage.store import NewRow
from posthaste.lib import logs, outage
from posthaste.lib.batching import Batcher, together
from posthaste.lib.flow import gate
from posthaste.lib.problems import Invalid, Problem, Unavailable
from posthaste.lib.queues import URGENT
from tracing.services import record
from tracing.services.tally import tally

log = structlog.get_logger(__name__)
UNSTORABLE = gettext_lazy("The message can't be stored: it contains a value that is out of range.")
REFUSED = "refused_message"  # in the count of rows set aside
MAX_TOLD = 100  # dropped rows that an answer names


@dataclass(slots=True)
class Intake:
    """One message on its way in."""

    row: NewRow
    repeatable: Repeatable | None = None
    entry: gate.Entry | None = None
    traceparent: str = ""  # of the caller's own trace


def accept_message(row: NewRow, *, repeatable: Repeatable | None = None, entry: gate.Entry | None = None, traceparent: str = "") -> Answer:
    """Store one message and return the answer once it is committed (or joined to the caller's transaction).

    `entry` is its way through the limits, asked for with its group: one call for all, by the thread that writes them.

    Raises:
        KeyReused: the idempotency key belongs to another request.
        TooMany: a limit says no; nothing is stored.
    """
    intake = Intake(row, repeatable, entry, traceparent)
    if store.in_transaction():
        outcome = _write_what_is_let_in([intake])[0]
        try:
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        finally:
            del outcome  # an error and a frame that refer to each other would be kept until the garbage collector runs
    # Recognising the key may have taken a connection from the pool. While this thread waits it has no use for it, and the
    # writer, which all threads wait for, must find one.
    connection.close_if_unusable_or_obsolete()
    return committer.submit(intake)


def post_message(
    row: NewRow,
    *,
    repeatable: Repeatable | None,
    entry: gate.Entry | None,
    traceparent: str = "",
    receive: Callable[[Answer | BaseException], None],
) -> None:
    """Have one message stored with its group; the writing thread calls `receive` with the answer or the error."""
    committer.post(Intake(row, repeatable, entry, traceparent), receive)


def write_group(group: Sequence[Intake]) -> list[Answer | Problem]:
    """Store what arrived together and publish it; one outcome each, in order."""
    now = timezone.now()
    outcomes: dict[int, Answer | Problem] = {}
    with transaction.atomic():
        repeated = _remember(group, now)
        fresh: list[NewRow] = []
        for intake in group:
            earlier = repeated.get(id(intake))
            if earlier is None:
                fresh.append(intake.row)
                outcomes[id(intake)] = Answer(intake.row.id, intake.row.segments)
            else:
                outcomes[id(intake)] = earlier
        straight = [row for row in fresh if row.due_at <= now and broker_is_up()]
        # Urgent ones always have room; the rest queue up in the database when the broker holds enough.
        room = admission_control.admit(Counter(row.tenant_id for row in straight if row.priority < URGENT))
        straight = [row for row in straight if row.priority >= URGENT or _has_room(room, row.tenant_id)]
        for row in straight:
            row.status, row.queued_at = Status.QUEUED.value, now
        store.insert_messages(fresh)
        parents = {intake.row.id: intake.traceparent for intake in group if intake.traceparent and id(intake) not in repeated}
        transaction.on_commit(lambda: _after_commit(fresh, straight, parents, now), robust=True)
    return [outcomes[id(intake)] for intake in group]


def _write_what_is_let_in(group: Sequence[Intake]) -> list[Answer | Exception]:
    """Asks the limits for the group, and writes those that they let in."""
    asking = [intake for intake in group if intake.entry is not None]
    answers = gate.let_in([intake.entry for intake in asking if intake.entry is not None])
    refused = {id(intake): problem for intake, problem in zip(asking, answers, strict=True) if problem is not None}
    if not refused:
        return write_apart(group)
    let_in = [intake for intake in group if id(intake) not in refused]
    written = iter(write_apart(let_in) if let_in else [])
    # One whose key was used before is stored already: to say that nothing was stored would be wrong.
    known = _answered_before([intake for intake in group if id(intake) in refused])
    outcomes = {**refused, **known}
    return [outcomes[id(intake)] if id(intake) in refused else next(written) for intake in group]


def write_apart(group: Sequence[Intake]) -> list[Answer | Exception]:
    """Write a group; if one of its rows can't be stored, halve it until that one is alone and only it is refused.

    The limits have counted all of them by now, and are not asked again.
    """
    try:
        return [*write_group(group)]
    except Exception as error:
        if not _is_a_rows_fault(error) or store.in_transaction():
            raise
        if len(group) == 1:
            row = group[0].row
            with logs.about([row.id], recipients=[row.recipient]):
                log.exception("a message could not be stored", tenant_id=row.tenant_id)
            unreadable.count(REFUSED, 1)
            return [
                Invalid.field("", str(UNSTORABLE), "unstorable") if isinstance(error, DataError | ValueError | OverflowError) else error
            ]
    for intake in group:  # as before the first try
        intake.row.status, intake.row.queued_at = Status.PENDING.value, None
    middle = len(group) // 2
    return write_apart(group[:middle]) + write_apart(group[middle:])


def _is_a_rows_fault(error: Exception) -> bool:
    return isinstance(error, IntegrityError) or unreadable.may_be_a_rows_fault(error)


def _has_room(room: dict[int, int], tenant_id: int) -> bool:
    room[tenant_id] = room.get(tenant_id, 0) - 1
    return room[tenant_id] >= 0


def _after_commit(fresh: Sequence[NewRow], straight: Sequence[NewRow], parents: Mapping[UUID, str], now: datetime) -> None:
    lost = publish_all((Route(row.tenant_id, row.channel, row.priority), row.id) for row in straight)
    if lost:
        # Accepted all the same: the feeder brings them when the broker is back.
        store.move(lost, source=Status.QUEUED, status=Status.PENDING, queued_at=None)
    elif any(row.due_at <= now and row.status == Status.PENDING for row in fresh):
        kick_feeder()
    tally.add(now, Counter((row.tenant_id, row.channel, "accepted") for row in fresh))
    if parents:
        tally.trace({pk: record.line("A", pk, now, traceparent) for pk, traceparent in parents.items()})


def _remember(group: Sequence[Intake], now: datetime) -> dict[int, Answer | Problem]:
    """Write the idempotency keys of a group and return the answers of those that had been used before.

    Two processes with the same key: the second INSERT waits for the first one's commit, then does nothing, and the
    SELECT after it sees which message holds the key. Sorted, so that two groups never deadlock.
    """
    keyed = sorted((i for i in group if i.repeatable), key=_key_of)
    if not keyed:
        return {}
    IdempotencyKey.objects.bulk_create(
        [
            IdempotencyKey(
                tenant_id=i.row.tenant_id,
                key=i.repeatable.key,  # type: ignore[union-attr]
                is_sandbox=i.row.is_sandbox,
                digest=i.repeatable.digest,  # type: ignore[union-attr]
                target=i.row.id,
                answer={"segments": i.row.segments},
                created_at=now,
            )
            for i in keyed
        ],
        ignore_conflicts=True,
    )
    return _answered_before(keyed)


def _key_of(intake: Intake) -> tuple[int, str, bool]:
    assert intake.repeatable is not None
    return intake.row.tenant_id, intake.repeatable.key, intake.row.is_sandbox


def _answered_before(group: Sequence[Intake]) -> dict[int, Answer | Problem]:
    """Return the answers of those whose key had been used for another message before; one query, none without keys."""
    keyed = {id(intake): intake for intake in group if intake.repeatable}
    if not keyed:
        return {}
    keys = {_key_of(intake) for intake in keyed.values()}
    found = IdempotencyKey.objects.filter(tenant_id__in={key[0] for key in keys}, key__in={key[1] for key in keys})
    rows = unreadable.read(found, lambda: unreadable.checked(found), kind=row_kinds.IDEMPOTENCY_KEY)
    stored = {(row.tenant_id, row.key, row.is_sandbox): row for row in rows}
    earlier: dict[int, Answer | Problem] = {}
    for number, intake in keyed.items():
        row = stored.get(_key_of(intake))
        if row is None or row.target == intake.row.id:
            continue
        try:
            earlier[number] = answer_of(row, intake.repeatable)
            trace_repeat(row.target)
        except KeyReused as problem:
            earlier[number] = problem
    return earlier


def _write_unless_away(group: Sequence[Intake]) -> list[Answer | Exception]:
    """Write a group; if the database went away while it waited, refuse it at once instead of after another time-out."""
    if outage.database.is_down():
        raise Unavailable
    try:
        return _write_what_is_let_in(group)
    except Exception as error:
        if outage.is_connection_lost(error):
            outage.database.mark_down()
        raise


def _close_connection() -> None:
    connection.close()  # the thread's own, so it is looked up in the thread


committer: Batcher[Intake, Answer] = Batcher(together(_write_unless_away), name="accept", at_end=_close_connection)


def accept_batch(
    *,
    batch: Batch,
    is_sandbox: bool,
    prepared: PreparedBatch,
    repeatable: Repeatable | None,
    traceparent: str = "",
) -> dict[str, Any]:
    """Store a batch in one transaction and return the body of the 202. The feeder takes it from there."""
    rows = prepared.rows
    answer = {
        "batch_id": str(batch.id),
        "accepted": len(rows),
        "rejected": prepared.rejected,
        "duplicates": {"dropped": len(prepared.dropped), "rows": prepared.dropped[:MAX_TOLD]},
    }
    with transaction.atomic():
        if repeatable is not None:
            _row, made = IdempotencyKey.objects.get_or_create(
                tenant_id=batch.tenant_id,
                key=repeatable.key,
                is_sandbox=is_sandbox,
                defaults={"digest": repeatable.digest, "target": batch.id, "answer": answer, "created_at": batch.created_at},
            )
            if not made:
                earlier = find_repeated(tenant_id=batch.tenant_id, is_sandbox=is_sandbox, repeatable=repeatable)
                assert earlier is not None
                return earlier
        batch.save(force_insert=True)
        store.insert_messages(rows)
        transaction.on_commit(lambda: _after_batch(batch, prepared, traceparent), robust=True)
    return answer


def _after_batch(batch: Batch, prepared: PreparedBatch, traceparent: str) -> None:
    kick_feeder()
    tally.add(batch.created_at, Counter({(batch.tenant_id, batch.channel, "accepted"): len(prepared.rows)}))
    lines = {pk: record.line("D", pk, batch.created_at, number) for pk, number in prepared.repeated.items()}
    if traceparent:  # once for all its messages
        lines[batch.id] = record.line("A", batch.id, batch.created_at, traceparent)
    if lines:
        tally.trace(lines)
