"""The four nodes of a message's trace: how long its last attempt took where, and what became of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from posthaste.lib import ids
from posthaste.lib.ids import new_id
from tracing.selectors import parse
from tracing.traces import Times, assemble, trace_of


def shown(stored: str, *, status: str, due_ms: int = 0, **ends: int) -> dict[str, Any]:
    """Return the trace of a message that was accepted at 0; `ends` are times of its row in milliseconds."""
    message_id = new_id()
    start = datetime.fromtimestamp(ids.unix_ms(message_id) / 1000, UTC)
    sent_at, ended_at = (start + timedelta(milliseconds=ends[name]) if name in ends else None for name in ("sent_at", "ended_at"))
    due_at = start + timedelta(milliseconds=due_ms)
    times = Times(
        message_id=message_id,
        created_at=start,
        due_at=due_at,
        claimed_at=None,
        sent_at=sent_at,
        delivered_at=None,
        has_failed=False,
        status=status,
        ended_at=ended_at,
    )
    return trace_of(assemble(times, parse(stored.encode()), now=start + timedelta(seconds=100)))


def nodes(trace: dict[str, Any]) -> list[tuple[str, int | None]]:
    return [(node["status"], node["duration_ms"]) for node in trace["nodes"]]


def test_an_attempt_that_failed_is_no_success_while_the_next_is_waited_for() -> None:
    trace = shown("C21 1\nE51 20 bad http_503 o\nR51 5000\n", status="pending", due_ms=5_051)
    assert nodes(trace) == [("ok", 21), ("ok", 10), ("failed", 20), ("waiting", None)]
    assert trace["statistics"]["success_rate"] == 0.0


def test_a_later_attempt_waits_from_when_it_was_due() -> None:
    failed_twice = "C21 1\nE51 20 bad http_503 o\nR51 5000\nC5081 2\nE5101 20 bad http_503 o\nR5101 9000\n"
    assert nodes(shown(failed_twice, status="pending", due_ms=14_101))[0] == ("ok", 30)
    sent = "C21 1\nE51 20 bad http_503 o\nR51 5000\nC5081 2\nS5101 20 good o\n"
    trace = shown(sent, status="sent", due_ms=5_051, sent_at=5_101, ended_at=5_101)
    assert nodes(trace)[:3] == [("ok", 30), ("ok", 0), ("ok", 20)]
    assert trace["statistics"] == {"total_duration_ms": 5_101, "success_rate": 50.0}


def test_without_a_call_there_is_no_success_rate() -> None:
    assert shown("", status="pending", due_ms=60_000)["statistics"] == {"total_duration_ms": 0, "success_rate": None}
