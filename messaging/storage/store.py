"""The bulk writer: every statement that moves many messages at once.

Each transition is one guarded UPDATE; a caller that changes no row was beaten and stops. PostgreSQL takes COPY and arrays,
SQLite the same statements in its own dialect; both give the changed rows back with RETURNING (SQLite ≥ 3.35).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import structlog
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from messaging.models import Message, Status
from messaging.storage import batches, row_texts, unreadable

log = structlog.get_logger(__name__)
TABLE = Message._meta.db_table
MAX_SMALLINT = 32_767


@dataclass(slots=True)
class NewRow:
    """A message as it is inserted; the names are the columns'."""

    id: UUID
    tenant_id: int
    api_key_id: int | None
    batch_id: UUID | None
    channel: str
    recipient: str
    priority: int
    status: str
    is_sandbox: bool
    template_version_id: int | None
    variables: dict[str, Any]
    subject: str
    body: str
    segments: int | None
    reference: str
    metadata: dict[str, Any]
    created_at: datetime
    due_at: datetime
    expires_at: datetime | None
    queued_at: datetime | None = None
    category: str = ""
    time_zone: str = ""


@dataclass(slots=True)
class Claimed:
    """What a worker has to know of a message it has claimed; the names are the columns'."""

    id: UUID
    tenant_id: int
    channel: str
    recipient: str
    is_sandbox: bool
    template_version_id: int | None
    variables: dict[str, Any]
    subject: str
    body: str
    reference: str
    metadata: dict[str, Any]
    created_at: datetime
    due_at: datetime
    expires_at: datetime | None
    queued_at: datetime | None
    claimed_at: datetime
    attempts: int
    priority: int
    category: str
    time_zone: str


@dataclass(slots=True)
class Outcome:
    """What became of a claimed message. `due_at` matters only where the status is pending."""

    id: UUID
    status: str
    attempts: int
    due_at: datetime | None = None
    sent_at: datetime | None = None
    finished_at: datetime | None = None
    latency_ms: int | None = None
    provider_id: UUID | None = None
    provider_message_id: str = ""
    error_code: str = ""
    error_detail: str = ""


_COLUMNS = tuple(field.name for field in fields(NewRow))
_CLAIMED = tuple(field.name for field in fields(Claimed))
_DEFAULTS = {"attempts": 0, "provider_message_id": "", "error_code": "", "error_detail": ""}


def _is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def _uuid(value: UUID | None) -> Any:
    return value if value is None or _is_postgresql() else value.hex


def _time(value: datetime | None) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if value is not None else None


def insert_messages(rows: Sequence[NewRow]) -> None:
    """Insert the rows with one COPY (PostgreSQL) or a few INSERTs."""
    if not rows:
        return
    if not _is_postgresql():
        Message.objects.bulk_create([Message(**{name: getattr(row, name) for name in _COLUMNS}) for row in rows])
        return
    names = ", ".join(f'"{name}"' for name in (*_COLUMNS, *_DEFAULTS))
    constants = tuple(_DEFAULTS.values())
    # COPY goes past Django's cursor, so its errors have to be translated here.
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.cursor.copy(f'COPY "{TABLE}" ({names}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row(
                [orjson.dumps(getattr(row, name)).decode() if name in row_texts.JSON else getattr(row, name) for name in _COLUMNS]
                + list(constants)
            )


def _ids_clause(ids: Sequence[UUID]) -> tuple[str, list[Any]]:
    if _is_postgresql():
        return "id = ANY(%s)", [list(ids)]
    return f"id IN ({', '.join(['%s'] * len(ids))})", [value.hex for value in ids]


def database_time() -> datetime:
    """Return the time by the database's clock, the one that leases are counted by: machines may disagree."""
    if not _is_postgresql():
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        time: datetime = cursor.fetchone()[0]
        return time


