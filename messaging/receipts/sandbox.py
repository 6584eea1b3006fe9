"""Receipts of the sandbox: what a real provider would send back a moment later, it sends through a task."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from messaging.channels.base import Receipt
from messaging.models import Message, Provider
from messaging.queueing.publish import BrokerAway, send_task
from messaging.receipts.receive import apply_all

DELAY_SECONDS = 1.0


def send_receipts_later(receipts: Sequence[Receipt]) -> None:
    """Hand receipts to the task that applies them. Losing them does no harm: it is a sandbox."""
    entries = [[r.message_id.hex, r.status, r.code, r.detail] for r in receipts if r.message_id]
    try:
        send_task("messaging.sandbox_receipts", entries, countdown=DELAY_SECONDS)
    except BrokerAway:
        pass


def apply_sandbox_receipts(entries: Sequence[Sequence[str]], *, now: datetime) -> Counter[str]:
    """Apply receipts of the sandbox as if they had come over HTTP, and count what became of them."""
    receipts = {UUID(identifier): Receipt(status, UUID(identifier), "", code, detail) for identifier, status, code, detail in entries}  # type: ignore[arg-type]
    by_provider: dict[UUID, list[Receipt]] = defaultdict(list)
    rows = Message.objects.filter(pk__in=receipts, provider__kind="sandbox").values_list("pk", "provider_id")
    for pk, provider_id in rows:
        if provider_id:
            by_provider[provider_id].append(receipts[pk])
    counts: Counter[str] = Counter()
    for provider in Provider.objects.filter(pk__in=by_provider):
        counts += apply_all(provider=provider, receipts=by_provider[provider.pk], now=now)
    return counts
