"""What a process knows of the broker."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, current_app
from urllib3.util import parse_url

from messaging.queueing import publish
from messaging.queueing.publish import BrokerWatch
from posthaste import env
from tests.builders import poll
from tests.peers.relay import Relay


def test_whoever_asks_whether_the_broker_is_back_goes_on_asking_while_it_refuses_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is being set up is there and refuses every login, as it lacks the virtual host."""
    asked: list[Any] = []
    connect = current_app.connection_for_write

    def counted(*arguments: Any, **options: Any) -> Any:
        asked.append(None)
        return connect(*arguments, **options)

    monkeypatch.setattr(current_app, "connection_for_write", counted)
    monkeypatch.setattr(publish, "PROBE_SECONDS", 0.02)
    with monkeypatch.context() as missing:
        missing.setattr(current_app.conf, "broker_write_url", f"{current_app.conf.broker_write_url.rpartition('/')[0]}/not-there")
        watch = BrokerWatch()
        assert (watch.failed(), watch.failed()) == (True, False)
        poll(lambda: len(asked) >= 4)
        assert not watch.is_up
    poll(lambda: watch.is_up)


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """Start a relay between this process and the broker."""
    if not env.load().is_rabbitmq:
        pytest.skip("RabbitMQ confirms what it has taken")
    url = parse_url(env.load().broker_url)
    with Relay(url.host or "", url.port or 0) as running:
        app = Celery(set_as_current=False)
        app.config_from_object("posthaste.celeryconfig")
        app.conf.broker_url = url._replace(host="127.0.0.1", port=running.port).url
        monkeypatch.setattr(publish, "current_app", app)
        monkeypatch.setattr(publish, "watch", BrokerWatch())
        monkeypatch.setattr(publish, "PROBE_SECONDS", 0.05)
        publish.send_task("messaging.feed", expires=0.1)  # the connection is there
        yield running
        running.is_silent = False
        poll(lambda: publish.watch.is_up)


def test_a_broker_that_says_nothing_is_asked_once_and_not_connected_to_again(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting anew, and another confirmation that does not come, would hold up a group of messages three times as long."""
    monkeypatch.setattr(BrokerWatch, "_probe", lambda watch: None)
    relay.is_silent = True
    with monkeypatch.context() as impatient:
        impatient.setattr(publish, "CONFIRM_SECONDS", 0.3)
        with pytest.raises(publish.BrokerAway):
            publish.send_task("messaging.feed", expires=0.1)
    assert not publish.broker_is_up()
    relay.is_silent = False
    publish.watch.is_up = True
    publish.send_task("messaging.feed", expires=0.1)
    assert relay.connections == 2, "one for the first task, and one for the last"


def test_a_connection_that_broke_is_replaced_and_nobody_notices(relay: Relay) -> None:
    relay.cut()
    publish.send_task("messaging.feed", expires=0.1)
    assert publish.broker_is_up()
    assert relay.connections == 2
