"""The dispatcher finds what is to be sent, and a slow endpoint holds up only itself."""

import time
from collections.abc import Callable, Iterator

import pytest

from messaging.webhooks import engine as engines
from messaging.webhooks.engine import Engine
from messaging.webhooks.sender import Sender
from posthaste.lib.elastic import stopping
from tests import crowds
from tests.builders import make_tenant
from tests.messaging.webhooks.hooks import make_endpoint, sent
from tests.patience import Patience
from tests.peers.webhook_receiver import WebhookReceiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


@pytest.fixture
def running() -> Iterator[Engine]:
    engine = Engine()
    crowd = crowds.start(engine.run, name="webhooks")
    try:
        yield engine
    finally:
        stopping.set()
        crowd.join()
        assert engine.join(30)
        stopping.clear()


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    patience = Patience(seconds)
    while not condition():
        assert not patience.is_over(), "it did not come to that"
        time.sleep(0.02)


def test_events_arrive_without_anything_being_asked_for(receiver: WebhookReceiver, running: Engine) -> None:
    tenant = make_tenant()
    make_endpoint(tenant, receiver.url)
    rows = sent(tenant, 3)
    until(lambda: len(receiver.events()) == 3)
    more = sent(tenant, 2)
    until(lambda: len(receiver.events()) == 5)
    assert sorted(event["data"]["id"] for event in receiver.events()) == sorted(str(row.pk) for row in [*rows, *more])


def test_an_endpoint_that_hangs_holds_up_no_other(receiver: WebhookReceiver, running: Engine) -> None:
    tenant = make_tenant()
    with WebhookReceiver() as slow:
        slow.hold()
        make_endpoint(tenant, slow.url)
        make_endpoint(tenant, receiver.url)
        sent(tenant)
        until(lambda: slow.in_progress == 1 and len(receiver.events()) == 1)
        sent(tenant)
        until(lambda: len(receiver.events()) == 2)
        assert len(slow.events()) == 1
        slow.release()
        until(lambda: len(slow.events()) == 2)


def test_an_error_of_one_turn_ends_neither_the_engine_nor_other_turns(
    receiver: WebhookReceiver, running: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = make_tenant()
    bad = make_endpoint(tenant, receiver.url, name="bad")
    make_endpoint(tenant, receiver.url, name="good")
    own = Sender.serve

    def serve(self: Sender) -> int:
        if self.endpoint_id == bad.pk:
            raise ValueError("broken")
        return own(self)

    monkeypatch.setattr(Sender, "serve", serve)
    sent(tenant)
    until(lambda: len(receiver.events()) == 1)
    monkeypatch.undo()
    until(lambda: len(receiver.events()) == 2)


def test_without_a_tenant_that_is_recorded_the_engine_hardly_looks() -> None:
    assert Engine().look() == engines.UNUSED_SECONDS
