"""What receivers see of an event: what was recorded, and what the row that it is about tells.

`data` of an event holds what may change later, such as the state. The rest is read from the message or the batch when the event is sent, so
that recording it costs the sending of messages next to nothing.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection

from messaging.channels.email.files import without_files
from messaging.models import Batch, Event, Message, Provider
from messaging.storage import unreadable
from messaging.storage.lost_content import is_placeholder
from messaging.webhooks.reading import StoredEvent, uuid_of
from posthaste.lib import foreign_json
from posthaste.lib.masking import mask_recipient
from posthaste.lib.process_state import on_reset

MAX_VALUES = 500  # of one statement
NAMES_SECONDS = 30.0


def as_seen(rows: Sequence[StoredEvent | Event]) -> list[dict[str, Any]]:
    """Return events as receivers see them: `id`, `type`, `timestamp`, `data`. Three queries at most, however many."""
    messages = _messages({event.subject_id for event in rows if event.subject_id and event.type.startswith("message.")})
    batches = _batches({event.subject_id for event in rows if event.subject_id and event.type.startswith("batch.")})
    providers = _providers({event.data.get("provider_id") for event in rows})
    return [
        {
            "id": f"evt_{event.position}",
            "type": event.type,
            "timestamp": event.occurred_at.isoformat(),
            "data": _data_of(event, messages, batches, providers),
        }
        for event in rows
    ]


def _data_of(
    event: StoredEvent | Event, messages: dict[UUID, dict[str, Any]], batches: dict[UUID, dict[str, Any]], providers: dict[str, str]
) -> dict[str, Any]:
    own: dict[str, Any] = event.data
    subject = event.type.partition(".")[0]
    identifier = str(event.subject_id) if event.subject_id else None
    if subject not in ("message", "batch") or event.subject_id is None:
        return {"id": identifier, **own}
    data: dict[str, Any] = {"id": identifier, "channel": event.channel, "is_sandbox": event.is_sandbox}
    if subject == "batch":
        return data | own | batches.get(event.subject_id, {})
    found = messages.get(event.subject_id) or {"batch_id": None, "reference": "", "recipient": "", "metadata": {}}
    if own.get("error_code") == unreadable.CODE and is_placeholder(found["metadata"]):
        found = found | {"metadata": {}}  # what was set aside is for operators
    return {
        **data,
        # The row may be gone: partitions are dropped at the end of the retention. What happened is told all the same.
        **found,
        "status": own.get("status"),
        "previous_status": own.get("previous_status"),
        "attempts": own.get("attempts"),
        "error_code": own.get("error_code") or "",
        "provider": providers.get(own.get("provider_id") or "", ""),
        "due_at": _time(own.get("due_at")),
    }


def _messages(ids: set[UUID]) -> dict[UUID, dict[str, Any]]:
    if not ids:
        return {}
    rows = Message.objects.filter(pk__in=ids).order_by()
    return unreadable.read(rows, lambda: _select_messages(list(ids)))


def _select_messages(ids: list[UUID]) -> dict[UUID, dict[str, Any]]:
    """In plain SQL, as in `_select`."""
    is_postgresql = connection.vendor == "postgresql"
    found = {}
    for start in range(0, len(ids), MAX_VALUES):
        part = ids[start : start + MAX_VALUES]
        where = "id = ANY(%s)" if is_postgresql else f"id IN ({', '.join(['%s'] * len(part))})"
        sql = f"SELECT id, channel, recipient, batch_id, reference, metadata FROM {Message._meta.db_table} WHERE {where}"
        with connection.cursor() as cursor:
            cursor.execute(sql, [part] if is_postgresql else [pk.hex for pk in part])
            rows = cursor.fetchall()
        for pk, channel, recipient, batch_id, reference, metadata in rows:
            batch = uuid_of(batch_id)
            found[pk if is_postgresql else UUID(pk)] = {
                "batch_id": str(batch) if batch else None,
                "reference": reference,
                "recipient": mask_recipient(channel, recipient),
                "metadata": _metadata(metadata),
            }
    return found


def _metadata(text: str) -> dict[str, Any]:
    if text == "{}":
        return {}
    value = foreign_json.loads(text.encode())  # integers of any length stay exact
    if type(value) is not dict:
        raise unreadable.Unreadable("metadata")
    return without_files(value)


def _batches(ids: set[UUID]) -> dict[UUID, dict[str, Any]]:
    if not ids:
        return {}
    rows = Batch.objects.filter(pk__in=ids).only("name", "accepted", "rejected", "dropped").order_by()
    return {
        row.pk: {"name": row.name, "accepted": row.accepted, "rejected": row.rejected, "dropped": row.dropped}
        for row in unreadable.readable(rows)
    }


def _providers(ids: set[Any]) -> dict[str, str]:
    """Return the names of providers by their id as events have it: SQLite writes no hyphens."""
    wanted = {text: found for text in ids if (found := _uuid(text))}
    if not wanted:
        return {}
    names = _names.by_id
    if time.monotonic() - _names.read_at > NAMES_SECONDS or not names.keys() >= set(wanted.values()):
        known = dict(Provider.objects.filter(pk__in={*names, *wanted.values()}).values_list("pk", "name"))
        names = dict.fromkeys(wanted.values(), "") | known  # one that is gone has no name, and is not asked for again either
        _names.by_id, _names.read_at = names, time.monotonic()
    return {text: names[pk] for text, pk in wanted.items()}


class _Names:
    """The names of providers, remembered for a while: each request would ask for the same few."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.by_id: dict[UUID, str] = {}
        self.read_at = 0.0


_names = _Names()
on_reset(_names.forget)


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
