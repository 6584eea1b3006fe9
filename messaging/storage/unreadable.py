"""Rows that can't be read: set aside, so that the rows beside them go on.

A row can become unreadable in ways that no entrance sees: a time beyond the year 9999, a JSON list where an object belongs, a text
that is no UUID (SQLite stores any). Reading it raises an error, and one such row would hold up all others of its page, chunk or round.

The code that meets the error calls this module. It finds the rows that cause it, replaces what can't be read by a value that can, and notes
what was there in `error_detail`. A message that has not been sent ends as failed with the error code `unreadable`; one that a worker
holds, or that has ended, keeps its state. It costs nothing until an error occurs.

What if the process dies: each row is repaired in one transaction, so the next reader goes on where this one ended.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import structlog
from django.core.exceptions import ObjectDoesNotExist
from django.db import DataError, OperationalError, connection, models, transaction
from django.db.models.expressions import RawSQL
from django.db.models.query import ModelIterable
from django.utils import timezone
from redis.exceptions import RedisError

from messaging.models import Batch, BatchStatus, Message, Status
from posthaste.lib import redis
from posthaste.lib.crypto import EncryptedJSONField
from posthaste.lib.dates import is_in_range
from posthaste.lib.ids import new_id
from tracing.services import record

log = structlog.get_logger(__name__)
CODE = "unreadable"
ROWS_A_LOOK = 500
MAX_SHOWN = 120  # characters of a value, in `error_detail`
MAX_KEPT = 10_000  # characters of a JSON value that is kept inside an object
M = TypeVar("M", bound=models.Model)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kind:
    """What becomes of the rows of a model that is set aside, beside the columns that can't be read.

    `end` gets the columns that can be read, the texts of those that can't, and the time, and returns further changes. `note` gets the
    same after the change, such as to write an audit entry.
    """

    end: Callable[[Mapping[str, Any], Mapping[str, str], Any], dict[str, Any]]
    note: Callable[[Mapping[str, Any], Mapping[str, str]], None] | None = None


class Unreadable(ValueError):
    """A row was read, and holds a value that the code can't work with."""


def may_be_a_rows_fault(error: Exception) -> bool:
    """Return whether an error can come from the contents of a row, rather than from the database or the network."""
    if isinstance(error, OperationalError):
        return "decode to UTF-8" in str(error)  # SQLite's word for a text that is none
    return isinstance(error, DataError | ValueError | TypeError | AttributeError | OverflowError | RecursionError)


def readable(rows: "models.QuerySet[M]") -> "models.QuerySet[M]":
    """Return the query set so that it sets unreadable rows aside while it is read, and yields them repaired."""
    found = rows.all()
    found._iterable_class = _ReadableIterable
    return found


class _ReadableIterable(ModelIterable[Any]):
    def __iter__(self) -> Iterator[Any]:
        seen: set[Any] = set()
        try:
            for row in super().__iter__():
                _check(row)
                seen.add(row.pk)
                yield row
        except Exception as error:
            if not may_be_a_rows_fault(error) or not set_aside(self.queryset):
                raise
        else:
            return
        for row in super().__iter__():
            if row.pk not in seen:
                yield row


def read(rows: "models.QuerySet[Any]", get: "Callable[[], T]", *, kind: Kind | None = None) -> "T":
    """Return what `get` reads from some rows; if it fails because of one of them, set it aside and read once more."""
    try:
        return get()
    except Exception as error:
        if not may_be_a_rows_fault(error) or not set_aside(rows, kind=kind):
            raise
        return get()


def checked(rows: "models.QuerySet[M]") -> list[M]:
    """Return the rows of a query set, read anew.

    Raises:
        Unreadable: one can be read and not used.
    """
    found = list(rows.all())
    for row in found:
        _check(row)
    return found


def _check(row: models.Model) -> None:
    """Refuse what can be read and not used.

    Raises:
        Unreadable: naming the column.
    """
    for field in row._meta.concrete_fields:
        if field.attname in row.__dict__:  # else it is not loaded
            check_value(field, row.__dict__[field.attname])


def check_value(field: "models.Field[Any, Any]", value: Any) -> None:
    """Refuse a value that can be read from its column and not used.

    Raises:
        Unreadable: naming the column.
    """
    wrong = value is None and not field.null
    if isinstance(field, models.DateTimeField):
        wrong = wrong or (value is not None and not is_in_range(value))
    elif isinstance(field, models.JSONField):
        wrong = wrong or (value is not None and not isinstance(value, _json_type(field)))
    elif value is not None and isinstance(field, tuple(_STORED_AS)):  # SQLite stores a text in any column
        wrong = not isinstance(value, next(kinds for of, kinds in _STORED_AS.items() if isinstance(field, of)))
    if wrong:
        raise Unreadable(field.attname)


