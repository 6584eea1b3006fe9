"""Take in what is new in a mailbox: a few messages and the place behind them in one transaction.

What if the process dies: the place is that of the last messages that were written, so the next process goes on behind them. A folder that
was made anew has another UIDVALIDITY: its messages of the last days are looked at again, and those that are known are left as they are.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from messaging.storage.store import database_time
from routing.contract import Incoming
from routing.conversations import arrivals
from routing.entrances import registry
from routing.entrances.email import mime, threads
from routing.entrances.email.mailbox import Connection
from routing.entrances.email.settings import EmailSettings
from routing.models import Entrance, Mailbox

LEASE = timedelta(seconds=60)
TOGETHER = 5  # messages of up to 25 MiB in memory at once
LOOK_BACK = timedelta(days=3)
log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """Another process watches the mailbox by now."""


def take_lease(entrance_id: UUID, *, lease: UUID) -> bool:
    """Take a mailbox for this process, unless another one has it."""
    Mailbox.objects.bulk_create([Mailbox(entrance_id=entrance_id)], ignore_conflicts=True)
    now = database_time()
    rows = Mailbox.objects.filter(entrance_id=entrance_id).exclude(lease_until__gt=now)
    return bool(rows.update(lease_token=lease, lease_until=now + LEASE))


def renew(entrance_id: UUID, *, lease: UUID, now: datetime) -> None:
    """Prolong the lease after a look into the mailbox.

    Raises:
        LeaseLost: it ran out and another process has taken it.
    """
    rows = Mailbox.objects.filter(entrance_id=entrance_id, lease_token=lease)
    if not rows.update(lease_until=database_time() + LEASE, checked_at=now, error=""):
        raise LeaseLost


def release(entrance_id: UUID, *, lease: UUID, error: str = "", after: timedelta = timedelta(0)) -> None:
    """Give a mailbox back; with an error no process tries it again before some time has passed."""
    rows = Mailbox.objects.filter(entrance_id=entrance_id, lease_token=lease)
    rows.update(lease_token=None, lease_until=database_time() + after, **({"error": error[:300]} if error else {}))


def take_new(entrance: Entrance, connection: Connection, *, lease: UUID) -> int:
    """Take in what is new, and return how many messages were written.

    Raises:
        LeaseLost: another process has the mailbox by now.
    """
    row = Mailbox.objects.get(entrance=entrance)
    validity, next_uid = connection.state()
    if row.uid_validity is None:  # what was there before is not taken in
        _move(row, lease, uid_validity=validity, last_uid=next_uid - 1)
        return 0
    if row.uid_validity != validity:
        found = connection.since(((row.checked_at or timezone.now()) - LOOK_BACK).date())
        _move(row, lease, uid_validity=validity, last_uid=found[0] - 1 if found else next_uid - 1)
    written, uids = 0, connection.after(row.last_uid)
    settings = EmailSettings.model_validate(entrance.settings)
    for start in range(0, len(uids), TOGETHER):
        part = uids[start : start + TOGETHER]
        now = timezone.now()
        read = {uid: one for uid in part if (one := _read(connection, uid, settings, now=now)) is not None}
        with transaction.atomic():
            _move(row, lease, last_uid=part[-1])
            incoming = threads.placed(registry.row_of(entrance), list(read.values()))
            stored = arrivals.store(entrance.pk, incoming, tenant_id=entrance.tenant_id, now=now) if incoming else []
        written += sum(one.is_new for one in stored)
        if read:
            connection.mark_read(list(read))
    return written


def _move(row: Mailbox, lease: UUID, **place: int) -> None:
    rows = Mailbox.objects.filter(pk=row.pk, lease_token=lease, last_uid=row.last_uid)
    if not rows.update(**place, lease_until=database_time() + LEASE):
        raise LeaseLost
    for name, value in place.items():
        setattr(row, name, value)


def _read(connection: Connection, uid: int, settings: EmailSettings, *, now: datetime) -> Incoming | None:
    is_large = connection.size(uid) > mime.MAX_BYTES
    content = connection.content(uid, only_headers=is_large)
    if not content:
        return None  # deleted meanwhile
    try:
        found = mime.read(content, own_addresses=settings.own_addresses, received_at=now, trusts_reply_to=settings.trusts_reply_to)
    except mime.NotAMessage:
        log.warning("a message without a sender stays in the mailbox", uid=uid)
        return None
    return replace(found, details={**found.details, "too_large": True}) if is_large else found
