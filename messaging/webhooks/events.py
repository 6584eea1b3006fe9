"""Events: recorded with the change that they tell of, and read in the order of their positions.

The database records what happens to messages and batches: triggers on their tables write the events in the same transaction as the change
(`messaging/migrations/0003_events.py`). So no code that moves messages can forget one, and Python does nothing for it. Other apps
call `record` inside their own transaction.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import audit
from accounts.services.audit import Actor
from messaging.actions import Action
from messaging.models import Event, EventRecording, RecordedEvent
from messaging.webhooks import content, event_types, reading
from posthaste.lib.late_writes import late_writes, write_latest
from posthaste.lib.problems import Problem

NOTE_READING_EVERY = timedelta(hours=1)


def _write_readings(moments: Mapping[int, datetime]) -> None:
    write_latest(EventRecording.objects.all(), "read_at", moments)


#: When streams were last read, by the ids of their recordings.
_readings = late_writes("readings", _write_readings, noted_every=NOTE_READING_EVERY)


class EventsGone(Problem):
    """Some events after this position were deleted because of their age, or not recorded. `after` is the position to go on from."""

    status, code, title = 410, "events_gone", gettext_lazy("These events are not kept any more")


class NotRecorded(Problem):
    """The events of this tenant are not recorded. Start with `POST /api/events/`; a first webhook endpoint starts it too."""

    status, code, title = 409, "events_not_recorded", gettext_lazy("Events are not recorded")


class PositionAhead(Problem):
    """There is no event at or after this position, such as when a backup was restored. `after` is the last position to go on from."""

    status, code, title = 409, "position_ahead", gettext_lazy("There is no event at this position yet")


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
    wanted = recorded_among({event.tenant_id for event in events})
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


def recorded_among(tenant_ids: Collection[int]) -> set[int]:
    """Return those of some tenants whose events are recorded: what composes many events asks first."""
    return set(EventRecording.objects.filter(tenant_id__in=tenant_ids).values_list("tenant_id", flat=True)) if tenant_ids else set()


def recorded_tenants() -> "QuerySet[EventRecording, int]":
    """Return the ids of the tenants whose events are recorded, to be part of another query."""
    return EventRecording.objects.values_list("tenant_id", flat=True)


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

    Position 0 stands for the oldest event that is kept. `is_sandbox`: None returns both kinds. The recording for a tenant without an
    endpoint ends when there were no calls for `webhooks.keep_days`.

    Raises:
        NotRecorded: the recording was not started, or has ended.
        EventsGone: events after `position` are not kept any more, or were not recorded.
        PositionAhead: `position` is larger than any that the tenant's reader can have been given.
    """
    recording = EventRecording.objects.filter(tenant_id=tenant_id).first()
    if recording is None:
        raise NotRecorded(_("Events are not recorded yet, or no longer because they were not read. Start with POST /api/events/."))
    if recording.read_at is None or recording.read_at < now - NOTE_READING_EVERY:
        _readings.note(recording.pk, now)
    if 0 < position < recording.missing_until:
        raise EventsGone(
            _("Events up to position {n} are not available any more. Go on from there.").format(n=recording.missing_until),
            after=recording.missing_until,
        )
    # One sandbox filter or the other is common, and types may be rare: a bounded search, and a page may be short of its limit.
    found = reading.read(
        tenant_id=tenant_id,
        position=position,
        limit=limit,
        wanted=lambda event: (not types or event_types.matches(event.type, types)) and is_sandbox in (None, event.is_sandbox),
    )
    if 0 < position == found.until:  # the usual end of the stream, or beyond it
        _must_be_reached(position, recording)
    return Page(content.as_seen(found.rows), found.until)


def _must_be_reached(position: int, recording: EventRecording) -> None:
    last = Event.objects.filter(tenant_id=recording.tenant_id).aggregate(last=Max("position"))["last"] or 0
    last = max(last, recording.missing_until)  # older ones were deleted
    if position > last:
        raise PositionAhead(_("The last event is at position {n}. Go on from there.").format(n=last), after=last)


@transaction.atomic  # a recording that began without its entry in the audit trail would stay so
def open_stream(*, tenant_id: int, by: Actor, now: datetime) -> int:
    """Have a tenant's events recorded for the stream, and return the position after which none is missing. Nothing changes if they are."""
    recording, is_new = start_recording(tenant_id, read_at=now)
    if is_new:
        audit.record(by=by, action=Action.EVENTS_RECORD, target=recording.pk, tenant_id=tenant_id)
    return recording.missing_until


def start_recording(tenant_id: int, *, read_at: datetime | None = None) -> tuple[EventRecording, bool]:
    """Have a tenant's events recorded from now on, and return its entry, and whether it is new. Nothing changes if they are.

    What happened before is missing from the stream, and a reader that was here before is told so.
    """
    found = EventRecording.objects.filter(tenant_id=tenant_id).first()
    if found is not None:
        return found, False
    return EventRecording.objects.get_or_create(tenant_id=tenant_id, defaults={"read_at": read_at, "missing_until": last_position()})


def last_position() -> int:
    """Return the position of the latest event of all tenants; 0 where there is none."""
    return Event.objects.aggregate(last=Max("position"))["last"] or 0


def oldest_position(*, tenant_id: int) -> int | None:
    """Return the position of the oldest event that is kept for a tenant."""
    return Event.objects.filter(tenant_id=tenant_id).order_by("position").values_list("position", flat=True).first()
