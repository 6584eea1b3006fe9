"""What is written of a message's trace, and for how long."""

import os
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from django.utils import timezone
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from posthaste.lib import redis
from posthaste.lib.ids import new_id
from tests.builders import configure, poll
from tracing.configuration import tracing
from tracing.selectors import events
from tracing.services import losses, record
from tracing.services import tally as tally_module
from tracing.services.tally import Tally, tally

pytestmark = pytest.mark.both_stacks
GOES_WELL = ["C10 1\n", "S20 8 gateway\n", "K50 delivered\n"]


def written(lines: dict[UUID, list[str]], **options: object) -> set[UUID]:
    pipeline = redis.client().pipeline(transaction=False)
    record.append(pipeline, lines, **options)  # type: ignore[arg-type]
    pipeline.execute()
    return {message_id for message_id in lines if events(message_id)}


def test_the_share_of_the_messages_that_is_asked_for_is_traced_and_always_the_same_ones() -> None:
    ids = [new_id() for _ in range(4_000)]
    configure(tracing, sample_percent=10)
    sampled = {message_id for message_id in ids if record.is_sampled(message_id)}
    assert 250 < len(sampled) < 550
    assert written(dict.fromkeys(ids[:300], GOES_WELL)) == sampled & set(ids[:300])
    configure(tracing, sample_percent=30)
    assert sampled <= {message_id for message_id in ids if record.is_sampled(message_id)}, "more are added, none is exchanged"


def test_failures_decisions_and_what_is_urgent_are_traced_whether_sampled_or_not() -> None:
    configure(tracing, sample_percent=0)
    ids = [new_id() for _ in range(6)]
    lines = {
        ids[0]: GOES_WELL,
        ids[1]: ["C10 1\n", "E20 8 gateway http_500\n", "R21 5000\n"],
        ids[2]: ["X10 pending cap:gateway\n"],
        ids[3]: ["K50 failed\n"],
        ids[4]: ["C10 1\n", "S20 8 gateway\n"],
    }
    assert written(lines, always={ids[4]}) == {ids[1], ids[2], ids[3], ids[4]}
    assert [event.code for event in events(ids[1])] == ["C", "E", "R"], "with what else was told of it"


def test_events_are_read_in_the_order_in_which_they_happened() -> None:
    message_id = new_id()
    written({message_id: ["S453 8 gateway\n", "C402 1\n", "K453 delivered\n", "W900 1\n"]})
    assert [(event.code, event.at_ms) for event in events(message_id)] == [("C", 402), ("S", 453), ("K", 453), ("W", 900)]


def test_traces_are_kept_as_long_as_the_module_says() -> None:
    configure(tracing, retention_days=3)
    message_id = new_id()
    written({message_id: GOES_WELL})
    assert 3 * 86_400 - 60 < redis.client().ttl(record.trace_key(message_id)) <= 3 * 86_400


def test_a_name_with_blanks_is_one_word_and_is_read_as_it_was_written() -> None:
    message_id, at = new_id(), timezone.now()
    name = record.word("  Main\tgateway\u2028Asia ")
    written({message_id: [record.line("S", message_id, at, 8, name), record.line("K", message_id, at, "delivered")]})
    assert [event.words for event in events(message_id)] == [("8", "Main gateway Asia"), ("delivered",)]
    assert record.word(" ") == "-"


def put_off(message_id: UUID, at: datetime, *, reason: str = "rule:quiet:night@3", delay_ms: int = 60_000) -> dict[UUID, list[str]]:
    return {message_id: [record.line("X", message_id, at, "pending", reason, delay_ms)]}


def test_a_decision_that_repeats_is_folded_so_that_a_message_that_waits_for_days_stays_small() -> None:
    message_id, start = new_id(), timezone.now()
    for number in range(46):
        written(put_off(message_id, start + timedelta(minutes=number), delay_ms=60_000 + number))
    (event,) = events(message_id)
    assert (event.code, event.times, event.words) == ("X", 46, ("pending", "rule:quiet:night@3", "60045"))
    assert event.until_ms - event.at_ms == 45 * 60_000
    assert len(redis.client().get(record.trace_key(message_id)) or b"") < 80


def test_what_differs_from_the_line_before_is_not_folded() -> None:
    message_id, at = new_id(), timezone.now()
    written({message_id: ["C0 1 0\n"]})
    written(put_off(message_id, at))
    written(put_off(message_id, at, reason="rule:quiet:night@4"))
    written({message_id: ["C90000 1\n", "S90010 8 gateway o\n"]})
    written({message_id: ["K91000 delivered\n"]})
    written({message_id: ["K92000 delivered duplicate\n"]})
    written({message_id: ["K93000 delivered duplicate\n"]})
    written({message_id: ["X94000 failed http_500\n"]})
    written({message_id: ["X95000 failed http_500\n"]})
    found = [(event.code, event.times) for event in events(message_id)]
    assert found == [("C", 1), ("X", 1), ("X", 1), ("C", 1), ("S", 1), ("K", 1), ("K", 2), ("X", 1), ("X", 1)]


