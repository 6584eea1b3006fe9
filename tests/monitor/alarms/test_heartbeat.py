"""The dead man's heartbeat: an address outside is called while alarms are evaluated, and only then."""

from collections.abc import Callable

import pytest
from django.db import OperationalError

from monitor import figures
from monitor.alarms import dispatch, evaluator, store
from monitor.alarms.evaluator import call_heartbeat
from monitor.alarms.lease import Place
from tests.builders import poll
from tests.monitor.alarms.conftest import Turns
from tests.peers.gateway import Gateway

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
Put = Callable[..., None]


def test_the_dead_mans_heartbeat_is_called_once_a_minute_while_alarms_are_evaluated(
    turns: Turns, watched: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gateway() as gateway:
        watched(heartbeat_url=f"{gateway.url}?beat")
        for seconds in (0, 4, 8):
            turns.at(seconds, 5)
        poll(lambda: gateway.records, what="a call")
        assert [record.query for record in gateway.records] == ["beat"]
        monkeypatch.setattr(evaluator, "HEARTBEAT_SECONDS", 0.0)
        turns.evaluator._next["heartbeat"] = 0.0
        turns.at(70)
        poll(lambda: len(gateway.records) == 2, what="the next call")
    assert not call_heartbeat("http://127.0.0.1:9/")


def test_the_heartbeat_stops_where_the_evaluator_sees_nothing_or_can_not_evaluate(
    turns: Turns, watched: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluator, "HEARTBEAT_SECONDS", 0.0)
    called: list[str] = []
    monkeypatch.setattr(evaluator, "call_heartbeat", called.append)
    monkeypatch.setattr(dispatch, "in_background", lambda function: function())
    watched(heartbeat_url="https://ping.example.com/")

    def away(*_args: object, **_kwargs: object) -> None:
        raise OperationalError("the server has gone")

    def overtaken(**_kwargs: object) -> None:
        raise store.Overtaken

    turns.at(0, 5)
    assert len(called) == 1
    turns.load.value = None
    turns.at(4)
    assert len(called) == 1, "it sees nothing of what it watches"
    with monkeypatch.context() as broken:
        broken.setattr(store, "load", overtaken)
        turns.at(8, 5)
        broken.setattr(store, "load", away)
        turns.at(12, 5, place=Place.DATABASE)
        assert len(called) == 1, "nothing was evaluated"
        turns.at(16, 5)
        assert len(called) == 2, "without the database alarms are evaluated in memory"
        broken.setattr(figures, "read", away)
        with pytest.raises(OperationalError):
            turns.at(20, 5)
    assert len(called) == 2
    turns.at(24, 5)
    assert len(called) == 3