_STORED_AS: dict[type[Any], type | tuple[type, ...]] = {
    models.BinaryField: (bytes, memoryview),
    models.BooleanField: bool,
    models.IntegerField: int,
}


def _json_type(field: "models.Field[Any, Any]") -> type:
    return list if field.get_default() == [] else dict


def set_aside(rows: "models.QuerySet[Any]", *, claimed: bool = False, kind: Kind | None = None) -> int:
    """Find the unreadable rows of a query set, repair them, and return their number.

    `kind`: what becomes of rows that are neither messages nor batches. `claimed`: the caller holds the messages and has not sent them, so
    they end although they are `sending`.
    """
    model = rows.model
    addresses = [address for (address,) in rows.annotate(row_address=_address(model)).values_list("row_address")]
    number = 0
    for start in range(0, len(addresses), ROWS_A_LOOK):
        for address in _faulty(model, addresses[start : start + ROWS_A_LOOK]):
            number += _repair(model, address, claimed=claimed, kind=kind)
    return number


def _address(model: type[models.Model]) -> Any:
    """Return what names a row even where its id can't be read: SQLite's own number of the row."""
    if connection.vendor == "sqlite":
        return RawSQL(f'"{model._meta.db_table}".rowid', [], output_field=models.BigIntegerField())  # noqa: S611  no input in it
    return models.F("pk")


def _at(model: type[models.Model], addresses: Sequence[Any]) -> "models.QuerySet[Any]":
    # Whether a credential can be decrypted depends on the configuration, so none is read or replaced.
    encrypted = [field.name for field in model._meta.concrete_fields if isinstance(field, EncryptedJSONField)]
    rows: models.QuerySet[Any] = model._base_manager.annotate(row_address=_address(model)).filter(row_address__in=addresses).order_by()
    return rows.defer(*encrypted)


def _faulty(model: type[models.Model], addresses: Sequence[Any]) -> list[Any]:
    """Return the addresses of unreadable rows, found by halving."""
    try:
        for row in _at(model, addresses):
            _check(row)
    except Exception as error:
        if not may_be_a_rows_fault(error):
            raise
        if len(addresses) == 1:
            return list(addresses)
        middle = len(addresses) // 2
        return _faulty(model, addresses[:middle]) + _faulty(model, addresses[middle:])
    return _read_as_nothing(model, addresses) if connection.vendor == "sqlite" else []


def _read_as_nothing(model: type[models.Model], addresses: Sequence[Any]) -> list[Any]:
    """Return the addresses of rows with a text for a time that Django reads as None."""
    times = [field.column for field in model._meta.concrete_fields if isinstance(field, models.DateTimeField)]
    wrong = " OR ".join(f"\"{column}\" NOT GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] *'" for column in times)
    marks = ", ".join(["%s"] * len(addresses))
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT rowid FROM "{model._meta.db_table}" WHERE rowid IN ({marks}) AND ({wrong})', list(addresses))  # noqa: S608
        return [address for (address,) in cursor.fetchall()]


def _repair(model: type[models.Model], address: Any, *, claimed: bool, kind: Kind | None) -> int:
    """Replace what can't be read in a row and return 1, or 0 if it was changed meanwhile."""
    broken: dict[str, str] = {}
    values: dict[str, Any] = {}
    for field in model._meta.concrete_fields:
        if isinstance(field, EncryptedJSONField):
            continue
        try:
            (value,) = _at(model, [address]).values_list(field.attname).get()
            check_value(field, value)
            if value is None and not isinstance(field, models.JSONField) and _as_text(model, field, address) != "":
                raise Unreadable(field.attname)
            values[field.attname] = value
        except ObjectDoesNotExist:
            return 0
        except Exception as error:
            if not may_be_a_rows_fault(error):
                raise
            broken[field.attname] = _as_text(model, field, address)
    if not broken:
        return 0
    now = timezone.now()
    fields = {field.attname: field for field in model._meta.concrete_fields}
    changes = {name: _stand_in(fields[name], text, now) for name, text in broken.items()}
    changes |= kind.end(values, broken, now) if kind else _end(model, values, broken, now, claimed=claimed)
    guard = f" AND status = '{values['status']}'" if model is Message and values.get("status") in Status.values else ""
    sql = f'UPDATE "{model._meta.db_table}" SET {", ".join(f"{fields[name].column} = %s" for name in changes)} WHERE {_where(model)}{guard}'
    prepared = [fields[name].get_db_prep_save(value, connection) for name, value in changes.items()]
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(sql, [*prepared, address])
            changed: int = cursor.rowcount
        if changed and kind and kind.note:
            kind.note(values, broken)
    if changed:
        trace = {"trace_id": values["id"].hex} if model is Message and isinstance(values.get("id"), UUID) else {}
        row = str(values.get("id", address))
        log.error("unreadable row set aside", table=model._meta.db_table, row=row, columns=sorted(broken), **trace)
        count(model._meta.model_name or "", changed)
        if model is Message and changes.get("status") == Status.FAILED and "id" not in broken:
            _trace(values["id"], broken, now)
    return changed


