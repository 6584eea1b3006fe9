"""Recover: what dead workers and lost tasks left behind.

Nothing is blindly sent twice and nothing is forgotten: see `journal` for how the three kinds of messages of a dead worker
are told apart.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from jobs.registry import Blocking, job
from jobs.services import fence
from messaging.channels.base import SendRequest
from messaging.configuration import queues
from messaging.delivery import journal, retry
from messaging.delivery.journal import Evidence
from messaging.models import Message, Status
from messaging.providers.cache import provider_cache
from messaging.queueing import broker
from messaging.queueing.publish import kick_feeder
from messaging.storage import batches, in_progress, store
from messaging.storage.store import Outcome
from messaging.storage.unreadable import readable
from posthaste.lib import locks, logs, redis
from posthaste.lib.queues import DELAYED, SEND
from tracing.services import record
from tracing.services.tally import tally

log = structlog.get_logger(__name__)
LOCK = "recover"
LOOK_UP_LOCK = "look-up"
MAX_PER_ROUND = 2_000
LOOK_UP_FOR = timedelta(hours=1)
NEEDED = ("id", "tenant_id", "channel", "is_sandbox", "claim", "attempts", "claimed_at", "queued_at")


def recover(*, now: datetime) -> dict[str, int]:
    """Take back abandoned rows and return their number by outcome.

    One process at a time: two would read the same journals. Without Redis it runs unlocked, as each row is guarded by its claim.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locks.simple(LOCK))
        except locks.NotAcquired:
            return {}
        except redis.Unavailable:
            pass
        try:
            return _recover(now)
        except locks.LockLost:
            return {}  # another one is at it


@job(
    "messaging.recover",
    entry="recover",
    title=_("Recover and retry stuck messages"),
    purpose=_("Takes back the messages that dead workers and lost tasks left behind, and sends them again where that is safe."),
    every=timedelta(seconds=2),
    timeout=timedelta(minutes=1),
    expires=timedelta(seconds=5),
    blocking=Blocking.DISCARD,
    queue=DELAYED,
    own_lock=LOCK,
    is_needed=in_progress.any_message_is_taken,
)
def recover_lost() -> None:
    """Recover by the database's clock, in which the leases of claims are written."""
    recover(now=store.database_time())


def _recover(now: datetime) -> dict[str, int]:
    result = Counter(recover_dead_claims(now=now))
    result["requeued"] = requeue_lost_tasks(now=now)
    if result["resent"] or result["requeued"]:
        kick_feeder()
    return dict(result)


def recover_dead_claims(*, now: datetime) -> dict[str, int]:
    """Settle messages whose worker has let its lease run out."""
    # Only what is needed: what else a row holds, readable or not, is none of recovery's business.
    dead = Message.objects.filter(status=Status.SENDING, lease_until__lt=now).only(*NEEDED).order_by("lease_until")
    claims: dict[UUID, list[Message]] = defaultdict(list)
    for row in readable(dead)[:MAX_PER_ROUND]:
        if row.claim:
            claims[row.claim].append(row)
    counts: Counter[str] = Counter()
    for claim_id, rows in claims.items():
        with logs.about(row.pk for row in rows):
            try:
                evidence = journal.read(claim_id)
            except redis.Unavailable:
                break  # without the evidence everything would be unknown; it can wait until Redis is back
            try:
                counts.update(_settle_claim(claim_id, rows, evidence, now))
            except (OperationalError, InterfaceError, locks.LockLost):
                raise
            except Exception:  # the other claims must not wait for this one
                log.exception("a claim could not be recovered", claim=str(claim_id), rows=len(rows))
    return dict(counts)


def _settle_claim(claim_id: UUID, rows: Sequence[Message], evidence: Evidence, now: datetime) -> Counter[str]:
    """Settle the messages of one claim and return their number by outcome."""
    outcomes = [_settle(row, evidence, now, repeatable=_repeats_are_safe(row)) for row in rows]
    with fence.guarded(LOCK):
        written = store.write_outcomes(outcomes, claim_id=claim_id)
    settled = [(row, outcome) for row, outcome in zip(rows, outcomes, strict=True) if row.pk in written]
    tally.add(now, Counter((row.tenant_id, row.channel, outcome.status) for row, outcome in settled))
    record.append_now({row.pk: [_line(row, outcome, now)] for row, outcome in settled})
    traces = logs.traces(written)
    log.warning("recovered a dead worker's claim", claim=str(claim_id), rows=len(written), trustworthy=evidence.trustworthy, **traces)
    return Counter("resent" if outcome.status == Status.PENDING else outcome.status for _row, outcome in settled)


def _line(row: Message, outcome: Outcome, now: datetime) -> str:
    """Return the line of a recovery, with the claim: its worker tells of a claim with what came of it, and died before."""
    times = [record.offset_ms(row.pk, at) for at in (row.claimed_at, row.queued_at) if at is not None and row.claimed_at is not None]
    return record.line("V", row.pk, now, outcome.status, "worker_lost", *([row.attempts, *times] if times else []))


