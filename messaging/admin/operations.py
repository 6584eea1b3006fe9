"""What people do with messages, and with messages of which state."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from messaging.models import Status
from messaging.queueing import operate

#: What people do with messages: verb → (states it applies to, what it does to ids).
Operation = Callable[[Sequence[UUID], datetime], int]
OPERATIONS: dict[str, tuple[tuple[str, ...], Operation]] = {
    "cancel": (operate.NOT_BEGUN, lambda ids, now: operate.cancel_messages(ids=ids, now=now)),
    "retry": (operate.RETRYABLE, lambda ids, now: operate.retry_messages(ids=ids, now=now)),
    "settle_sent": ((Status.UNKNOWN,), lambda ids, now: operate.settle_unknown(ids=ids, status=Status.SENT, now=now)),
    "settle_failed": ((Status.UNKNOWN,), lambda ids, now: operate.settle_unknown(ids=ids, status=Status.FAILED, now=now)),
}
