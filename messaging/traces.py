"""The trace of a message: what tracing kept of its way, and what its own row tells."""

from typing import Any

from messaging.models import Message, Status
from tracing.traces import Times, trace_of


def trace(message: Message) -> dict[str, Any]:
    """Return the trace of a message: from Redis while it is kept, from the row's own times after that."""
    times = Times(
        message_id=message.pk,
        created_at=message.created_at,
        due_at=message.due_at,
        claimed_at=message.claimed_at,
        sent_at=message.sent_at,
        delivered_at=message.finished_at if message.status == Status.DELIVERED else None,
        has_failed=message.status in (Status.FAILED, Status.UNKNOWN),
    )
    return {"trace_id": message.trace_id, "message_id": str(message.pk), "status": message.status, **trace_of(times)}