def _trace(message_id: UUID, broken: Mapping[str, str], now: datetime) -> None:
    """Tell the message's trace that it was set aside, and which columns could not be read."""
    try:
        pipeline = redis.client().pipeline(transaction=False)
        columns = record.word(",".join(sorted(broken)))
        record.append(pipeline, {message_id: [record.line("X", message_id, now, Status.FAILED.value, f"{CODE}:{columns}")]})
        pipeline.execute()
    except (redis.Unavailable, RedisError):
        pass  # the log and the row have it


def _where(model: type[models.Model]) -> str:
    return "rowid = %s" if connection.vendor == "sqlite" else f'"{model._meta.pk.column}" = %s'


def _as_text(model: type[models.Model], field: "models.Field[Any, Any]", address: Any) -> str:
    """Return a stored value as text, whatever it is."""
    kind = "BLOB" if connection.vendor == "sqlite" else "TEXT"
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT CAST("{field.column}" AS {kind}) FROM "{model._meta.db_table}" WHERE {_where(model)}', [address])  # noqa: S608
        found = cursor.fetchone()
    value = found[0] if found and found[0] is not None else ""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.replace("\0", "")


def _stand_in(field: "models.Field[Any, Any]", text: str, now: Any) -> Any:
    if isinstance(field, models.JSONField):
        return {CODE: text[:MAX_KEPT]} if _json_type(field) is dict else []
    if isinstance(field, models.UUIDField) and not field.null:
        return new_id()
    if field.null:
        return None
    if isinstance(field, models.DateTimeField):
        return now
    if field.has_default():
        return field.get_default()
    if isinstance(field, models.BinaryField):
        return b""
    return "" if isinstance(field, models.CharField | models.TextField) else 0


def _end(model: type[models.Model], values: dict[str, Any], broken: dict[str, str], now: Any, *, claimed: bool) -> dict[str, Any]:
    """Return what becomes of the row itself."""
    if model is Batch:
        # Under its old id its messages can't be found any more.
        return {"status": BatchStatus.CANCELLED, "finished_at": now} if "id" in broken else {}
    if model is not Message:
        return {}
    changes: dict[str, Any] = {}
    if "error_code" in broken or not values.get("error_code"):
        shown = "; ".join(f"{name}: {text[:MAX_SHOWN]}" for name, text in broken.items() if not _is_private(name))
        hidden = ", ".join(name for name in broken if _is_private(name))
        said = " ".join(filter(None, [f"This can't be read: {hidden}." if hidden else "", shown]))
        changes |= {"error_code": CODE, "error_detail": said[:500]}
    status = values.get("status")
    if status in (Status.PENDING, Status.QUEUED) or (claimed and status == Status.SENDING) or "status" in broken:
        changes |= {"status": Status.FAILED, "finished_at": now, "claim": None, "lease_until": None}
    elif status == Status.SENDING and "claim" in broken:  # its worker's result would find it no more
        changes |= {"status": Status.UNKNOWN, "finished_at": now, "claim": None, "lease_until": None}
    elif status == Status.SENDING and "lease_until" in broken:
        changes["lease_until"] = now
    return changes


def _is_private(name: str) -> bool:
    """Return whether a column's value may say who the recipient is."""
    return name in ("variables", "metadata", "recipient", "subject", "body")


def _key() -> str:
    return redis.key(CODE)


def count(kind: str, number: int) -> None:
    """Count rows that were set aside; kept in Redis, for the metric."""
    try:
        redis.client().hincrby(_key(), kind, number)
    except redis.Unavailable:
        pass  # the log has it


def counts() -> dict[str, float]:
    """Return the number of rows that were set aside so far, by kind.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    found: Any = redis.client().hgetall(_key())
    return dict.fromkeys(("message", "batch", "apikey", "provider", "idempotencykey"), 0.0) | {
        name.decode(): float(number) for name, number in found.items()
    }
