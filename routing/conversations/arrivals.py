"""What comes in, written before its sender is answered: at most once for each entrance and external id.

What if the process dies: before the commit nothing is stored, and the sender, who got no answer, sends it again. After the commit the
arrival waits as a row; a task that was not published is made good by the sweep (`routing.processing`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from messaging.queueing.publish import BrokerAway, broker_is_up, send_task
from posthaste.lib import redis
from posthaste.lib.ids import first_id_at, new_id
from posthaste.lib.problems import Conflict
from routing.actions import Action
from routing.contract import Incoming
from routing.conversations import attachments
from routing.models import Arrival, ArrivalState, Attachment

TASK = "routing.process"
MAX_EXTERNAL_ID = 250
MAX_TEXT = 20_000
#: A kick that no worker took within this time is lost: the next arrival kicks again.
KICK_MS = 3_000
#: So long the same thing is recognized as known.
DONE_KEPT = timedelta(days=30)
_BATCH = 100  # rows a statement, with their texts


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of one incoming thing: stored now, or known from before."""

    id: UUID
    external_id: str
    is_new: bool


def owner_of(arrival_id: UUID) -> str:
    """Return as whose the files of an arrival are kept until its line is written."""
    return f"arrival:{arrival_id.hex}"


def sender_of(incoming: Incoming) -> str:
    """Return whose texts are taken in one after the other."""
    return f"{incoming.sender.kind}:{incoming.sender.value}"[:320]


@transaction.atomic
def store(entrance_id: UUID, incoming: Sequence[Incoming], *, tenant_id: int, now: datetime) -> list[Stored]:
    """Write what came in, with its files, and return for each whether it is new, in the same order.

    One statement writes them all. What the entrance has taken in before, under the same external id, is left as it is. Joins the
    caller's transaction; the workers are told after its commit.

    Raises:
        ValueError: an external id is empty or too long.
    """
    rows: dict[str, Arrival] = {}
    files: dict[UUID, list[Attachment]] = {}
    names = [str(_storable(one.external_id)) for one in incoming]
    for name, one in zip(names, incoming, strict=True):
        if not 1 <= len(name) <= MAX_EXTERNAL_ID:
            raise ValueError(f"An external id has 1 to {MAX_EXTERNAL_ID} characters, not {len(name)}.")
        if name not in rows:
            row = Arrival(
                id=new_id(),
                tenant_id=tenant_id,
                entrance_id=entrance_id,
                external_id=name,
                sender=_storable(sender_of(one)),
                received_at=now,
            )
            files[row.pk], refused = attachments.make(one.files, tenant_id=tenant_id, owner=owner_of(row.pk), now=now)
            row.body = body_of(one, refused)
            rows[name] = row
    Arrival.objects.bulk_create(rows.values(), ignore_conflicts=True, batch_size=_BATCH)
    kept = dict(Arrival.objects.filter(entrance_id=entrance_id, external_id__in=list(rows)).values_list("external_id", "pk"))
    new = {external_id for external_id, row in rows.items() if kept[external_id] == row.pk}
    Attachment.objects.bulk_create([file for name in rows if name in new for file in files[rows[name].pk]])
    if new:
        transaction.on_commit(kick, robust=True)
    return [Stored(kept[name], name, name in new and names.index(name) == place) for place, name in enumerate(names)]


def known(entrance_id: UUID, external_id: str) -> Stored | None:
    """Return what an entrance has taken in under an external id before; None: nothing."""
    pk = Arrival.objects.filter(entrance_id=entrance_id, external_id=external_id).values_list("pk", flat=True).first()
    return Stored(pk, external_id, is_new=False) if pk else None


def body_of(incoming: Incoming, refused: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """Return something incoming as the JSON that is stored: its files without their bytes, its text cut to what a line holds."""
    details = dict(incoming.details)
    if len(incoming.text) > MAX_TEXT:
        details["cut_from"] = len(incoming.text)
    if refused:
        details["files_refused"] = list(refused)
    # Files that are stored have no bytes here and no reference; those that must be fetched keep theirs.
    to_fetch = tuple(replace(file, content=b"") for file in incoming.files if file.reference and not file.content)
    body: dict[str, Any] = _storable(msgspec.to_builtins(replace(incoming, files=to_fetch, details=details, text=incoming.text[:MAX_TEXT])))
    return body


def incoming_of(arrival: Arrival) -> Incoming:
    """Return what an arrival brought."""
    return msgspec.convert(arrival.body, Incoming)


def _storable(value: Any) -> Any:
    """Return a value without what PostgreSQL can't store in texts: NUL and halves of surrogate pairs."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_storable(str(name)): _storable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(part) for part in value]
    return value


def _kick_key() -> str:
    return redis.key("routing", "kick")


def kick() -> None:
    """Ask a worker to process what has arrived, unless a task for that waits already. Losing the kick does no harm."""
    try:
        if redis.client().set(_kick_key(), 1, nx=True, px=KICK_MS) and broker_is_up():
            send_task(TASK, expires=60.0)
    except (BrokerAway, redis.Unavailable):
        pass  # the sweep finds what arrived


def kick_taken() -> None:
    """Note that a worker begins: what arrives from now on needs another kick."""
    try:
        redis.client().delete(_kick_key())
    except redis.Unavailable:
        pass


def delete_done(*, now: datetime) -> int:
    """Delete what was taken in long ago, by which time no sender sends it again, and return how many; what failed stays."""
    number, _by_model = Arrival.objects.filter(state=ArrivalState.DONE, pk__lt=first_id_at(now - DONE_KEPT)).delete()
    return number


@transaction.atomic
def retry(*, arrival: Arrival, by: Actor) -> None:
    """Have a failed arrival processed again.

    Raises:
        Conflict: it has not failed, or another request was faster.
    """
    failed = Arrival.objects.filter(pk=arrival.pk, state=ArrivalState.FAILED)
    if not failed.update(state=ArrivalState.PENDING, attempts=0, error="", finished_at=None, lease_token=None, lease_until=None):
        raise Conflict(_("Only a failed arrival can be tried again."))
    audit.record(by=by, action=Action.ARRIVAL_RETRY, target=arrival.pk, tenant_id=arrival.tenant_id)
    transaction.on_commit(partial(kick), robust=True)
