"""The way of a message as an integrator reads it: four nodes with their durations, and the events between."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from posthaste.lib import ids, redis
from tracing import selectors
from tracing.labels import EventKind, Node
from tracing.selectors import Event

KINDS = {
    "C": EventKind.CLAIMED,
    "S": EventKind.ACCEPTED_BY_PROVIDER,
    "E": EventKind.PROVIDER_ERROR,
    "R": EventKind.RETRY_SCHEDULED,
    "K": EventKind.RECEIPT,
    "M": EventKind.MOVED_TO_ANOTHER_PROVIDER,
    "X": EventKind.RULE,
    "W": EventKind.WEBHOOK_OUT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What a message's own row tells of its way; a trace falls back to it once its events have expired."""

    message_id: UUID
    created_at: datetime
    due_at: datetime
    claimed_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    has_failed: bool


def trace_of(times: Times) -> dict[str, Any]:
    """Return source, nodes, statistics and events: from Redis while it is kept, from the row's own times after that."""
    try:
        events = selectors.events(times.message_id)
        source = "trace" if events else "message"
    except redis.Unavailable:
        events, source = [], "message"
    durations = _durations(times, events)
    has_failed = times.has_failed
    was_refused = has_failed and times.sent_at is None
    nodes = [
        _node(Node.QUEUE, durations),
        _node(Node.PROCESS, durations),
        _node(Node.SEND, durations, has_failed=was_refused),
        _node(Node.CALLBACK, durations, has_failed=has_failed and not was_refused),
    ]
    settled = [node for node in nodes if node["status"] != "waiting"]
    good = sum(node["status"] == "ok" for node in settled)
    return {
        "source": source,
        "nodes": nodes,
        "statistics": {
            "total_duration_ms": sum(node["duration_ms"] or 0 for node in nodes),
            "success_rate": round(100.0 * good / len(settled), 1) if settled else 0.0,
        },
        "events": [_event(times.message_id, event) for event in events],
    }


def _node(node: Node, durations: dict[Node, int | None], *, has_failed: bool = False) -> dict[str, Any]:
    duration_ms = durations[node]
    status = "failed" if has_failed else "waiting" if duration_ms is None else "ok"
    return {"name": node.value, "duration_ms": duration_ms, "status": status}


def _ms(start: datetime | None, end: datetime | None) -> int | None:
    return max(0, round((end - start) / timedelta(milliseconds=1))) if start and end else None


def _durations(times: Times, events: list[Event]) -> dict[Node, int | None]:
    """Return the node times of the last attempt; `queue` counts from when the message was due."""
    start_ms = max(0, int(times.due_at.timestamp() * 1000) - ids.unix_ms(times.message_id))
    claimed = next((e for e in reversed(events) if e.code == "C"), None)
    ended = next((e for e in reversed(events) if e.code in "SE"), None)
    receipt = next((e for e in reversed(events) if e.code == "K"), None)
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
        Node.QUEUE: max(0, claimed.at_ms - start_ms),
        Node.PROCESS: max(0, called.at_ms - (took or 0) - claimed.at_ms) if called else None,
        Node.SEND: took,
        Node.CALLBACK: max(0, receipt.at_ms - called.at_ms) if receipt and called else None,
    }


def _reason(word: str) -> tuple[str, dict[str, int]]:
    """Return the reason, and the release of the rules that gave it."""
    reason, _at, release = word.partition("@")
    return reason, {"release": int(release)} if release.isdecimal() else {}


def _event(message_id: UUID, event: Event) -> dict[str, Any]:
    words = event.words
    detail: dict[str, Any] = {}
    match event.code:
        case "C" if words:
            detail = {"attempt": int(words[0])}
        case "S" if len(words) >= 2:
            detail = {"duration_ms": int(words[0]), "provider": words[1]}
        case "E" if len(words) >= 3:
            detail = {"duration_ms": int(words[0]), "provider": words[1], "code": words[2]}
        case "R" if words:
            detail = {"delay_ms": int(words[0])}
        case "K" if words:
            detail = {"status": words[0]}
        case "X" if len(words) >= 2:
            reason, release = _reason(words[1])
            detail = {"status": words[0], "reason": reason, **release}
            if len(words) >= 3:
                detail["delay_ms"] = int(words[2])
        case "M" if len(words) >= 3:
            reason, release = _reason(words[2])
            detail = {"from": words[0], "to": words[1], "reason": reason, **release}
        case "W" if len(words) >= 4:
            detail = {"duration_ms": int(words[0]), "endpoint": words[1], "told": words[2], "status": words[3]}
    kind = KINDS.get(event.code)
    return {"at": selectors.at(message_id, event), "event": kind.value if kind else event.code, **detail}
