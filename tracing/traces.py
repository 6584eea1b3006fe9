"""The way of a message as an integrator reads it: four nodes with their durations, and the events between."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from posthaste.lib import redis
from tracing import selectors
from tracing.descriptions import described
from tracing.labels import Node, SpanKind
from tracing.selectors import Event
from tracing.services.record import offset_ms
from tracing.timeline import Course, Span, spans_of

CALLED = ("sending", "sent", "delivered", "unknown", "failed")  # states in which the claim of the row is the last one that counts


#: One that was handed to the broker so long after it was accepted had been scheduled, where its row no longer tells.
SCHEDULED_MS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What a message's own row tells of its way; a trace falls back to it once its events have expired.

    `status` is the word for its state, `ended_at` when it ended (None: it is in progress).
    """

    message_id: UUID
    created_at: datetime
    due_at: datetime
    queued_at: datetime | None = None
    claimed_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    has_failed: bool
    status: str = ""
    ended_at: datetime | None = None
    error_code: str = ""
    provider: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A trace that was read. `is_away`: Redis did not answer, so the row alone tells."""

    times: Times
    recorded: list[Event]  # by tracing alone
    events: list[Event]  # with what the row tells
    spans: list[Span]
    is_away: bool = False


def read(times: Times, *, now: datetime, batch_id: UUID | None = None) -> Trace:
    """Return the trace of a message: from Redis while it is kept, completed by the row's own times.

    What all messages of a batch have in common, the trace of its caller, is kept once for them all.
    """
    try:
        recorded, *shared = selectors.events_of([times.message_id, *([batch_id] if batch_id else [])])
    except redis.Unavailable:
        return assemble(times, [], now=now, is_away=True)
    return assemble(times, recorded, now=now, parent=parent_of(shared[0]) if shared else "")


def parent_of(events: Iterable[Event]) -> str:
    """Return the traceparent of the caller, or an empty text."""
    return next((event.words[0] for event in events if event.code == "A" and event.words), "")


def assemble(times: Times, recorded: list[Event], *, now: datetime, is_away: bool = False, parent: str = "") -> Trace:
    """Put together what was recorded and what the row tells; `parent` is the traceparent that its batch came with."""
    course = Course(
        due_ms=offset_ms(times.message_id, times.due_at) if not recorded else _first_due(times, recorded),
        end_ms=None if times.ended_at is None else offset_ms(times.message_id, times.ended_at),
        now_ms=offset_ms(times.message_id, now),
        is_sending=times.status == "sending",
    )
    events = _completed(times, recorded, parent)
    return Trace(times=times, recorded=recorded, events=events, spans=spans_of(events, course), is_away=is_away)


def _first_due(times: Times, recorded: list[Event]) -> int:
    """Return when a message was due at first: a retry or a rule has moved that of the row."""
    moved = any(event.code in "RXVOLB" for event in recorded)
    first = next((event.at_ms for event in recorded if event.code in "CX"), None)
    due_ms = offset_ms(times.message_id, times.due_at)
    return due_ms if not moved or first is None else min(due_ms, first)


def _completed(times: Times, recorded: list[Event], parent: str) -> list[Event]:
    """Return the events with those that only the row has: accepted, handed to the broker, and an end that no process told of."""
    message_id = times.message_id
    accepted = Event("A", offset_ms(message_id, times.created_at), (parent,) if parent else ())
    found = [] if any(event.code == "A" for event in recorded) else [accepted]
    for event in recorded:
        if event.code == "C" and len(event.words) > 1 and event.words[1].isdecimal():
            found.append(Event("Q", min(int(event.words[1]), event.at_ms), ()))
        found.append(event)
    if times.queued_at is not None and times.status == "queued":
        found.append(Event("Q", offset_ms(message_id, times.queued_at), ()))
    found += _untold(times, recorded) if recorded else _of_the_row(times)
    if times.ended_at is not None and not _tells_the_end(times, found):
        code = (times.error_code,) if times.error_code else ()
        found.append(Event("Z", offset_ms(message_id, times.ended_at), (times.status, *code)))
    return sorted(found, key=lambda event: event.at_ms)


def _of_the_row(times: Times) -> list[Event]:
    """Return what the row alone tells of a message whose trace has expired."""
    found = []
    if times.queued_at is not None and times.status != "queued":
        found.append(Event("Q", offset_ms(times.message_id, times.queued_at), ()))
    if times.claimed_at is not None:
        found.append(Event("C", offset_ms(times.message_id, times.claimed_at), ()))
    if times.sent_at is not None:
        took = _ms(times.claimed_at, times.sent_at) or 0
        found.append(Event("S", offset_ms(times.message_id, times.sent_at), (str(took), times.provider or "-")))
    if times.delivered_at is not None:
        found.append(Event("K", offset_ms(times.message_id, times.delivered_at), ("delivered",)))
    return found


def _untold(times: Times, recorded: list[Event]) -> list[Event]:
    """Return what the row tells and no line does, as its worker writes the row first and may have died before it wrote the trace."""
    found = []
    if times.claimed_at is not None and times.status in CALLED and not _is_near(times.claimed_at, times, recorded, "C"):
        found.append(Event("C", offset_ms(times.message_id, times.claimed_at), ()))
    if times.sent_at is not None and times.status in CALLED and not _tells_that_it_was_sent(times, recorded):
        took = _ms(times.claimed_at, times.sent_at) or 0
        found.append(Event("S", offset_ms(times.message_id, times.sent_at), (str(took), times.provider or "-")))
    return found


def _is_near(at: datetime, times: Times, recorded: list[Event], code: str) -> bool:
    at_ms = offset_ms(times.message_id, at)
    return any(event.code == code and abs(event.at_ms - at_ms) <= selectors.CLOCKS_DIFFER_MS for event in recorded)


def _tells_that_it_was_sent(times: Times, recorded: list[Event]) -> bool:
    assert times.sent_at is not None
    said = {"V": "sent", "O": "sent", "L": "accepted"}  # without a call that was told
    return _is_near(times.sent_at, times, recorded, "S") or any(said.get(event.code, "") in event.words[:1] for event in recorded)


def _tells_the_end(times: Times, recorded: list[Event]) -> bool:
    """Return whether a recorded event says how the message ended."""
    for event in reversed(recorded):
        first = event.words[0] if event.words else ""
        match event.code:
            case "S":
                return times.status in ("sent", "delivered")
            case "K" if len(event.words) == 1:
                return first == times.status
            case "X" | "V" if first == times.status:
                return True
            case "O":
                return times.status == {"cancel": "cancelled", "sent": "sent", "failed": "failed"}.get(first)
            case "L" if first == "accepted":
                return times.status == "sent"
    return False


def trace_of(trace: Trace) -> dict[str, Any]:
    """Return source, nodes, statistics, spans and events as the API shows them."""
    times = trace.times
    durations = _durations(times, trace.events if trace.recorded else [])
    has_failed = times.has_failed
    is_final = times.ended_at is not None
    # Also of an attempt that was refused and is to be followed by another.
    was_refused = times.sent_at is None and (has_failed or (not is_final and _is_refused(trace.recorded)))
    nodes = [
        _node(Node.QUEUE, durations, is_final=is_final),
        _node(Node.PROCESS, durations, is_final=is_final),
        _node(Node.SEND, durations, is_final=is_final, has_failed=was_refused and durations[Node.QUEUE] is not None),
        _node(Node.CALLBACK, durations, is_final=is_final and times.status != "sent", has_failed=has_failed and not was_refused),
    ]
    calls = [event.code == "S" for event in trace.events if event.code in "SE"]
    spent = [span.duration_ms for span in trace.spans if span.kind is not SpanKind.SCHEDULED]
    return {
        "source": "trace" if trace.recorded else "message",
        "nodes": nodes,
        "statistics": {
            "total_duration_ms": sum(spent) if len(calls) > 1 else sum(node["duration_ms"] or 0 for node in nodes),
            "success_rate": round(100.0 * sum(calls) / len(calls), 1) if calls else None,
        },
        "spans": [_span(span) for span in trace.spans],
        "events": [described(times.message_id, event) for event in trace.events],
    }


def _span(span: Span) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": span.kind.value, "start_ms": span.start_ms, "duration_ms": span.duration_ms}
    if span.attempt:
        found["attempt"] = span.attempt
    if span.provider:
        found["provider"] = span.provider
    if span.code:
        found["code"] = span.code
    if span.is_open:
        found["is_open"] = True
    return found


def _node(node: Node, durations: dict[Node, int | None], *, is_final: bool, has_failed: bool = False) -> dict[str, Any]:
    duration_ms = durations[node]
    status = "failed" if has_failed else "ok" if duration_ms is not None else "never" if is_final else "waiting"
    return {"name": node.value, "duration_ms": duration_ms, "status": status}


def _ms(start: datetime | None, end: datetime | None) -> int | None:
    return max(0, round((end - start) / timedelta(milliseconds=1))) if start and end else None


def _is_refused(events: Iterable[Event]) -> bool:
    last = _last_call(events)
    return last is not None and last.code == "E"


def _last_call(events: Iterable[Event]) -> Event | None:
    """Return the end of the last call of a provider: S where it took the message, E where not."""
    return next((event for event in reversed(list(events)) if event.code in "SE"), None)


def _due_ms(times: Times, events: list[Event], claimed: Event) -> int:
    """Return when a message was due for a claim; a retry after it has moved that of the row."""
    due_ms = max(0, offset_ms(times.message_id, times.due_at))
    if due_ms <= claimed.at_ms:
        return due_ms
    before = [event for event in events if event.at_ms <= claimed.at_ms]
    put_off = next((event for event in reversed(before) if event.code in "RX" and event.words[-1:] and event.words[-1].isdecimal()), None)
    if put_off is not None:
        return put_off.at_ms + int(put_off.words[-1])
    queued = next((event.at_ms for event in reversed(before) if event.code == "Q"), 0)
    return queued if queued >= SCHEDULED_MS else 0


def _durations(times: Times, events: list[Event]) -> dict[Node, int | None]:
    """Return the node times of the last attempt; `queue` counts from when the message was due for it."""
    claimed = next((e for e in reversed(events) if e.code == "C"), None)
    ended = _last_call(events)
    receipt = next((e for e in reversed(events) if e.code == "K" and len(e.words) == 1), None)
    if claimed is None and times.status in ("pending", "queued"):
        return dict.fromkeys(Node)  # what its row tells of a claim is of one that gave it back
    if claimed is None:
        queue = _ms(max(times.due_at, times.created_at), times.claimed_at)
        return {
            Node.QUEUE: queue,
            Node.PROCESS: 0 if queue is not None else None,
            Node.SEND: _ms(times.claimed_at, times.sent_at),
            Node.CALLBACK: _ms(times.sent_at, times.delivered_at),
        }
    called = ended if ended and ended.at_ms >= claimed.at_ms else None
    took = int(called.words[0]) if called and called.words else None
    return {
        Node.QUEUE: max(0, claimed.at_ms - _due_ms(times, events, claimed)),
        Node.PROCESS: max(0, called.at_ms - (took or 0) - claimed.at_ms) if called else None,
        Node.SEND: took,
        Node.CALLBACK: max(0, receipt.at_ms - called.at_ms) if receipt and called else None,
    }
