"""What a process knows of the broker."""

from typing import Any

import pytest
from celery import current_app

from messaging.services import publish
from messaging.services.publish import BrokerWatch
from tests.builders import poll


def test_whoever_asks_whether_the_broker_is_back_goes_on_asking_while_it_refuses_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is being set up is there and lets nobody in, for want of the virtual host."""
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
