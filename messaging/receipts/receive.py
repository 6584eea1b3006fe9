"""Receipts: what providers report later. Signed, replay-safe, and never able to move a message backwards."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from messaging.channels.base import Receipt, ReceiptError
from messaging.channels.recipients import list_key
from messaging.configuration import delivery_rules
from messaging.models import Message, Provider, ReceiptEntry, ReceiptOutcome, Status, SuppressionReason
from messaging.providers import breakers
from messaging.providers.cache import provider_cache
from messaging.storage.store import storable
from messaging.storage.unreadable import readable
from messaging.suppression import suppressions
from messaging.suppression.suppressions import Entry
from posthaste.lib import logs, redis
from posthaste.lib.problems import Invalid, Unauthenticated
from tracing.configuration import tracing
from tracing.services import record
from tracing.services.totals import Totals

#: standardwebhooks' reasons in ours.
REASONS = {
    "Missing required headers": gettext_noop("a header is missing"),
    "Invalid Signature Headers": gettext_noop("webhook-timestamp is not a time"),
    "Message timestamp too old": gettext_noop("webhook-timestamp is more than five minutes ago"),
    "Message timestamp too new": gettext_noop("webhook-timestamp is more than five minutes ahead"),
    "No matching signature found": gettext_noop("no signature matches"),
}
log = structlog.get_logger(__name__)
#: Beside the outcomes: a receipt that was not understood. It is told to the sender and not kept.
INVALID = "invalid"
MAX_PROBLEMS = 100  # the counts tell of more
#: States a receipt may change: what a provider says it delivered counts, also where our side was not sure.
OPEN = (Status.SENT, Status.UNKNOWN, Status.SENDING)


def verify(*, provider: Provider, body: bytes, headers: Mapping[str, str]) -> None:
    """Check signature and age (five minutes) of a callback, as Standard Webhooks defines them.

    Raises:
        Unauthenticated: missing, wrong or too old.
    """
    try:
        Webhook(provider.receipt_secret).verify(body, {name.lower(): value for name, value in headers.items()}, json_parse=False)
    except WebhookVerificationError as error:
        raise Unauthenticated(
            _("Signature refused: {reason}. Send webhook-id, webhook-timestamp and webhook-signature.").format(
                reason=_(REASONS.get(str(error), str(error)))
            )
        ) from None
    except Exception:  # noqa: BLE001 - whatever a stranger's headers break in the library is no valid signature
        raise Unauthenticated(_("Signature refused.")) from None


@dataclass(slots=True)
class Report:
    """What became of the receipts in a callback, for the engineers of the provider."""

    counts: "Counter[str]"
    problems: list[dict[str, Any]] = field(default_factory=list)  # the first that are invalid or match no message

    def as_dict(self) -> dict[str, Any]:
        """Return the answer to the callback."""
        return {**{name: self.counts[name] for name in (*ReceiptOutcome.values, INVALID)}, "problems": self.problems}


def apply_receipts(*, provider: Provider, body: bytes, headers: Mapping[str, str], now: datetime) -> Report:
    """Apply the receipts in a verified callback and report what became of each: a wrong one holds back no other.

    Raises:
        Invalid: nothing in the body is understood; nothing was applied.
    """
    # Also a disabled one: its receipts still come.
    loaded_provider = next((c for c in provider_cache.all_of(provider.tenant_id, provider.channel) if c.provider_id == provider.pk), None)
    if loaded_provider is None:
        raise Invalid(_("The provider's configuration is invalid. Correct it first."))
    try:
        parsed = loaded_provider.adapter.parse_receipt(body, headers)
    except ReceiptError as error:
        raise Invalid.field("", str(error)) from None
    receipts = [receipt for receipt in parsed if isinstance(receipt, Receipt)]
    errors = [error for error in parsed if isinstance(error, ReceiptError)]
    outcomes = _apply(provider, receipts, now)
    report = Report(Counter({str(outcome): number for outcome, number in Counter(outcomes).items()}))
    report.counts[INVALID] = len(errors)
    problems = [(error.index, INVALID, str(error)) for error in errors] + [
        (receipt.index, str(outcome), _("This provider carried no such message."))
        for receipt, outcome in zip(receipts, outcomes, strict=True)
        if outcome == ReceiptOutcome.UNMATCHED
    ]
    report.problems = [{"index": index, "outcome": outcome, "message": said} for index, outcome, said in sorted(problems)[:MAX_PROBLEMS]]
    if errors:
        named = logs.traces(receipt.message_id for receipt in receipts if receipt.message_id)
        log.warning("receipts not understood", provider=str(provider.pk), number=len(errors), first=str(errors[0])[:200], **named)
    return report


def apply_all(*, provider: Provider, receipts: Sequence[Receipt], now: datetime) -> Counter[str]:
    """Apply receipts, however many, and count what became of each."""
    return Counter(str(outcome) for outcome in _apply(provider, receipts, now))


def _apply(provider: Provider, receipts: Sequence[Receipt], now: datetime) -> list[ReceiptOutcome]:
    """Apply receipts with two reads and a write or two, and return what became of each.

    The rows are locked in the order of their ids while it is decided, so a receipt that comes twice at once is applied once.
    """
    with transaction.atomic():
        rows = _find(provider, receipts)
        entries: list[ReceiptEntry] = []
        delivered: list[UUID] = []
        failed: dict[tuple[str, str], list[UUID]] = {}
        for receipt, row in zip(receipts, rows, strict=True):
            entry = ReceiptEntry(
                provider=provider,
                message=row,
                provider_message_id=storable(receipt.provider_message_id)[:200],
                reported=receipt.status,
                code=storable(receipt.code)[:60],
                detail=storable(receipt.detail)[:500],
                outcome=_judge(receipt, row),
            )
            entries.append(entry)
            if row is None or entry.outcome != ReceiptOutcome.APPLIED:
                continue
            row.status = receipt.status  # a second receipt in the same callback meets the new state
            if receipt.status == "delivered":
                delivered.append(row.pk)
            else:
                failed.setdefault((entry.code or "not_delivered", entry.detail), []).append(row.pk)
        common = {"finished_at": now, "lease_until": None, "claim": None, "provider_id": provider.pk}
        if delivered:  # perhaps before we had written that it was taken, hence the coalesce
            Message.objects.filter(pk__in=delivered).update(
                status=Status.DELIVERED, sent_at=Coalesce("sent_at", Value(now)), error_code="", error_detail="", **common
            )
        for (code, detail), ids in failed.items():
            Message.objects.filter(pk__in=ids).update(status=Status.FAILED, error_code=code, error_detail=detail, **common)
        ReceiptEntry.objects.bulk_create(entries)
        _list_bounced(provider, receipts, rows, entries, now)
    _report(provider, entries, now)
    counts = Counter(str(entry.outcome) for entry in entries)
    matched = logs.traces(entry.message_id for entry in entries if entry.message_id)
    log.info("receipts", provider=str(provider.pk), **counts, **matched)
    return [ReceiptOutcome(entry.outcome) for entry in entries]


def _list_bounced(
    provider: Provider, receipts: Sequence[Receipt], rows: Sequence[Message | None], entries: Sequence[ReceiptEntry], now: datetime
) -> None:
    """Recipients who do not exist go on the suppression list: with the receipt, or not at all."""
    codes = delivery_rules.of(provider.tenant_id).bounce_codes
    gone = [
        Entry(list_key(row.recipient), row.channel, "", row.pk)
        for receipt, row, entry in zip(receipts, rows, entries, strict=True)
        if row is not None
        and not row.is_sandbox
        and receipt.status == "failed"
        and entry.outcome == ReceiptOutcome.APPLIED
        and (receipt.hard_bounce or receipt.code in codes)
    ]
    if gone:
        reason = SuppressionReason.HARD_BOUNCE
        suppressions.suppress(gone, tenant_id=provider.tenant_id, reason=reason, author=f"provider:{provider.name}", now=now)


def _find(provider: Provider, receipts: Sequence[Receipt]) -> list[Message | None]:
    """Lock and return the message of each receipt, None where this provider has not handled such a message."""
    names = {storable(r.provider_message_id) for r in receipts if not r.message_id} - {""}
    ours = Message.objects.filter(tenant_id=provider.tenant_id)
    ids = {r.message_id for r in receipts if r.message_id}
    if names:
        ids |= set(ours.filter(provider=provider, provider_message_id__in=names).values_list("pk", flat=True))
    rows = {row.pk: row for row in readable(ours.filter(pk__in=ids).order_by("pk").select_for_update())}
    by_name = {row.provider_message_id: row for row in rows.values() if row.provider_message_id}
    found = []
    for receipt in receipts:
        row = rows.get(receipt.message_id) if receipt.message_id else by_name.get(storable(receipt.provider_message_id))
        # The row of a message that is still being sent does not name its provider yet.
        ours_now = row is not None and (row.status == Status.SENDING or row.provider_id in (provider.pk, None))
        found.append(row if ours_now else None)
    return found


def _judge(receipt: Receipt, row: Message | None) -> ReceiptOutcome:
    if row is None:
        return ReceiptOutcome.UNMATCHED
    if row.status in OPEN:
        return ReceiptOutcome.APPLIED
    return ReceiptOutcome.DUPLICATE if row.status == receipt.status else ReceiptOutcome.LATE


def _report(provider: Provider, entries: Sequence[ReceiptEntry], now: datetime) -> None:
    """Traces, live figures and the provider's breaker, in one pipeline."""
    applied = [entry for entry in entries if entry.outcome == ReceiptOutcome.APPLIED]
    lines: dict[UUID, list[str]] = defaultdict(list)
    for entry in entries:
        if entry.message_id:
            unchanged = () if entry.outcome == ReceiptOutcome.APPLIED else (entry.outcome,)
            lines[entry.message_id].append(record.line("K", entry.message_id, now, entry.reported, *unchanged))
    if not lines:
        return
    pipeline = redis.client().pipeline(transaction=False)
    urgent = tracing.value.always_from_priority
    record.append(pipeline, lines, always={e.message.pk for e in entries if e.message and e.message.priority >= urgent})
    if not applied:
        _send(pipeline)
        return
    counts = Counter((provider.tenant_id, provider.channel, entry.reported) for entry in applied)
    record.count(pipeline, now, counts)
    totals = Totals()
    totals.add(counts)
    totals.publish(pipeline, now)
    code = next((entry.code for entry in reversed(applied) if entry.reported == "failed"), "")
    # Where our own `sent` is not written yet, or never will be, the claim tells about when it was.
    taken = [((e.message.sent_at or e.message.claimed_at or now), e.reported == "failed") for e in applied if e.message]
    recording = breakers.note_receipts(pipeline, provider_id=provider.pk, taken=taken, code=code)
    if answers := _send(pipeline):
        recording.handle_answers(answers)


def _send(pipeline: Any) -> list[Any]:
    """Send a pipeline and return its answers; none if Redis is away."""
    try:
        answers: list[Any] = pipeline.execute()
    except redis.Unavailable:
        return []
    return answers


def provider_for_receipts(provider_id: UUID) -> Provider | None:
    """Return the provider that a callback is addressed to."""
    return Provider.objects.filter(pk=provider_id).select_related("tenant").first()
