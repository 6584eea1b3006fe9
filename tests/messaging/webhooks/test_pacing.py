"""Webhooks yield while many messages are being sent, and never for longer than configured."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from messaging.configuration import webhooks
from messaging.models import Event
from messaging.queueing import queue_statistics
from messaging.queueing.queue_statistics import QueueStatistics
from messaging.webhooks import pacing as module
from messaging.webhooks import sequencer
from messaging.webhooks.pacing import Pacing, pacing
from tests.builders import configure, make_tenant
from tests.messaging.webhooks.hooks import make_endpoint, sent, turn
from tests.peers.webhook_receiver import WebhookReceiver

BUSY = QueueStatistics(in_broker=2_000, due=50_000, per_second=3_000.0)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


def waits(statistics: QueueStatistics, monkeypatch: pytest.MonkeyPatch, *, age: float = 1.0) -> float:
    """Return how long a sender waits after a request that cost ten milliseconds."""
    monkeypatch.setattr(queue_statistics, "latest", lambda: statistics)
    own, now = Pacing(), timezone.now()
    own.spent(0.01)
    return own.wait_seconds(oldest=now - timedelta(seconds=age), now=now)


def test_while_many_messages_leave_fast_senders_use_a_small_share_of_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0.1 < waits(BUSY, monkeypatch) <= 0.01 / module.SHARE


@pytest.mark.parametrize(
    "statistics",
    [
        QueueStatistics(),
        QueueStatistics(in_broker=10, due=0, per_second=3_000.0),
        QueueStatistics(in_broker=100, due=500_000, per_second=20.0),  # a slow provider keeps no processor busy
        QueueStatistics(in_broker=100, due=500_000),
    ],
)
def test_otherwise_they_do_not_wait(statistics: QueueStatistics, monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits(statistics, monkeypatch) == 0.0


def test_an_event_that_is_late_is_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits(BUSY, monkeypatch, age=61) == 0.0
    configure(webhooks, max_lag_seconds=0)
    assert waits(BUSY, monkeypatch) == 0.0


def test_a_costly_request_makes_no_sender_wait_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_statistics, "latest", lambda: BUSY)
    own, now = Pacing(), timezone.now()
    own.spent(60.0)
    assert own.wait_seconds(oldest=now, now=now) <= module.MAX_WAIT_SECONDS


@pytest.mark.django_db(transaction=True)
@pytest.mark.both_stacks
def test_what_gathered_while_a_sender_waited_goes_with_its_request(receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = make_tenant()
    endpoint = make_endpoint(tenant, receiver.url)
    sent(tenant)

    def wait_seconds(**_times: object) -> float:
        if not receiver.deliveries and Event.objects.filter(tenant=tenant).count() == 1:
            sent(tenant, 2)
            sequencer.sequence()
        return 0.01

    monkeypatch.setattr(pacing, "wait_seconds", wait_seconds)
    turn(endpoint)
    assert [len(delivery.events) for delivery in receiver.deliveries] == [3]
