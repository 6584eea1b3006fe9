"""Traces compared with the database: every message, every attempt and every end is told, also where things failed."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from accounts.models import Tenant
from messaging import traces
from messaging.channels.base import Receipt
from messaging.delivery import recover
from messaging.delivery.deliver import deliver
from messaging.models import Batch, BatchStatus, Message, Provider, Status
from messaging.queueing import operate
from messaging.receipts.receive import apply_all
from messaging.storage import batches, store
from messaging.storage.store import NewRow
from posthaste.lib.ids import new_id
from tests.builders import TESTER, make_batch, make_provider, make_suppression, make_tenant
from tracing import selectors
from tracing.selectors import Event
from tracing.services.tally import tally
from tracing.traces import assemble

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
MESSAGES = 5_000  # more would be more of the same: each hundred has one of every kind, at the same places
CHUNK = 100
#: In each hundred messages, so many whose recipient makes the provider do something else.
MIX = {"fail": 3, "fail-once": 3, "fail-twice": 2, "fail-always": 2, "slow-down": 2, "timeout": 1, "listed": 1, "late": 1, "bounce": 2}


@pytest.fixture
def tenant() -> Tenant:
    made = make_tenant()
    make_provider(made, channel="push", config={"keep_outbox": False}, name="Push gateway")
    make_suppression(made, "listed", channel="push")
    return made


def recipients() -> list[str]:
    special = [name for name, number in MIX.items() for _ in range(number)]
    return [f"{name}-token" if name not in ("listed", "late") else name for name in special] + ["token-1234"] * (100 - len(special))


def accepted(tenant: Tenant, number: int, batch: Batch | None = None) -> list[UUID]:
    """Store so many messages as accept does."""
    now, mix = timezone.now(), recipients()
    rows = [
        NewRow(
            id=new_id(),
            tenant_id=tenant.pk,
            api_key_id=None,
            batch_id=batch.pk if batch else None,
            channel="push",
            recipient=mix[place % 100],
            priority=5,
            status=Status.QUEUED.value,
            is_sandbox=False,
            template_version_id=None,
            variables={},
            subject="",
            body="Hello",
            segments=None,
            reference="",
            metadata={},
            created_at=now,
            due_at=now,
            expires_at=now if mix[place % 100] == "late" else None,
            queued_at=now,
        )
        for place in range(number)
    ]
    store.insert_messages(rows)
    return [row.id for row in rows]


def chunks(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


def deliver_until_all_have_ended(ids: list[UUID]) -> None:
    """Deliver, and hand over again what is tried again or put off, without waiting for its time."""
    waiting = ids
    for _round in range(50):
        for chunk in chunks(waiting):
            deliver(chunk)
        waiting = list(Message.objects.filter(pk__in=ids, status=Status.PENDING).values_list("pk", flat=True))
        if not waiting:
            return
        Message.objects.filter(status=Status.PENDING).update(status=Status.QUEUED, queued_at=timezone.now())
    raise AssertionError(f"{len(waiting)} never end")


def state_told(events: Sequence[Event]) -> str:
    """Return the state that the last event which says one leaves a message in."""
    state = "pending"
    for event in events:
        first = event.words[0] if event.words else ""
        match event.code:
            case "Q":
                state = "queued"
            case "C":
                state = "sending"
            case "S":
                state = "sent"
            case "R" | "B":
                state = "pending"
            case "X" | "V" | "Z":
                state = first
            case "K" if len(event.words) == 1:
                state = first
            case "O":
                state = {"cancel": "cancelled", "retry": "pending"}.get(first, first)
    return state


def compare(rows: Sequence[Message]) -> Counter[str]:
    """Compare the traces of some messages with their rows, and count what was found."""
    now, found = timezone.now(), Counter[str]()
    for row, recorded in zip(rows, selectors.events_of([row.pk for row in rows]), strict=True):
        trace = assemble(traces.times_of(row), recorded, now=now)
        last_run = max((place for place, event in enumerate(recorded) if event.code == "O" and event.words[0] == "retry"), default=-1)
        codes = Counter(event.code for event in recorded[last_run + 1 :])
        assert state_told(trace.events) == row.status, (row.pk, row.status, trace.events)
        assert trace.events[0].code == "A"
        called = row.status in (Status.SENT, Status.DELIVERED, Status.UNKNOWN, Status.FAILED)
        if called and row.error_code != "worker_lost":
            # A recovery that sends again gives the attempt back.
            lost = sum(event.code == "V" and event.words[:2] == ("pending", "worker_lost") for event in recorded[last_run + 1 :])
            assert codes["C"] == row.attempts + lost, (row.pk, row.attempts, recorded)
            assert codes["S"] + codes["E"] == row.attempts
            assert {event.words[1] for event in recorded if event.code in "SE"} == {"Push gateway"}
        if row.status == Status.FAILED and row.sent_at is None:
            assert [event.words[2] for event in recorded if event.code == "E"][-1] == row.error_code
        if row.status == Status.SUPPRESSED:
            assert any(event.code == "X" and event.words[1].startswith(row.error_code) for event in recorded)
        found[row.status] += 1
        found["told by the row alone"] += not recorded
        assert all(one.end_ms == other.start_ms for one, other in itertools.pairwise(trace.spans))
    return found


def test_every_message_of_five_thousand_is_traced_to_its_end(tenant: Tenant) -> None:
    batch = make_batch(tenant, channel="push")
    ids = accepted(tenant, MESSAGES // 2) + accepted(tenant, MESSAGES // 2 - 600, batch)
    stopped = make_batch(tenant, channel="push", status=BatchStatus.CANCELLED)
    in_vain, by_hand, dead = accepted(tenant, 200, stopped), accepted(tenant, 200), accepted(tenant, 200)
    batches.take_back_cancelled(stopped.pk, now=timezone.now())
    operate.cancel_messages(ids=by_hand, by=TESTER, now=timezone.now())
    for chunk in chunks(dead):  # their worker claimed them and died
        store.claim(chunk, claim_id=new_id(), now=timezone.now(), lease=timedelta(seconds=-5))
    recover.recover_dead_claims(now=timezone.now())
    tally.flush()
    Message.objects.filter(pk__in=dead).update(status=Status.QUEUED, queued_at=timezone.now())
    deliver_until_all_have_ended(ids + dead)
    sent = list(Message.objects.filter(status=Status.SENT).values_list("pk", flat=True)[:500])
    provider = Provider.objects.get(tenant=tenant)
    for chunk in chunks(sent):
        apply_all(
            provider=provider, receipts=[Receipt("delivered" if n % 9 else "failed", pk) for n, pk in enumerate(chunk)], now=timezone.now()
        )
    failed = list(Message.objects.filter(status=Status.FAILED, sent_at=None).values_list("pk", flat=True)[:200])
    operate.retry_messages(ids=failed, by=TESTER, now=timezone.now())
    Message.objects.filter(status=Status.PENDING).update(status=Status.QUEUED, queued_at=timezone.now())
    deliver_until_all_have_ended(failed)

    found: Counter[str] = Counter()
    every = list(Message.objects.order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(every), 1_000):
        found += compare(list(Message.objects.select_related("provider").filter(pk__in=every[start : start + 1_000]).order_by("pk")))
    told = found.pop("told by the row alone", 0)
    assert sum(found.values()) == len(every) == MESSAGES
    assert told == len(in_vain), "only what was cancelled with its batch is told by its row and that of the batch"
    assert set(found) == {"sent", "delivered", "failed", "unknown", "suppressed", "cancelled", "expired"}
