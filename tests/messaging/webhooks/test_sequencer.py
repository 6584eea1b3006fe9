"""Positions become visible in their order, whatever order transactions commit in."""

import threading

import pytest
from django.db import connection, transaction
from django.utils import timezone

from messaging.models import Event, RecordedEvent
from messaging.webhooks import events, sequencer
from tests import crowds
from tests.builders import make_tenant
from tests.messaging.webhooks.hooks import sent

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time and gives positions at once"),
]


def test_an_event_that_is_committed_late_is_not_jumped_over() -> None:
    tenant = make_tenant()
    events.start_recording(tenant.pk)
    recorded, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            sent(tenant)
            recorded.set()
            assert may_commit.wait(30)

    writer = crowds.start(slow)
    assert recorded.wait(30)
    (fast,) = sent(tenant)
    assert sequencer.sequence() == 1
    first = events.after(tenant_id=tenant.pk, position=0, limit=10, now=timezone.now())
    may_commit.set()
    writer.join()
    assert [event["data"]["id"] for event in first.events] == [str(fast.pk)]
    assert sequencer.sequence() == 1
    assert len(events.after(tenant_id=tenant.pk, position=first.next, limit=10, now=timezone.now()).events) == 1


def test_sequencers_of_many_processes_give_each_event_one_position() -> None:
    tenant = make_tenant()
    events.start_recording(tenant.pk)
    seen: list[list[int]] = []

    def work() -> None:
        for _ in range(5):
            sent(tenant, 3)
            sequencer.sequence()
            seen.append(list(Event.objects.order_by("position").values_list("position", flat=True)))

    crowds.start(*[work] * 4).join()
    sequencer.sequence()
    last = list(Event.objects.order_by("position").values_list("position", flat=True))
    assert len(last) == 60
    assert not RecordedEvent.objects.exists()
    for snapshot in seen:  # what a reader saw was always a beginning of the whole
        assert snapshot == last[: len(snapshot)]