def test_folding_keeps_the_trace_as_long_as_any_other_line() -> None:
    configure(tracing, retention_days=3)
    message_id, at = new_id(), timezone.now()
    written(put_off(message_id, at))
    written(put_off(message_id, at))
    assert 3 * 86_400 - 60 < redis.client().ttl(record.trace_key(message_id)) <= 3 * 86_400


def test_lines_that_no_pipeline_carries_are_published_with_the_counts() -> None:
    message_id = new_id()
    tally.trace({message_id: "A0 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n"})
    tally.trace({message_id: "I40\n"})
    tally.flush()
    assert [event.code for event in poll(lambda: events(message_id))] == ["A", "I"]


def test_an_ordinary_delivered_message_takes_no_more_than_300_bytes() -> None:
    """What a worker, a receipt and two events to an endpoint write, each with the flush of its own."""
    message_id, at = new_id(), timezone.now()
    name = record.word("Aliyun SMS Hangzhou")
    claim = record.line("C", message_id, at, 1, 3) + record.line("G", message_id, at)
    written({message_id: [claim, record.line("S", message_id, at + timedelta(milliseconds=60), 48, name, "w@12")]})
    written({message_id: [record.line("W", message_id, at + timedelta(milliseconds=150), 31, "Shop", "sent", "delivered")]})
    written({message_id: [record.line("K", message_id, at + timedelta(seconds=4), "delivered")]})
    written({message_id: [record.line("W", message_id, at + timedelta(seconds=5), 31, "Shop", "delivered", "delivered")]})
    assert len(events(message_id)) == 6
    taken = redis.client().memory_usage(record.trace_key(message_id))
    assert taken is not None
    assert taken <= 300


def test_being_brought_forward_is_told_in_the_line_of_what_put_the_message_off() -> None:
    message_id, start = new_id(), timezone.now()
    for minute in range(0, 40, 2):
        written(put_off(message_id, start + timedelta(minutes=minute), reason="breaker:FCM@3"))
        written({message_id: [record.line("F", message_id, start + timedelta(minutes=minute + 1), record.BREAKER_CLOSED)]})
    put_off_event, forward = events(message_id)
    assert (put_off_event.code, put_off_event.times, put_off_event.words[1]) == ("X", 20, "breaker:FCM@3")
    assert (forward.code, forward.words) == ("F", (record.BREAKER_CLOSED,))
    assert forward.at_ms == record.offset_ms(message_id, start + timedelta(minutes=39)), "the last time"
    assert len(redis.client().get(record.trace_key(message_id)) or b"") < 80


def test_being_brought_forward_is_a_line_of_its_own_where_nothing_else_was_told() -> None:
    message_id = new_id()
    written({message_id: ["F70 rules_changed\n"]})
    written({message_id: ["C80 1\n", "S90 8 gateway\n"]})
    first = events(message_id)[0]
    assert (first.code, first.words) == ("F", ("rules_changed",))


def test_more_traces_than_one_command_takes_are_all_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "MAX_PER_COMMAND", 3)
    ids = [new_id() for _ in range(10)]
    assert written(dict.fromkeys(ids, GOES_WELL)) == set(ids)


def test_the_claim_of_a_dead_worker_is_told_with_the_recovery() -> None:
    message_id = new_id()
    written({message_id: ["V9000 pending worker_lost 1 120 40\n"]})
    written({message_id: ["C9500 1 9400\n", "S9600 8 gateway\n"]})
    found = [(event.code, event.at_ms, event.words[:1]) for event in events(message_id)]
    assert found == [("C", 120, ("1",)), ("V", 9_000, ("pending",)), ("C", 9_500, ("1",)), ("S", 9_600, ("8",))]


def test_the_claim_of_a_dead_worker_that_it_told_itself_is_told_once() -> None:
    message_id = new_id()
    written({message_id: ["C110 1 40\n", "E300 150 gateway http_503\n"]})
    written({message_id: ["V9000 unknown worker_lost 1 120 40\n"]})
    assert [event.code for event in events(message_id)] == ["C", "E", "V"]


def test_what_is_beyond_the_bound_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "MAX_LINES", 5)
    own, ids = Tally(), [new_id() for _ in range(8)]
    before = losses.so_far()[losses.LINES].number
    with own._lock:
        own._pid = os.getpid()  # no thread publishes meanwhile
    own.trace(dict.fromkeys(ids, "I40\n"))
    own.flush()
    assert [bool(events(message_id)) for message_id in ids] == [True] * 5 + [False] * 3
    lost = losses.so_far()[losses.LINES]
    assert lost.number - before == 3
    assert lost.last_at is not None
    own.trace({ids[7]: "I50\n"})
    own.flush()
    assert events(ids[7]), "there is room again"
    assert losses.so_far()[losses.LINES].number - before == 3, "counted once"


def test_lines_that_came_while_redis_was_away_are_counted_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    own, message_id = Tally(), new_id()
    own._pid = os.getpid()
    before = losses.so_far()[losses.LINES].number
    away = Redis(port=1, retry=Retry(NoBackoff(), 0))
    with monkeypatch.context() as patched:
        patched.setattr(redis, "client", lambda: away)
        own.trace({message_id: "I40\n"})
        own.flush()
        own.trace({message_id: "I50\n"})
        own.flush()
    own.flush()
    assert losses.so_far()[losses.LINES].number - before == 2
