"""What people do with messages, and with messages of which state."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from messaging.models import Status
from messaging.queueing import operate
from messaging.storage.batches import NOT_BEGUN


@dataclass(frozen=True, slots=True)
class Operation:
    """The states that it applies to, and the services that do it to one message and to many."""

    states: tuple[str, ...]
    one: Callable[..., None]
    many: Callable[..., int]


def _settle(status: Status) -> Operation:
    return Operation((Status.UNKNOWN,), partial(operate.settle_message, status=status), partial(operate.settle_unknown, status=status))


OPERATIONS: dict[str, Operation] = {
    "cancel": Operation(NOT_BEGUN, operate.cancel_message, operate.cancel_messages),
    "retry": Operation(operate.RETRYABLE, operate.retry_message, operate.retry_messages),
    "settle_sent": _settle(Status.SENT),
    "settle_failed": _settle(Status.FAILED),
}
