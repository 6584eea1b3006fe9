"""Erase what is left of a text after its item was encrypted, as far as the database lets a program do so."""

import structlog
from django.db import DatabaseError, connection, transaction

from accounts.services import audit
from configcenter.actions import Action

log = structlog.get_logger(__name__)
#: Details of audit entries that tell of a text: its fingerprint, names of fields, numbers of lines.
TELLING = ("md5", "changed", "changed_in_all", "lines_added", "lines_removed")
RELEASING = (
    Action.PUBLISH,
    Action.IMPORT,
    Action.ROLLBACK,
    Action.REMOVE,
    Action.GRAY_START,
    Action.GRAY_PROMOTE,
    Action.GRAY_ABANDON,
)


def erase_traces(*, target: str, tenant_id: int | None) -> None:
    """Remove what the audit trail tells of an item's texts, and let SQLite overwrite their old rows; in the transaction that encrypts."""
    audit.redact(target=target, tenant_id=tenant_id, actions=RELEASING, details=TELLING)
    if connection.vendor == "sqlite":
        transaction.on_commit(_empty_write_ahead_log, robust=True)


def overwrite_deleted() -> None:
    """Let SQLite overwrite with zeros what this connection deletes from now on, where it was not built to do so; before the writes."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA secure_delete = ON")


def _empty_write_ahead_log() -> None:
    """Copy SQLite's log of writes into the database file and empty it. A reader can hold that up until later."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            is_busy = cursor.fetchone()[0]
    except DatabaseError:
        is_busy = True
    if is_busy:
        log.warning("the log of SQLite still holds texts from before an item was encrypted, until it is written over")