def claim(ids: Sequence[UUID], *, claim_id: UUID, now: datetime, lease: timedelta) -> list[Claimed]:
    """Take the messages that are still queued and return what a worker has to know of them, in the order they were accepted.

    On PostgreSQL its clock counts, not ours: the lease of a worker whose clock is slow would have run out from the start.
    """
    where, params = _ids_clause(ids)
    times = "claimed_at = statement_timestamp(), lease_until = statement_timestamp() + %s"
    if not _is_postgresql():
        times = "claimed_at = %s, lease_until = %s"
    sql = (
        f"UPDATE {TABLE} SET status = 'sending', claim = %s, {times}, attempts = attempts + 1 "
        f"WHERE status = 'queued' AND {where} RETURNING {', '.join(_CLAIMED if _is_postgresql() else row_texts.as_texts(_CLAIMED))}"
    )
    values = [_uuid(claim_id), *([lease] if _is_postgresql() else [_time(now), _time(now + lease)]), *params]
    try:
        rows = _taken(sql, values)
    except Exception as error:
        if not unreadable.may_be_a_rows_fault(error):
            raise
        rows = _readable_of(claim_id)
    # RETURNING has no order; rules about duplicates and frequency are for what came first.
    rows.sort(key=lambda row: row.id)
    return rows


def _taken(sql: str, values: Sequence[Any]) -> list[Claimed]:
    if not _is_postgresql():
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return [Claimed(*row_texts.from_texts(_CLAIMED, row)) for row in cursor.fetchall()]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        rows = [Claimed(*row) for row in cursor.fetchall()]
    for row in rows:  # Django has psycopg leave JSON as text
        row.variables, row.metadata = row_texts.json_object(row.variables), row_texts.json_object(row.metadata)
    return rows


def _readable_of(claim_id: UUID) -> list[Claimed]:
    """Return what a claim holds without the rows that can't be read, which end here.

    The claim is committed although its answer could not be read.
    """
    held = Message.objects.filter(claim=claim_id, status=Status.SENDING)
    unreadable.set_aside(held, claimed=True)
    return [Claimed(*(getattr(row, name) for name in _CLAIMED)) for row in held]


def renew(*, claim_id: UUID, lease: timedelta) -> int:
    """Prolong the lease on what the claim still holds and return the number of rows."""
    return Message.objects.filter(claim=claim_id, status=Status.SENDING).update(lease_until=database_time() + lease)


def reclaim(*, claim_id: UUID, new_claim_id: UUID) -> int:
    """Put what a claim still holds under another claim id and return the number of rows."""
    return Message.objects.filter(claim=claim_id, status=Status.SENDING).update(claim=new_claim_id)


_OUTCOME_TYPES = {
    "id": "uuid",
    "status": "text",
    "attempts": "smallint",
    "due_at": "timestamptz",
    "sent_at": "timestamptz",
    "finished_at": "timestamptz",
    "latency_ms": "integer",
    "provider_id": "uuid",
    "provider_message_id": "text",
    "error_code": "text",
    "error_detail": "text",
}


def storable(text: str) -> str:
    """Take out of what a provider said the one character that PostgreSQL stores nowhere."""
    return text.replace("\0", "")


def _value(outcome: Outcome, name: str) -> Any:
    value = getattr(outcome, name)
    return storable(value) if isinstance(value, str) else value


def write_outcomes(outcomes: Sequence[Outcome], *, claim_id: UUID) -> set[UUID]:
    """Write the outcomes of messages held by `claim_id` and return the ids that were still held.

    A row that was taken for lost meanwhile, and is `unknown` under the same claim, still gets its outcome.
    """
    if not outcomes:
        return set()
    written = _write_all(outcomes, claim_id, "(m.status = 'sending' OR m.status = 'unknown' AND v.status <> 'pending')")
    if late := [o for o in outcomes if o.status == Status.PENDING and o.id not in written]:
        written |= _put_back(late, claim_id)
    return written


def _put_back(outcomes: Sequence[Outcome], claim_id: UUID) -> set[UUID]:
    """Lets messages that stand as `unknown` wait for another attempt. Their batch may have ended without them: it opens again."""
    unknown = Message.objects.filter(pk__in=[o.id for o in outcomes], claim=claim_id, status=Status.UNKNOWN)
    if not unknown.exists():
        return set()
    with transaction.atomic():
        batches.reopen(list(unknown.exclude(batch=None).order_by().values_list("batch_id", flat=True).distinct()))
        return _write_all(outcomes, claim_id, "m.status = 'unknown'")


