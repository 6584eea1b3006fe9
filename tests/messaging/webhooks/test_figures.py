"""What the metrics say of webhooks."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from messaging.webhooks import figures
from tests.builders import make_tenant
from tests.messaging.webhooks.hooks import make_endpoint, sent, turn
from tests.peers.gateway import Answer
from tests.peers.webhook_receiver import WebhookReceiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


def test_without_endpoints_nothing_waits() -> None:
    assert (figures.waiting(), figures.oldest_seconds(now=timezone.now())) == (0, 0.0)
    assert figures.endpoints_by_state() == {"enabled": 0.0, "failing": 0.0, "disabled": 0.0}


def test_what_waits_its_age_and_what_came_of_requests_are_counted(receiver: WebhookReceiver) -> None:
    before = figures.deliveries()
    tenant = make_tenant()
    failing, good = make_endpoint(tenant, f"{receiver.url}/1"), make_endpoint(tenant, f"{receiver.url}/2")
    sent(tenant, 3)
    receiver.script(Answer(status=500))
    turn(failing)
    turn(good)
    assert figures.waiting() == 3
    assert 60 <= figures.oldest_seconds(now=timezone.now() + timedelta(minutes=1)) < 120
    assert figures.endpoints_by_state() == {"enabled": 1.0, "failing": 1.0, "disabled": 0.0}
    after = figures.deliveries()
    assert {name: after[name] - before[name] for name in after} == {"delivered": 1, "failed": 1, "unknown": 0, "given_up": 0}
