"""The trace of a message: what tracing kept of its way, and what its own row tells."""

from datetime import datetime
from typing import Any

from django.utils import timezone

from messaging.explain import breaker_moves
from messaging.explain.message import explain
from messaging.models import IN_PROGRESS, Message, Status
from tracing import traces
from tracing.traces import Times, Trace


def times_of(message: Message) -> Times:
    """Return what a message's row tells of its way."""
    ended_at = None if message.status in IN_PROGRESS else message.finished_at or message.sent_at or message.created_at
    return Times(
        message_id=message.pk,
        created_at=message.created_at,
        due_at=message.due_at,
        queued_at=message.queued_at,
        claimed_at=message.claimed_at,
        sent_at=message.sent_at,
        delivered_at=message.finished_at if message.status == Status.DELIVERED else None,
        has_failed=message.status in (Status.FAILED, Status.UNKNOWN),
        status=message.status,
        ended_at=ended_at,
        error_code=message.error_code,
        provider=message.provider.name if message.provider else "",
    )


def read(message: Message, *, now: datetime) -> Trace:
    """Return the trace of a message, completed by its row; the row alone tells if Redis is away or the trace has expired."""
    return traces.read(times_of(message), now=now, batch_id=message.batch_id)


def as_dict(message: Message, trace: Trace) -> dict[str, Any]:
    """Return a trace as the API shows it."""
    found = traces.trace_of(trace)
    if moves := breaker_moves.met_by(message, trace):
        found["events"] = sorted(found["events"] + moves, key=lambda event: int(event["offset_ms"]))
    return {"trace_id": message.trace_id, "message_id": str(message.pk), "status": message.status, **found}


def trace(message: Message) -> dict[str, Any]:
    """Return the trace of a message with its answer, as the API shows it."""
    now = timezone.now()
    found = read(message, now=now)
    return {**as_dict(message, found), "answer": explain(message, found, now=now).as_dict()}
