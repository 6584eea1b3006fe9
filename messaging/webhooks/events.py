"""Events: recorded with the change that they tell of, and read in the order of their positions.

The database records what happens to messages and batches: triggers on their tables write the events in the same transaction as the change
(`messaging/migrations/0003_events.py`). So no code that moves messages can forget one, and Python does nothing for it. Other apps
call `record` inside their own transaction.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils.translation import gettext_lazy as _

from messaging.configuration import webhooks
from messaging.models import Event, EventRecording, RecordedEvent
from messaging.webhooks import event_types
from posthaste.lib.problems import Problem


class EventsGone(Problem):
    """Events after this position were deleted because of their age. `oldest` is the position to go on from."""

    status, code, title = 410, "events_gone", _("These events are not kept any more")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """What another app tells: `data` must hold no secret and no clear recipient, and be small."""

    tenant_id: int
    type: str
    occurred_at: datetime
    subject_id: UUID | None = None
    channel: str = ""
    is_sandbox: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Some events in order, as receivers see them, and the position to go on from."""

    events: list[dict[str, Any]]
    next: int


def record(events: Sequence[NewEvent]) -> int:
    """Record events of tenants that have an endpoint or read the stream, in the caller's transaction, and return their number.

    Lock the row that an event is about first: the order of events about one subject is that of these calls.

    Raises:
        ValueError: a type is not declared.
    """
    for event in events:
        if event.type not in event_types.EVENT_TYPES:
            raise ValueError(f"The event type {event.type} is not declared.")
    tenants = {event.tenant_id for event in events}
    wanted = set(EventRecording.objects.filter(tenant_id__in=tenants).values_list("tenant_id", flat=True))
    model: type[Event] | type[RecordedEvent] = RecordedEvent if connection.vendor == "postgresql" else Event
    rows: list[Any] = [
        model(
            tenant_id=event.tenant_id,
            type=event.type,
            subject_id=event.subject_id,
            channel=event.channel,
            is_sandbox=event.is_sandbox,
            occurred_at=event.occurred_at,
            data=dict(event.data),
        )
        for event in events
        if event.tenant_id in wanted
    ]
    model._default_manager.bulk_create(rows, batch_size=500)
    return len(rows)


def after(
    *,
    tenant_id: int,
    position: int,
    limit: int,
    now: datetime,
    types: Collection[str] = (),
    is_sandbox: bool | None = None,
) -> Page:
    """Return a tenant's events after a position, oldest first; `types` are patterns as an endpoint has them, none means all.

    `is_sandbox`: None returns both kinds. The first call starts the recording for a tenant without an endpoint.

    Raises:
        EventsGone: some events after `position` are not kept any more.
    """
    raise NotImplementedError


def oldest_position(*, tenant_id: int) -> int | None:
    """Return the position of the oldest event that is kept for a tenant."""
    return Event.objects.filter(tenant_id=tenant_id).order_by("position").values_list("position", flat=True).first()


def as_seen(rows: Iterable[Event]) -> list[dict[str, Any]]:
    """Return events as receivers see them: `id`, `type`, `timestamp`, `data`. Two queries, however many."""
    raise NotImplementedError


def is_kept(occurred_at: datetime, *, now: datetime) -> bool:
    """Return whether an event is young enough to be kept."""
    return occurred_at > now - timedelta(days=webhooks.value.keep_days)
