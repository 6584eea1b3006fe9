"""What waits for its hour, looked at again when the rules have changed: a rule that is lifted lets its messages go at once."""

import time
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import structlog
from django.db.models import QuerySet

from messaging.configuration import delivery_rules
from messaging.configuration.delivery import DeliveryRules
from messaging.models import Message, Status
from messaging.queueing import forward
from posthaste.lib import logs
from tracing.services import record

log = structlog.get_logger(__name__)
PREFIX = "rule:"
MAX_PER_STATEMENT = 5_000
#: Seconds after a change: workers apply it a moment later than we do, or four seconds later if they missed the notice, and a
#: message that comes to one of those is put off by the old rule once more.
LOOKS = (1.0, 6.0)

_seen: tuple[DeliveryRules, Mapping[int, DeliveryRules]] = (delivery_rules.value, {})
_due: list[float] = []


@delivery_rules.listen
def _changed(_value: DeliveryRules) -> None:
    global _seen
    now = (delivery_rules.now.value, dict(delivery_rules.now.by_tenant))
    if now != _seen:
        _seen = now
        _due[:] = [time.monotonic() + seconds for seconds in LOOKS]


def waiting() -> "QuerySet[Message]":
    """Return the messages that a rule has put off."""
    return Message.objects.filter(status=Status.PENDING, due_at__isnull=False, error_code__startswith=PREFIX).order_by()


def pull_forward_if_changed(*, now: datetime) -> int:
    """Do so a moment after the rules have changed in this process; the clock calls it every second."""
    if not _due or time.monotonic() < _due[0]:
        return 0
    _due.pop(0)
    return pull_forward(now=now)


def pull_forward(*, now: datetime) -> int:
    """Make everything due that a rule has put off, and return the number. The rules decide again when it is sent.

    If it dies half-way, the rest goes out at its own time.
    """
    moved, first = 0, list[UUID]()
    while True:
        ids = list(waiting().filter(due_at__gt=now).values_list("pk", flat=True)[:MAX_PER_STATEMENT])
        changed = forward.make_due(waiting().filter(pk__in=ids), ids, why=record.RULES_CHANGED, now=now)
        moved += len(changed)
        first = first or ids
        if len(changed) < MAX_PER_STATEMENT:
            break
    if moved:
        log.info("deferred messages looked at again", moved=moved, **logs.traces(first))
    return moved