def _repeats_are_safe(row: Message) -> bool:
    """Whether every provider that can have taken the message, also one disabled since, ignores a second request with its id."""
    if row.is_sandbox:
        return True
    providers = provider_cache.all_of(row.tenant_id, row.channel)
    return bool(providers) and all(provider.adapter.idempotent for provider in providers)


def _settle(row: Message, evidence: Evidence, now: datetime, *, repeatable: bool) -> Outcome:
    if row.pk in evidence.results:
        return evidence.results[row.pk]
    if (evidence.trustworthy or repeatable) and row.pk not in evidence.begun:
        return Outcome(id=row.pk, status=Status.PENDING.value, attempts=row.attempts - 1, due_at=now)
    return Outcome(
        id=row.pk,
        status=Status.UNKNOWN.value,
        attempts=row.attempts,
        finished_at=now,
        error_code="worker_lost",
        error_detail=gettext_noop("The worker died while the provider was being called: it may have been sent."),
    )


def requeue_lost_tasks(*, now: datetime) -> int:
    """Put back messages that stand as queued although the broker has no task for them any more.

    Without a task in the queue, `orphan_seconds` is enough to know that it was lost. While the queue is not empty it may
    only be long, so there it takes ten times as long; a task that turns up after all finds its row moved on and does nothing.
    """
    patience = timedelta(seconds=queues.value.orphan_seconds)
    oldest = Message.objects.filter(status=Status.QUEUED, queued_at__lt=now - patience)
    if not oldest.exists():
        return 0
    try:
        waiting = broker.depth(SEND)
    except broker.BROKER_ERRORS:
        return 0
    if waiting:
        oldest = oldest.filter(queued_at__lt=now - 10 * patience)
    ids = list(oldest.order_by("queued_at").values_list("pk", flat=True)[:MAX_PER_ROUND])
    if not ids:
        return 0
    with fence.guarded(LOCK):
        moved = store.move(ids, source=Status.QUEUED, status=Status.PENDING, queued_at=None)
    if moved:
        log.warning("requeued lost tasks", rows=moved, **logs.traces(ids))
        back = Message.objects.filter(pk__in=ids, status=Status.PENDING, queued_at=None).values_list("pk", flat=True)
        still = ids if moved == len(ids) else list(back)
        record.append_now({pk: [record.line("V", pk, now, Status.PENDING, "task_lost")] for pk in still})
    return moved


@job(
    "messaging.look_up_unknown",
    entry="look up unknown outcomes",
    title=_("Look up unknown outcomes"),
    purpose=_("Asks providers for the outcome of messages whose outcome is unknown."),
    every=timedelta(seconds=30),
    timeout=timedelta(minutes=5),
    blocking=Blocking.DISCARD,
    queue=DELAYED,
    own_lock=LOOK_UP_LOCK,
)
def look_up_unknown(*, now: datetime) -> dict[str, int]:
    """Ask providers that can tell what became of messages with an unknown outcome.

    One at a time: an answer from before another one's round must not send again what has gone out meanwhile.
    """
    try:
        with locks.simple(LOOK_UP_LOCK):
            return _look_up_unknown(now)
    except (locks.NotAcquired, locks.LockLost, redis.Unavailable):
        return {}  # another one is at it, or it can wait until Redis is back


def _look_up_unknown(now: datetime) -> dict[str, int]:
    counts: Counter[str] = Counter()
    rows = Message.objects.filter(status=Status.UNKNOWN, finished_at__gt=now - LOOK_UP_FOR, finished_at__lt=now - timedelta(seconds=5))
    for row in readable(rows.order_by("finished_at"))[:200]:
        provider = next((c for c in provider_cache.in_force(row.tenant_id, row.channel) if c.provider_id == row.provider_id), None)
        if provider is None or row.provider_id is None:
            continue
        with logs.about([row.pk], recipients=[row.recipient]):
            try:
                answer = provider.adapter.lookup(SendRequest(id=row.pk, channel=row.channel, recipient=row.recipient))
            except Exception:
                log.exception("look-up failed", provider=provider.name)
                continue
        if answer == "accepted":
            with fence.guarded(LOOK_UP_LOCK):
                changed = store.move(
                    [row.pk], source=Status.UNKNOWN, status=Status.SENT, sent_at=now, finished_at=now, error_code="", error_detail=""
                )
        elif answer == "absent" and (delay := retry.delay(tenant_id=row.tenant_id, attempts=row.attempts)) is not None:
            changed = _send_again(row, timezone.now() + delay)
        else:
            continue
        counts[answer] += changed
        if changed:
            tally.trace({row.pk: record.line("L", row.pk, timezone.now(), answer, record.word(provider.name))})
    return dict(counts)


def _send_again(row: Message, due: datetime) -> int:
    """Put back a message that its provider never received.

    A batch that was closed meanwhile is reopened; otherwise the feeder would ignore the message.
    """
    with fence.guarded(LOOK_UP_LOCK):
        batches.reopen([row.batch_id] if row.batch_id else [])
        return store.move([row.pk], source=Status.UNKNOWN, status=Status.PENDING, due_at=due, finished_at=None)