def _write_all(outcomes: Sequence[Outcome], claim_id: UUID, condition: str) -> set[UUID]:
    try:
        if not connection.in_atomic_block:
            return _write(outcomes, claim_id, condition)
        with transaction.atomic():  # an error must not take the caller's transaction along
            return _write(outcomes, claim_id, condition)
    except Exception as error:
        if not unreadable.may_be_a_rows_fault(error) and not isinstance(error, IntegrityError):
            raise
        return _write_each(outcomes, claim_id, condition)


def _write(outcomes: Sequence[Outcome], claim_id: UUID, condition: str) -> set[UUID]:
    names = list(_OUTCOME_TYPES)
    # `id` is called `ref` on this side: RETURNING takes only unqualified names in SQLite, and `id` must then be unique.
    aliases = ["ref" if name == "id" else name for name in names]
    if _is_postgresql():
        arrays = ", ".join(f"%s::{kind}[]" for kind in _OUTCOME_TYPES.values())
        source = f"unnest({arrays}) AS v({', '.join(aliases)})"
        params: list[Any] = [[_value(o, name) for o in outcomes] for name in names]
    else:
        row = f"({', '.join(['%s'] * len(names))})"
        columns = ", ".join(f"column{n + 1} AS {alias}" for n, alias in enumerate(aliases))
        source = f"(SELECT {columns} FROM (VALUES {', '.join([row] * len(outcomes))})) AS v"
        params = []
        for o in outcomes:
            params += [
                _uuid(value) if _OUTCOME_TYPES[name] == "uuid" else _time(value) if _OUTCOME_TYPES[name] == "timestamptz" else value
                for name, value in ((name, _value(o, name)) for name in names)
            ]
    sql = (
        f"UPDATE {TABLE} AS m SET status = v.status, attempts = v.attempts, due_at = COALESCE(v.due_at, m.due_at), sent_at = v.sent_at, "
        "finished_at = v.finished_at, latency_ms = v.latency_ms, provider_id = COALESCE(v.provider_id, m.provider_id), "
        "provider_message_id = v.provider_message_id, error_code = v.error_code, error_detail = v.error_detail, "
        "lease_until = NULL, claim = CASE WHEN v.status = 'unknown' THEN m.claim END "
        f"FROM {source} WHERE m.id = v.ref AND m.claim = %s AND {condition} RETURNING id"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*params, _uuid(claim_id)])
        return {value if isinstance(value, UUID) else UUID(value) for (value,) in cursor.fetchall()}


def _write_each(outcomes: Sequence[Outcome], claim_id: UUID, condition: str) -> set[UUID]:
    """Write outcomes of which one can't be written: one after the other, and that one without its texts."""
    written: set[UUID] = set()
    for outcome in outcomes:
        try:
            with transaction.atomic():
                written |= _write([outcome], claim_id, condition)
        except Exception as error:
            if not unreadable.may_be_a_rows_fault(error) and not isinstance(error, IntegrityError):
                raise
            log.exception("an outcome could not be written", trace_id=outcome.id.hex)
            with transaction.atomic():
                written |= _write([_bare(outcome)], claim_id, condition)
    return written


def _bare(outcome: Outcome) -> Outcome:
    """Return what surely can be written of an outcome."""
    return Outcome(
        id=outcome.id,
        status=outcome.status,
        attempts=min(max(outcome.attempts, 0), MAX_SMALLINT),
        due_at=timezone.now() if outcome.status == Status.PENDING else None,
        finished_at=None if outcome.status == Status.PENDING else timezone.now(),
        error_code="" if outcome.status == Status.SENT else "unwritable",
        error_detail=gettext_noop("What the provider answered could not be stored."),
    )


def move(ids: Iterable[UUID], *, source: str, **changes: Any) -> int:
    """Move the messages that are still in state `source` and return their number."""
    return Message.objects.filter(pk__in=list(ids), status=source).update(**changes)


def in_transaction() -> bool:
    """Return whether the caller has a transaction open that writes must join."""
    return bool(transaction.get_connection().in_atomic_block)
