"""Receipts: what providers report later. Signed, replay-safe, and never able to move a message backwards."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.utils.translation import gettext as _
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from messaging.channels.base import Receipt, ReceiptError
from messaging.channels.registry import make_adapter
from messaging.models import Message, Provider, ReceiptEntry, ReceiptOutcome, Status
from messaging.services.accept import count_events
from messaging.services.providers import book
from posthaste.lib import redis
from posthaste.lib.problems import Invalid, Unauthenticated
from tracing.services import record

log = structlog.get_logger(__name__)
#: States a receipt may change: what a provider says it delivered counts, also where our side was not sure.
OPEN = (Status.SENT, Status.UNKNOWN, Status.SENDING)


def verify(*, provider: Provider, body: bytes, headers: Mapping[str, str]) -> None:
    """This function will check signature and age (five minutes) of a callback, as Standard Webhooks defines them.

    Raises:
        Unauthenticated: missing, wrong or too old.
    """
    try:
        Webhook(provider.receipt_secret).verify(body, {name.lower(): value for name, value in headers.items()})
    except WebhookVerificationError as error:
        raise Unauthenticated(_("Signature refused: {reason}. Send webhook-id, webhook-timestamp and webhook-signature.").format(reason=error)) from None
    except Exception:  # noqa: BLE001 - whatever a stranger's headers break in the library is no valid signature
        raise Unauthenticated(_("Signature refused.")) from None


def apply_receipts(*, provider: Provider, body: bytes, headers: Mapping[str, str], now: datetime) -> Counter[str]:
    """This function will apply the receipts in a verified callback and count what became of each.

    Raises:
        Invalid: the body is not understood; nothing was applied.
    """
    carrier = next((c for c in book.carriers(provider.tenant_id, provider.channel) if c.provider_id == provider.pk), None)
    adapter = carrier.adapter if carrier else None
    if adapter is None:
        adapter = make_adapter(provider.kind, provider.config)  # disabled meanwhile, yet its receipts still come
    try:
        receipts = adapter.parse_receipt(body, headers)
    except ReceiptError as error:
        raise Invalid.field("", str(error)) from None
    rows = _find(provider, receipts)
    entries = [_apply(provider, receipt, row, now) for receipt, row in zip(receipts, rows, strict=True)]
    ReceiptEntry.objects.bulk_create(entries)
    counts = Counter(entry.outcome for entry in entries)
    log.info("receipts", provider=str(provider.pk), **{str(k): v for k, v in counts.items()})
    return counts


def _find(provider: Provider, receipts: Sequence[Receipt]) -> list[Message | None]:
    """Two queries, however many receipts. Only messages that this provider carried can be meant."""
    ours = Message.objects.filter(tenant_id=provider.tenant_id)
    by_id = {row.pk: row for row in ours.filter(pk__in=[r.message_id for r in receipts if r.message_id])}
    names = [r.provider_message_id for r in receipts if not r.message_id and r.provider_message_id]
    by_name = {row.provider_message_id: row for row in ours.filter(provider=provider, provider_message_id__in=names)} if names else {}
    found = []
    for receipt in receipts:
        row = by_id.get(receipt.message_id) if receipt.message_id else by_name.get(receipt.provider_message_id)
        # The row of a message that is still being sent does not name its provider yet.
        ours_now = row is not None and (row.status == Status.SENDING or row.provider_id in (provider.pk, None))
        found.append(row if ours_now else None)
    return found


def _apply(provider: Provider, receipt: Receipt, row: Message | None, now: datetime) -> ReceiptEntry:
    entry = ReceiptEntry(
        provider=provider,
        message=row,
        provider_message_id=receipt.provider_message_id[:200],
        reported=receipt.status,
        code=receipt.code[:60],
        detail=receipt.detail[:500],
    )
    if row is None:
        entry.outcome = ReceiptOutcome.UNMATCHED
        return entry
    changes: dict[str, Any] = {"status": receipt.status, "finished_at": now, "lease_until": None, "claim": None, "provider_id": provider.pk}
    if receipt.status == Status.FAILED:
        changes |= {"error_code": receipt.code[:60] or "not_delivered", "error_detail": receipt.detail[:500]}
    else:
        changes |= {"error_code": "", "error_detail": ""}
        if row.sent_at is None:
            changes["sent_at"] = now  # delivered before we knew that it had been taken
    if Message.objects.filter(pk=row.pk, status__in=OPEN).update(**changes):
        entry.outcome = ReceiptOutcome.APPLIED
        _trace(row, receipt.status, now)
        count_events(now, Counter({(row.tenant_id, receipt.status): 1}))
    else:
        current = Message.objects.values_list("status", flat=True).get(pk=row.pk)
        entry.outcome = ReceiptOutcome.DUPLICATE if current == receipt.status else ReceiptOutcome.LATE
    return entry


def _trace(row: Message, status: str, now: datetime) -> None:
    pipeline = redis.client().pipeline(transaction=False)
    record.append(pipeline, row.pk, [record.line("K", row.pk, now, status)])
    try:
        pipeline.execute()
    except redis.Unavailable:
        pass


def provider_for_receipts(provider_id: UUID) -> Provider | None:
    """This function will give the provider that a callback is addressed to."""
    return Provider.objects.filter(pk=provider_id).first()
