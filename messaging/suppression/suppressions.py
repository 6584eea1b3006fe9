"""The suppression list: looking up, adding, removing.

An entry names a recipient and, if it is not meant for everything, a channel or a category. Without a channel it says what kind of
recipient it is, or shows it: `+44…` is a phone number, `447400…` could be a name. Adding one that is there already
changes nothing, so all of this may run twice; one that has run out is replaced.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from messaging.actions import Action
from messaging.channels.channel import CHAT, EMAIL, SMS
from messaging.channels.recipients import list_key, normalise_anywhere, normalise_recipient
from messaging.models import Suppression, SuppressionReason
from messaging.storage.store import Claimed
from posthaste.lib.ids import new_id
from posthaste.lib.masking import mask_recipient
from posthaste.lib.problems import Invalid

MAX_AT_ONCE = 10_000
UNSUBSCRIBE = SuppressionReason.UNSUBSCRIBE  # the reason of other apps, which import no model
#: The category of answers to what the recipient wrote, which one who unsubscribed still gets. Its colon is in no category that a caller
#: or the configuration can name, so nothing else goes out under it.
ANSWER = "conversation:answer"
KEY = ("recipient", "channel", "category")  # of an entry, in its tenant
STEP = 500  # rows a statement: SQLite takes no more values than that at once


@dataclass(frozen=True, slots=True)
class Entry:
    """A recipient to put on the list, in normalised form."""

    recipient: str
    channel: str = ""
    category: str = ""
    message_id: UUID | None = None


def in_force(now: datetime) -> Q:
    """Return the condition for entries that have not run out."""
    return Q(expires_at=None) | Q(expires_at__gt=now)


def listed(rows: Sequence[Claimed], *, now: datetime) -> dict[UUID, str]:
    """Return the reason for each message whose recipient is on the list; one query, however many."""
    if not rows:
        return {}
    wanted = {(row.tenant_id, list_key(row.recipient)) for row in rows}
    found: dict[tuple[int, str], list[tuple[str, str, str]]] = {}
    tenants, recipients = sorted({tenant for tenant, _to in wanted}), sorted({to for _tenant, to in wanted})
    for tenant_id, recipient, *rest in _entries(tenants, recipients, now):
        found.setdefault((tenant_id, recipient), []).append(tuple(rest))
    if not found:
        return {}
    answer = {}
    for row in rows:
        for channel, category, reason in found.get((row.tenant_id, list_key(row.recipient)), ()):
            answers = row.category == ANSWER and reason == UNSUBSCRIBE and category != ANSWER
            if channel in ("", row.channel) and category in ("", row.category) and not answers:
                answer[row.id] = reason
                break
    return answer


def _entries(tenants: Sequence[int], recipients: Sequence[str], now: datetime) -> list[tuple[Any, ...]]:
    """In plain SQL: each task asks, and composing the query cost a worker more than asking it."""
    tenant_marks, recipient_marks = ", ".join(["%s"] * len(tenants)), ", ".join(["%s"] * len(recipients))
    sql = (
        f"SELECT tenant_id, recipient, channel, category, reason FROM {Suppression._meta.db_table} WHERE tenant_id IN ({tenant_marks}) "
        f"AND recipient IN ({recipient_marks}) AND (expires_at IS NULL OR expires_at > %s)"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*tenants, *recipients, connection.ops.adapt_datetimefield_value(now)])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def normalise(recipient: str, channel: str, kind: str = "") -> str:
    """Return a recipient in the form that the list stores; it has a channel, a kind, or shows its kind.

    Raises:
        ValueError: with a sentence for the caller.
    """
    return list_key(normalise_recipient(channel, recipient) if channel else normalise_anywhere(recipient, kind))


@transaction.atomic
def suppress(
    entries: Iterable[Entry],
    *,
    tenant_id: int,
    reason: SuppressionReason,
    author: str,
    now: datetime,
    expires_at: datetime | None = None,
) -> int:
    """Put entries on the list and return the number of those that were not there.

    An unsubscription holds back no answers. So a bounce or complaint of one who unsubscribed gets an entry of its own, for answers.
    """
    # In one order, so that two who add the same ones never wait for each other in a circle.
    rows = sorted({(e.recipient, e.channel, e.category): e for e in entries}.items())
    added = 0
    for start in range(0, len(rows), STEP):
        part = rows[start : start + STEP]
        there = Suppression.objects.filter(tenant_id=tenant_id, recipient__in={key[0] for key, _entry in part})
        there.filter(expires_at__lte=now).delete()
        known = {(to, channel, category): why for to, channel, category, why in there.values_list(*KEY, "reason")}
        if reason != UNSUBSCRIBE:
            part += [
                ((*key[:2], ANSWER), replace(entry, category=ANSWER))
                for key, entry in part
                if not entry.category and known.get(key) == UNSUBSCRIBE
            ]
        fresh = [
            Suppression(
                id=new_id(),
                tenant_id=tenant_id,
                recipient=entry.recipient,
                channel=entry.channel,
                category=entry.category,
                reason=reason,
                message_id=entry.message_id,
                created_by=author[:150],
                created_at=now,
                expires_at=expires_at,
            )
            for key, entry in part
            if key not in known
        ]
        Suppression.objects.bulk_create(fresh, ignore_conflicts=True)  # another request may have added it first: the result is the same
        added += len(fresh)
    return added


def add(
    *,
    tenant_id: int,
    recipients: Sequence[Any],
    channel: str,
    category: str,
    reason: SuppressionReason,
    by: Actor,
    now: datetime,
    expires_at: datetime | None = None,
    field: str = "recipients",
    kind: str = "",
) -> int:
    """Check recipients, put them on the list, write that down, and return the number of those that were not there.

    Raises:
        Invalid: naming each wrong recipient; nothing was added.
    """
    errors: list[dict[str, Any]] = []
    entries = []
    if expires_at is not None and expires_at <= now:
        errors.append({"field": "expires_at", "code": "past", "message": _("Must be in the future.")})
    if channel and kind:
        raise Invalid.field("kind", _("Set either channel or kind, not both."), "not_allowed")
    for index, recipient in enumerate(recipients):
        try:
            entries.append(Entry(normalise(str(recipient), channel, kind), channel, category))
        except ValueError as error:
            place = f"{field}[{index}]" if field == "recipients" else field
            errors.append({"field": place, "code": "invalid", "message": str(error)})
    if errors:
        raise Invalid(errors=errors)
    with transaction.atomic():
        added = suppress(entries, tenant_id=tenant_id, reason=reason, author=str(by), now=now, expires_at=expires_at)
        audit.record(
            by=by,
            action=Action.SUPPRESSION_ADD,
            target=masked(entries[0].recipient, channel) if len(entries) == 1 else f"{len(entries)} recipients",
            tenant_id=tenant_id,
            detail={"added": added, "channel": channel, "category": category, "reason": str(reason)},
        )
    return added


@transaction.atomic
def remove(*, entries: Sequence[Suppression], by: Actor) -> int:
    """Take entries off the list, write that down for each tenant, and return the number of those that were still there."""
    removed = 0
    for tenant_id in sorted({entry.tenant_id for entry in entries}):
        own = [entry for entry in entries if entry.tenant_id == tenant_id]
        number = sum(
            Suppression.objects.filter(pk__in=[entry.pk for entry in own[start : start + STEP]]).delete()[0]
            for start in range(0, len(own), STEP)
        )
        if number:
            target = masked(own[0].recipient, own[0].channel) if len(own) == 1 else f"{number} recipients"
            detail = {"removed": number, "reasons": sorted({str(entry.reason) for entry in own})}
            audit.record(by=by, action=Action.SUPPRESSION_REMOVE, target=target, tenant_id=tenant_id, detail=detail)
        removed += number
    return removed


def masked(recipient: str, channel: str) -> str:
    """Return a recipient of the list fit to be shown."""
    if not channel:
        channel = SMS if recipient.startswith("+") else EMAIL if "@" in recipient else CHAT
    return mask_recipient(channel, recipient)
