"""The part of a delivery that the rules decide: verdicts noted as results, claims given back, hard bounces put on the list."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError

from messaging.channels.base import ProviderError
from messaging.channels.recipients import list_key
from messaging.configuration import delivery_rules
from messaging.delivery.outcome_buffer import OutcomeBuffer
from messaging.delivery.render import RenderedMessage
from messaging.delivery.rules import check, counters
from messaging.delivery.rules.check import Verdict
from messaging.delivery.rules.counters import RuleQuery
from messaging.models import Status, SuppressionReason
from messaging.providers.cache import LoadedProvider
from messaging.storage.store import Claimed, Outcome
from messaging.suppression import suppressions
from messaging.suppression.suppressions import Entry
from posthaste.lib import logs

log = structlog.get_logger(__name__)
ENDED_WITHOUT_A_SEND = (Status.FAILED, Status.EXPIRED)


class RuleEnforcement(OutcomeBuffer):
    """Results of a claim to which the delivery rules apply."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]  # those of Results, as they are
        self.held: dict[UUID, RuleQuery] = {}  # what messages have claimed and counted in Redis
        self.bounced: dict[UUID, Claimed] = {}  # whose recipient does not exist

    def _allowed(self, messages: list[RenderedMessage], listed: Mapping[UUID, str]) -> list[RenderedMessage]:
        """Return the messages that may go out now; end or postpone the others, with at most one round trip to Redis."""
        now = self._now()
        applied = delivery_rules.now
        verdicts = check.check(messages, listed=listed, applied=applied, now=now)
        self.held.update(verdicts.held)
        allowed = []
        for message in messages:
            verdict = verdicts.against.get(message.row.id)
            if verdict is None:
                allowed.append(message)
            else:
                self._refuse(message.row, verdict, verdicts.release, now)
        return allowed

    def _refuse(self, row: Claimed, verdict: Verdict, release: int, now: datetime) -> None:
        """Not an attempt: no provider was asked."""
        until = verdict.until
        if until is None:
            status = Status.SUPPRESSED
        else:  # what would wait past its expiry ends now, so that the caller learns of it
            status = Status.EXPIRED if row.expires_at and row.expires_at <= until else Status.PENDING
        reason = f"{verdict.code}@{release}"
        if until is not None and status == Status.PENDING:
            self._deferred(row, now, reason, max(0, int((until - now).total_seconds() * 1000)))
        else:
            self._line(row.id, "X", now, status, reason)
        self._done(
            Outcome(
                id=row.id,
                status=status.value,
                attempts=row.attempts - 1,
                due_at=until if status == Status.PENDING else None,
                finished_at=None if status == Status.PENDING else now,
                error_code=verdict.code[:60],
                error_detail=verdict.detail[:500],
            )
        )
        self.events[row.tenant_id, row.channel, "deferred" if status == Status.PENDING else status.value] += 1

    def _not_taken(self, message: RenderedMessage, error: ProviderError, provider: LoadedProvider | None, took_ms: int) -> None:
        row = message.row
        codes = delivery_rules.of(row.tenant_id).bounce_codes
        if not row.is_sandbox and (error.hard_bounce or (error.permanent and error.code in codes)):
            self.bounced[row.id] = row
        super()._not_taken(message, error, provider, took_ms)

    def _write(self) -> set[UUID]:
        written = super()._write()
        self._list_bounced([row for row in (self.bounced.pop(id, None) for id in written) if row is not None])
        return written

    def _list_bounced(self, gone: Sequence[Claimed]) -> None:
        """Suppress recipients that bounced, after the results are written.

        If the process dies in between, the recipient is not listed and bounces once more.
        """
        for tenant_id in sorted({row.tenant_id for row in gone}):
            entries = [Entry(list_key(row.recipient), row.channel, "", row.id) for row in gone if row.tenant_id == tenant_id]
            reason = SuppressionReason.HARD_BOUNCE
            try:
                suppressions.suppress(entries, tenant_id=tenant_id, reason=reason, author="provider", now=self._now())
            except (OperationalError, InterfaceError) as error:
                told = logs.traces(row.id for row in gone if row.tenant_id == tenant_id)
                log.warning("bounces not put on the list", error=type(error).__name__, entries=len(entries), **told)

    def _flush(self, *, last: bool = False) -> None:
        ended = [self.held.pop(o.id) for o in self.done if o.status in ENDED_WITHOUT_A_SEND and o.id in self.held]
        super()._flush(last=last)
        counters.release(ended)
