"""What the evaluation costs while all is well: queries and round trips of a turn, and of the processes that do not evaluate."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.backends.utils import CursorWrapper
from redis.connection import AbstractConnection

from monitor import figures
from monitor.alarms import evaluator
from monitor.alarms.evaluator import Evaluator
from monitor.models import Alarm
from posthaste.lib import heartbeat, redis
from tests.builders import close_committer
from tests.monitor.alarms.conftest import Load
from tests.monitor.alarms.sources import no_events, no_process, process

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
Put = Callable[..., None]
#: Of one turn that finds all well: what every turn reads, and what each fifth one reads besides, as the slow figures are due. Seven of
#: the round trips are those of a new connection to the broker, where that is Redis: only a new one tells that it lets anyone in.
MAX_QUERIES, MAX_ROUND_TRIPS = 4, 12
MAX_QUERIES_OF_ALL, MAX_ROUND_TRIPS_OF_ALL = 12, 23  # clocks, calendars and arrivals of the desk are three of the queries


class Counted:
    """The queries of all connections, and the round trips to Redis."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queries: list[str] = []
        self.calls: list[str] = []
        execute: Any = vars(CursorWrapper)["_execute"]
        send: Any = vars(AbstractConnection)["send_packed_command"]

        def counted_execute(cursor: Any, sql: str, *args: Any) -> Any:
            self.queries.append(sql)
            return execute(cursor, sql, *args)

        def counted_send(connection: Any, command: Any, **options: Any) -> Any:
            self.calls.append(" | ".join(str(part)[:80] for part in command) if isinstance(command, list | tuple) else str(command)[:80])
            return send(connection, command, **options)

        monkeypatch.setattr(CursorWrapper, "_execute", counted_execute)
        monkeypatch.setattr(AbstractConnection, "send_packed_command", counted_send)

    def of(self, function: Callable[[], object]) -> tuple[int, int]:
        """Return the queries and the round trips of a call."""
        self.queries.clear()
        self.calls.clear()
        function()
        return len(self.queries), len(self.calls)


@pytest.fixture(autouse=True)
def _no_process_holds_the_lease() -> Iterator[None]:
    yield
    redis.client().delete(redis.key("alarms", "evaluator"))


@pytest.fixture
def all_is_well(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a process of each kind live for as long as the test runs, however slow this machine is."""
    monkeypatch.setattr(heartbeat, "EXPIRES_SECONDS", 600)
    for kind in heartbeat.KINDS:
        process(kind)()
    no_events()
    redis.client().delete(redis.key("config-instances"))  # those that other tests reported run other releases
    yield
    no_process()


@pytest.mark.usefixtures("all_is_well")
def test_a_turn_with_the_built_in_rules_on_an_idle_installation_is_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    own, counted = Evaluator(), Counted(monkeypatch)
    own.take_turn()  # the first one reads what later ones remember
    monkeypatch.setattr(evaluator, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(evaluator, "SLOW_SECONDS", 600.0)
    queries, round_trips = counted.of(own.take_turn)
    assert queries <= MAX_QUERIES, counted.queries
    assert round_trips <= MAX_ROUND_TRIPS, counted.calls
    figures.forget()
    queries, round_trips = counted.of(own.take_turn)
    assert queries <= MAX_QUERIES_OF_ALL, counted.queries
    assert round_trips <= MAX_ROUND_TRIPS_OF_ALL, counted.calls
    assert not Alarm.objects.exists(), "it was idle"
    own.lease.release()
    close_committer()


def test_one_process_evaluates_for_the_installation_and_each_other_asks_redis_one_question(
    load: Load, watched: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched()
    readings: list[int] = []
    candidates, counted = [Evaluator() for _ in range(8)], Counted(monkeypatch)
    monkeypatch.setattr(Evaluator, "turn", lambda self, *_args, **_kwargs: readings.append(id(self)))
    for _turn in range(3):
        for candidate in candidates:
            candidate.take_turn()
    assert readings == [id(candidates[0])] * 3
    assert counted.of(candidates[1].take_turn) == (0, 1)
    candidates[0].lease.release()
    candidates[1].take_turn()
    assert readings[-1] == id(candidates[1])
    candidates[1].lease.release()
