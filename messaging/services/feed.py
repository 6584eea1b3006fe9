"""Feed: the one mechanism that moves what is `pending` and due into the broker.

Big batches, scheduled sends, retries after their back-off, what was lost: all wait as rows. The broker never holds more
than `queue_capacity` messages, so that pausing or cancelling bites at once; tenants take turns by weight, and within a
tenant its single messages and its batches, so that nobody's million stands before somebody's ten.

One feeder at a time, under a fenced lock. If it dies after the commit and before the publish, the rows stand as `queued`
without a task and `recover` brings them back; if two feed at once, the row locks keep them apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from configcenter.models import Tenant
from messaging.models import IN_PROGRESS, Batch, BatchStatus, Message, Status
from messaging.queues import URGENT
from messaging.services import gauge, store
from messaging.services.publish import BrokerAway, Route, broker_is_up, chunks, publish
from posthaste.lib import locks, redis

log = structlog.get_logger(__name__)
LOCK_SECONDS = 5.0  # after a feeder's death the next one waits this long; two at once are only less economical
MOST_A_STATEMENT = 2_000
URGENT_RESERVE = 1_000


@dataclass(frozen=True, slots=True)
class Source:
    """Where messages wait: a tenant's singles (batch None) or one of its batches."""

    tenant_id: int
    batch_id: UUID | None

    def due(self, now: datetime) -> "QuerySet[Message]":
        """This function will give the waiting rows, most urgent and oldest first."""
        rows = Message.objects.filter(tenant_id=self.tenant_id, status=Status.PENDING, due_at__lte=now).order_by("-priority", "due_at")
        return rows.filter(batch=None) if self.batch_id is None else rows.filter(batch_id=self.batch_id)


def feed(*, now: datetime) -> int:
    """This function will feed one round and give the number of messages handed to the broker."""
    try:
        with locks.fenced("feed", lease_seconds=LOCK_SECONDS):
            return _feed(now)
    except locks.NotAcquired:
        return 0
    except redis.Unavailable:
        return _feed(now)  # without the lock it is only less economical: rows are locked one by one


def _feed(now: datetime) -> int:
    waiting = gauge.measure(now)
    settle_batches(now=now)
    if not waiting.due or not broker_is_up():
        return 0
    urgent = Message.objects.filter(status=Status.PENDING, due_at__lte=now, priority__gte=URGENT)
    running = Batch.objects.filter(status=BatchStatus.RUNNING).values("pk")
    fed = _move(urgent.filter(Q(batch_id=None) | Q(batch_id__in=running)), URGENT_RESERVE, now)
    left = gauge.pool_limits().queue_capacity - waiting.in_broker - fed
    sources = _sources(now)
    while sources and left > 0:
        still: list[tuple[Source, int]] = []
        total, room = sum(weight for _source, weight in sources), left
        for source, weight in sources:
            share = min(MOST_A_STATEMENT, max(1, room * weight // total), left)
            moved = _move(source.due(now), share, now) if share > 0 else 0
            fed += moved
            left -= moved
            if moved >= share > 0:
                still.append((source, weight))
        sources = still
        if not broker_is_up():
            break
    if fed:
        gauge.measure(now)
    return fed


def _sources(now: datetime) -> list[tuple[Source, int]]:
    """Everything that has something due, with its weight: a tenant's weight is shared among its sources."""
    due = Message.objects.filter(status=Status.PENDING, due_at__lte=now)
    singles = Tenant.objects.filter(Exists(due.filter(tenant_id=OuterRef("pk"), batch=None)))
    batches = Batch.objects.filter(Exists(due.filter(tenant_id=OuterRef("tenant_id"), batch_id=OuterRef("pk"))), status=BatchStatus.RUNNING)
    weights = dict(Tenant.objects.values_list("pk", "weight"))
    found = [Source(pk, None) for pk in singles.values_list("pk", flat=True)]
    found += [Source(tenant, pk) for pk, tenant in batches.order_by("pk").values_list("pk", "tenant_id")]
    lines = {s.tenant_id: sum(1 for other in found if other.tenant_id == s.tenant_id) for s in found}
    return [(s, max(1, 1000 * weights[s.tenant_id] // lines[s.tenant_id])) for s in found]


def _move(rows: "QuerySet[Message]", most: int, now: datetime) -> int:
    """Moves up to `most` rows to `queued` and publishes them; what the broker does not take goes back."""
    with transaction.atomic():
        chosen = list(rows.select_for_update(skip_locked=True)[:most].values_list("pk", "tenant_id", "channel", "priority"))
        if not chosen:
            return 0
        store.move([pk for pk, *_rest in chosen], source=Status.PENDING, status=Status.QUEUED, queued_at=now)
    lost: list[UUID] = []
    for chunk in chunks(_routed(chosen)):
        try:
            if lost:
                raise BrokerAway
            publish(chunk)
        except BrokerAway:
            lost += chunk.ids
    if lost:
        store.move(lost, source=Status.QUEUED, status=Status.PENDING, queued_at=None)
    return len(chosen) - len(lost)


def _routed(chosen: list[tuple[UUID, int, str, int]]) -> Iterator[tuple[Route, UUID]]:
    for pk, tenant_id, channel, priority in chosen:
        yield Route(tenant_id, channel, priority), pk


def settle_batches(*, now: datetime) -> int:
    """This function will close batches without a message in progress and give the number of those that finished.

    What came back to a cancelled batch for a retry is cancelled as well.
    """
    busy = Message.objects.filter(batch_id=OuterRef("pk"), status__in=IN_PROGRESS)
    ending = Batch.objects.filter(status=BatchStatus.CANCELLED, finished_at=None)
    if open_ids := list(ending.values_list("pk", flat=True)[:100]):
        Message.objects.filter(batch_id__in=open_ids, status=Status.PENDING).update(status=Status.CANCELLED, finished_at=now)
        ending.exclude(Exists(busy)).update(finished_at=now)
    return Batch.objects.filter(status=BatchStatus.RUNNING).exclude(Exists(busy)).update(status=BatchStatus.FINISHED, finished_at=now)
