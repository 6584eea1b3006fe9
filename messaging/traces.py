"""The way of a message as an integrator reads it: four nodes with their durations, and the events between."""

from datetime import datetime, timedelta
from typing import Any

from messaging.models import Message, Status
from posthaste.lib import ids, redis
from tracing import selectors
from tracing.selectors import Event

WORDS = {
    "C": "claimed",
    "S": "accepted_by_provider",
    "E": "provider_error",
    "R": "retry_scheduled",
    "K": "receipt",
    "M": "moved_to_another_provider",
    "X": "rule",
}


def _ms(start: datetime | None, end: datetime | None) -> int | None:
    return max(0, round((end - start) / timedelta(milliseconds=1))) if start and end else None


def _node(name: str, duration_ms: int | None, *, failed: bool = False) -> dict[str, Any]:
    return {"name": name, "duration_ms": duration_ms, "status": "failed" if failed else "waiting" if duration_ms is None else "ok"}


def trace(message: Message) -> dict[str, Any]:
    """Return the trace of a message: from Redis while it is kept, from the row's own times after that."""
    try:
        events = selectors.events(message.pk)
        source = "trace" if events else "message"
    except redis.Unavailable:
        events, source = [], "message"
    durations = _durations(message, events)
    failed = message.status in (Status.FAILED, Status.UNKNOWN)
    refused = failed and message.sent_at is None
    nodes = [
        _node("queue", durations["queue"]),
        _node("process", durations["process"]),
        _node("send", durations["send"], failed=refused),
        _node("callback", durations["callback"], failed=failed and not refused),
    ]
    settled = [node for node in nodes if node["status"] != "waiting"]
    good = sum(node["status"] == "ok" for node in settled)
    return {
        "trace_id": message.trace_id,
        "message_id": str(message.pk),
        "status": message.status,
        "source": source,
        "nodes": nodes,
        "statistics": {
            "total_duration_ms": sum(node["duration_ms"] or 0 for node in nodes),
            "success_rate": round(100.0 * good / len(settled), 1) if settled else 0.0,
        },
        "events": [_event(message, event) for event in events],
    }


def _durations(message: Message, events: list[Event]) -> dict[str, int | None]:
    """Node times of the last attempt; `queue` counts from when the message was due."""
    start_ms = max(0, int(message.due_at.timestamp() * 1000) - ids.unix_ms(message.pk))
    claimed = next((e for e in reversed(events) if e.code == "C"), None)
    ended = next((e for e in reversed(events) if e.code in "SE"), None)
    receipt = next((e for e in reversed(events) if e.code == "K"), None)
    if claimed is None:
        queue = _ms(max(message.due_at, message.created_at), message.claimed_at)
        send = _ms(message.claimed_at, message.sent_at)
        delivered = message.finished_at if message.status == Status.DELIVERED else None
        return {"queue": queue, "process": 0 if queue is not None else None, "send": send, "callback": _ms(message.sent_at, delivered)}
    called = ended if ended and ended.at_ms >= claimed.at_ms else None
    took = int(called.words[0]) if called and called.words else None
    return {
        "queue": max(0, claimed.at_ms - start_ms),
        "process": max(0, called.at_ms - (took or 0) - claimed.at_ms) if called else None,
        "send": took,
        "callback": max(0, receipt.at_ms - called.at_ms) if receipt and called else None,
    }


def _rule(word: str) -> tuple[str, dict[str, int]]:
    """The reason, and the release of the rules that gave it."""
    reason, _at, release = word.partition("@")
    return reason, {"release": int(release)} if release.isdecimal() else {}


def _event(message: Message, event: Event) -> dict[str, Any]:
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
            reason, release = _rule(words[1])
            detail = {"status": words[0], "reason": reason, **release}
            if len(words) >= 3:
                detail["delay_ms"] = int(words[2])
        case "M" if len(words) >= 3:
            reason, release = _rule(words[2])
            detail = {"from": words[0], "to": words[1], "reason": reason, **release}
    return {"at": selectors.at(message.pk, event), "event": WORDS.get(event.code, event.code), **detail}
