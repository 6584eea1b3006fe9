"""The spans of a message: what it did with its time."""

import itertools

from tracing.labels import SpanKind
from tracing.selectors import parse
from tracing.timeline import Course, spans_of


def spans(stored: str, *, due: int = 0, end: int | None = None, now: int = 100_000, is_sending: bool = False) -> list[tuple[object, ...]]:
    course = Course(due_ms=due, end_ms=end, now_ms=now, is_sending=is_sending)
    return [(s.kind.value, s.start_ms, s.end_ms, s.attempt, s.is_open) for s in spans_of(parse(stored.encode()), course)]


def test_an_ordinary_message_waits_is_processed_is_sent_and_waits_for_its_receipt() -> None:
    assert spans("C40 1 5\nS100 50 gateway o\nK900 delivered\n", end=900) == [
        ("waiting", 0, 40, 0, False),
        ("process", 40, 50, 1, False),
        ("send", 50, 100, 1, False),
        ("callback", 100, 900, 1, False),
    ]


def test_attempts_lie_one_after_another_with_the_waiting_between_them() -> None:
    found = spans("C10 1\nE30 20 bad http_503 o\nR30 5000\nC5030 2\nS5060 30 good o\n", end=5_060)
    assert [(kind, attempt) for kind, _start, _end, attempt, _open in found] == [
        ("waiting", 0),
        ("send", 1),
        ("waiting", 1),
        ("send", 2),
    ]
    assert [(start, end) for _kind, start, end, _attempt, _open in found] == [(0, 10), (10, 30), (30, 5_030), (5_030, 5_060)]


def test_they_leave_no_gap_and_never_run_backwards() -> None:
    stored = "C10 1\nE30 99999 a x o\nM30 a b unreachable@0\nS20 5 b l\nK5 delivered\nK7 delivered duplicate *3+90\n"
    stored += "O500 retry user:a\nC600 1\nX601 failed x\n"
    found = spans_of(parse(stored.encode()), Course(due_ms=0, end_ms=601, now_ms=1_000))
    assert found[0].start_ms == 0
    assert found[-1].end_ms == 601
    assert all(one.end_ms == other.start_ms for one, other in itertools.pairwise(found))
    assert {span.run for span in found} == {1, 2}


def test_one_that_still_waits_is_open_until_now() -> None:
    assert spans("X50 pending breaker:gw@1 60000 *3+5000\n", now=9_000) == [("waiting", 0, 50, 0, False), ("waiting", 50, 9_000, 0, True)]
    assert spans("", now=700, is_sending=True) == [("process", 0, 700, 0, True)]


def test_a_scheduled_one_says_until_when_it_was_scheduled() -> None:
    assert spans("", due=60_000, now=5_000) == [("scheduled", 0, 5_000, 0, True)]
    assert spans("C60020 1\nS60050 20 gw o\n", due=60_000, end=60_050)[:2] == [
        ("scheduled", 0, 60_000, 0, False),
        ("waiting", 60_000, 60_020, 0, False),
    ]


def test_one_that_was_never_claimed_only_waited() -> None:
    assert spans("O4000 cancel user:ada\n", end=4_000) == [(SpanKind.WAITING.value, 0, 4_000, 0, False)]
    assert spans("", end=4_000) == [(SpanKind.WAITING.value, 0, 4_000, 0, False)]
