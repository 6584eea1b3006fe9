"""Messages that were put off, made due before their time because what they waited for has ended."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from messaging.models import Message, Status
from tracing.services import record


def make_due(rows: "QuerySet[Message]", ids: Sequence[UUID], *, why: str, now: datetime) -> list[UUID]:
    """Make those of the messages due that `rows` still finds, tell their traces, and return their ids."""
    number = rows.update(due_at=now) if ids else 0
    if not number:
        return []
    changed = [*ids] if number == len(ids) else _changed(ids, now)
    record.append_now({pk: [record.line("F", pk, now, why)] for pk in changed})
    return changed


def _changed(ids: Sequence[UUID], now: datetime) -> list[UUID]:
    """Return the messages that were changed, as others may have been claimed or cancelled meanwhile."""
    return list(Message.objects.filter(pk__in=ids, status=Status.PENDING, due_at=now).values_list("pk", flat=True))
