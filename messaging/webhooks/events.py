"""Events: recorded with the change that they tell of, and read in the order of their positions.

The database records what happens to messages and batches: triggers on their tables write the events in the same transaction as the change
(`messaging/migrations/0003_events.py`). So no code that moves messages can forget one, and Python does nothing for it. Other apps
call `record` inside their own transaction.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Max
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.models import Batch, Event, EventRecording, Message, Provider, RecordedEvent
from messaging.storage import unreadable
from messaging.webhooks import event_types
from posthaste.lib.masking import mask_recipient
from posthaste.lib.problems import Problem

WINDOW = 1_000  # events that one query reads
MAX_WINDOWS = 20
NOTE_READING_EVERY = timedelta(hours=1)


class EventsGone(Problem):
    """Some events after this position were deleted because of their age, or not recorded. `after` is the position to go on from."""

    status, code, title = 410, "events_gone", gettext_lazy("These events are not kept any more")


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

    Position 0 stands for the oldest event that is kept. `is_sandbox`: None returns both kinds. The first call starts the recording for
    a tenant without an endpoint; without calls for `webhooks.keep_days` it ends.

    Raises:
        EventsGone: events after `position` are not kept any more, or were not recorded.
    """
    recording = start_recording(tenant_id, read_at=now)
    if 0 < position < recording.missing_until:
        raise EventsGone(
            _("Events up to position {n} are not available any more. Go on from there.").format(n=recording.missing_until),
            after=recording.missing_until,
        )
    # One sandbox filter or the other is common, and types may be rare: a bounded search, and a page may be short of its limit.
    found = read(
        tenant_id=tenant_id,
        position=position,
        limit=limit,
        wanted=lambda event: (not types or event_types.matches(event.type, types)) and is_sandbox in (None, event.is_sandbox),
    )
    return Page(as_seen(found.rows), found.until)


def start_recording(tenant_id: int, *, read_at: datetime | None = None) -> EventRecording:
    """Have a tenant's events recorded from now on, and return its entry. Nothing changes if they are; its last reading is noted.

    What happened before is missing from the stream, and a reader that was here before is told so.
    """
    found = EventRecording.objects.filter(tenant_id=tenant_id).first()
    if found is None:
        found, _is_new = EventRecording.objects.get_or_create(
            tenant_id=tenant_id, defaults={"read_at": read_at, "missing_until": last_position()}
        )
    elif read_at is not None and (found.read_at is None or found.read_at < read_at - NOTE_READING_EVERY):
        EventRecording.objects.filter(pk=found.pk).update(read_at=read_at)
    return found


def last_position() -> int:
    """Return the position of the latest event of all tenants; 0 where there is none."""
    return Event.objects.aggregate(last=Max("position"))["last"] or 0


@dataclass(frozen=True, slots=True)
class Found:
    """Events that were wanted, and the position up to which there are no others."""

    rows: list[Event]
    until: int


def read(
    *, tenant_id: int, position: int, limit: int, wanted: Callable[[Event], bool], last: int | None = None, windows: int = MAX_WINDOWS
) -> Found:
    """Read a tenant's events after a position, up to `last`, until `limit` wanted ones are found.

    It looks at WINDOW × `windows` events at most; where it stops early, `until` is where to go on.
    """
    rows: list[Event] = []
    for _number in range(windows):
        query = Event.objects.filter(tenant_id=tenant_id, position__gt=position)
        if last is not None:
            query = query.filter(position__lte=last)
        window = list(unreadable.readable(query.order_by("position")[:WINDOW]))
        for event in window:
            position = event.position
            if wanted(event):
                rows.append(event)
                if len(rows) == limit:
                    return Found(rows, position)
        if len(window) < WINDOW:
            break
    return Found(rows, position)


def oldest_position(*, tenant_id: int) -> int | None:
    """Return the position of the oldest event that is kept for a tenant."""
    return Event.objects.filter(tenant_id=tenant_id).order_by("position").values_list("position", flat=True).first()


def as_seen(rows: Sequence[Event]) -> list[dict[str, Any]]:
    """Return events as receivers see them: `id`, `type`, `timestamp`, `data`. Three queries at most, however many."""
    messages = _messages(event.subject_id for event in rows if event.type.startswith("message."))
    batches = _batches(event.subject_id for event in rows if event.type.startswith("batch."))
    providers = _providers(event.data.get("provider_id") for event in rows)
    return [
        {
            "id": f"evt_{event.position}",
            "type": event.type,
            "timestamp": event.occurred_at.isoformat(),
            "data": _data_of(event, messages, batches, providers),
        }
        for event in rows
    ]


def _data_of(event: Event, messages: dict[UUID, Any], batches: dict[UUID, Any], providers: dict[UUID, str]) -> dict[str, Any]:
    own = dict(event.data)
    subject = event.type.partition(".")[0]
    if subject not in ("message", "batch"):
        return {"id": str(event.subject_id) if event.subject_id else None, **own}
    data: dict[str, Any] = {"id": str(event.subject_id), "channel": event.channel, "is_sandbox": event.is_sandbox}
    if subject == "batch":
        return data | own | batches.get(event.subject_id, {})
    # The row may be gone: partitions are dropped at the end of the retention. What happened is told all the same.
    provider_id = _uuid(own.pop("provider_id", None))
    due_at = _time(own.pop("due_at", None))
    return (
        data
        | {"batch_id": None, "reference": "", "recipient": "", "metadata": {}}
        | messages.get(event.subject_id, {})
        | own
        | {"provider": providers.get(provider_id, "") if provider_id else "", "due_at": due_at}
    )


def _messages(ids: Iterable[UUID | None]) -> dict[UUID, dict[str, Any]]:
    wanted = {pk for pk in ids if pk is not None}
    if not wanted:
        return {}
    rows = Message.objects.filter(pk__in=wanted).only("channel", "recipient", "batch_id", "reference", "metadata").order_by()
    return {
        row.pk: {
            "batch_id": str(row.batch_id) if row.batch_id else None,
            "reference": row.reference,
            "recipient": mask_recipient(row.channel, row.recipient),
            "metadata": row.metadata,
        }
        for row in unreadable.readable(rows)
    }


def _batches(ids: Iterable[UUID | None]) -> dict[UUID, dict[str, Any]]:
    wanted = {pk for pk in ids if pk is not None}
    if not wanted:
        return {}
    rows = Batch.objects.filter(pk__in=wanted).only("name", "accepted", "rejected", "dropped").order_by()
    return {
        row.pk: {"name": row.name, "accepted": row.accepted, "rejected": row.rejected, "dropped": row.dropped}
        for row in unreadable.readable(rows)
    }


def _providers(ids: Iterable[Any]) -> dict[UUID, str]:
    wanted = {found for found in map(_uuid, ids) if found}
    return dict(Provider.objects.filter(pk__in=wanted).values_list("pk", "name")) if wanted else {}


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _time(text: Any) -> str | None:
    """Return a time as the databases' JSON has it (SQLite's without a zone) in the form of the API."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return (found if found is None or found.tzinfo else found.replace(tzinfo=UTC)).isoformat() if found else None
