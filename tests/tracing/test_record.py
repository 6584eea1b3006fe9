"""What is written of a message's trace, and for how long."""

from uuid import UUID

import pytest
from django.utils import timezone

from posthaste.lib import redis
from posthaste.lib.ids import new_id
from tests.builders import configure
from tracing.configuration import tracing
from tracing.selectors import events
from tracing.services import record

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
