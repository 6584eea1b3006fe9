"""What came of the messages of one claim: gathered, and written in one statement and one Redis pipeline.

Results are written at the end of a chunk or twice a second, whichever comes first, and only where the claim still holds the row.
"""

import time
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from django.utils.translation import gettext_noop

from messaging.channels.base import Accepted, OutcomeUnknown, ProviderError
from messaging.configuration import provider_routing
from messaging.delivery import retry
from messaging.delivery.journal import ClaimLost, Journal
from messaging.delivery.provider_selection import ProviderSelection
from messaging.delivery.render import RenderedMessage
from messaging.models import Status
from messaging.providers import breakers as breaker_rules
from messaging.providers import condition
from messaging.providers.cache import LoadedProvider
from messaging.providers.latency import latencies
from messaging.queueing import breaker_backlog
from messaging.queueing.breaker_backlog import BreakerWait
from messaging.storage import store
from messaging.storage.store import Claimed, Outcome
from posthaste.lib import logs, redis
from posthaste.lib.breaker import Tally, breakers
from posthaste.lib.elastic import stopping
from tracing.services import record
from tracing.services.totals import Totals

log = structlog.get_logger(__name__)
WAITS_FOR_BREAKER = gettext_noop("It waits until a circuit breaker lets messages through.")


class OutcomeBuffer:
    """The results of one claim that are not written yet, and how each kind of result is noted."""

    def __init__(self, *, claim_id: UUID, lease: timedelta) -> None:
        self.claim_id = claim_id
        self.lease = lease
        self.channel = ""  # of all its messages
        self.journal = Journal(claim_id)
        self.done: list[Outcome] = []
        self.noted = 0  # of those, the first so many stand in the journal
        self.lines: dict[UUID, list[str]] = defaultdict(list)
        #: What the trace says of each claim, until there is more to tell: a message that is given back without a call has only that.
        self.claims: dict[UUID, str] = {}
        self.events: Counter[record.Counted] = Counter()
        self.open: dict[UUID, Claimed] = {}  # claimed, and nothing known yet of what became of them
        self.always_traced: set[UUID] = set()  # whatever the sampling says
        self.called: set[UUID] = set()  # providers
        self.refused: set[UUID] = set()  # providers that refused our credentials
        self.tallies: dict[tuple[str, int], Tally] = defaultdict(Tally)  # what calls gave, by breaker and epoch of its trial
        self.waits: set[BreakerWait] = set()  # for whose breakers messages were put off
        self.selection = ProviderSelection()  # of the present round
        self.flushed_at = time.monotonic()
        self.ahead = timedelta()  # the database's clock, of ours

    def _now(self) -> datetime:
        """Return the time by the database's clock, because rows put back become due by that clock."""
        return timezone.now() + self.ahead

    def _taken(self, message: RenderedMessage, result: Accepted, provider: LoadedProvider, took_ms: int) -> None:
        row, now = message.row, self._now()
        start = max(row.due_at, row.created_at)
        latency_ms = max(0, int((now - start).total_seconds() * 1000))
        self._line(row.id, "S", now, took_ms, record.word(provider.name), message.choice)
        self._done(
            Outcome(
                id=row.id,
                status=Status.SENT.value,
                attempts=row.attempts,
                sent_at=now,
                finished_at=now,
                latency_ms=latency_ms,
                provider_id=provider.provider_id,
                provider_message_id=result.provider_message_id[:200],
            )
        )
        self.events[row.tenant_id, row.channel, record.sent_within(latency_ms)] += 1

    def _not_taken(self, message: RenderedMessage, error: ProviderError, provider: LoadedProvider | None, took_ms: int) -> None:
        row, now = message.row, self._now()
        provider_id = provider.provider_id if provider else None
        if provider:
            self._line(row.id, "E", now, took_ms, record.word(provider.name), record.word(error.code), message.choice)
        if isinstance(error, OutcomeUnknown):
            self._end(row, Status.UNKNOWN, error.code, error.detail, provider_id)
            return
        self._retry_or_fail(row, error, provider_id)

    def _retry_or_fail(self, row: Claimed, error: ProviderError, provider_id: UUID | None = None) -> None:
        """Note a failed attempt: it is tried again after a pause, or was the last one."""
        now = self._now()
        delay = None if error.permanent else retry.delay(tenant_id=row.tenant_id, attempts=row.attempts, retry_after=error.retry_after)
        if delay is None:
            self._end(row, Status.FAILED, error.code, error.detail, provider_id)
            return
        self._line(row.id, "R", now, int(delay.total_seconds() * 1000))
        self._done(
            Outcome(
                id=row.id,
                status=Status.PENDING.value,
                attempts=row.attempts,
                due_at=now + delay,
                provider_id=provider_id,
                error_code=error.code[:60],
                error_detail=error.detail[:500],
            )
        )
        self.events[row.tenant_id, row.channel, "retried"] += 1

    def _end(self, row: Claimed, status: Status, code: str, detail: str, provider_id: UUID | None = None) -> None:
        now = self._now()
        self._line(row.id, "X", now, status, record.word(code))
        self._done(
            Outcome(
                id=row.id,
                status=status.value,
                attempts=row.attempts,
                finished_at=now,
                provider_id=provider_id,
                error_code=code[:60],
                error_detail=detail[:500],
            )
        )
        self.events[row.tenant_id, row.channel, status.value] += 1

    def _give_back(self, row: Claimed, due: datetime, why: str) -> None:
        """Note that a message goes back without a call and without a rule against it, because its task could not see to it."""
        self.claims.pop(row.id, None)
        self._line(row.id, "B", self._now(), why)
        self._put_back(row, due)

    def _put_back(self, row: Claimed, due: datetime, code: str = "", detail: str = "") -> None:
        """Not an attempt: the message never reached a provider."""
        status = Status.PENDING.value
        self._done(Outcome(id=row.id, status=status, attempts=row.attempts - 1, due_at=due, error_code=code, error_detail=detail))

    def _wait_for_breaker(self, row: Claimed, whose: str, seconds: float, *, host: str = "") -> None:
        """Postpone a message until a breaker may let calls through; `breaker_backlog` may bring it forward."""
        now = self._now()
        due = now + timedelta(seconds=seconds)
        reason = f"breaker:{record.word(whose.replace('@', '_'))}@{breaker_rules.release()}"
        self._deferred(row, now, reason, int(seconds * 1000))
        due = min(due, row.expires_at or due)  # one whose time runs out before ends on time
        self._put_back(row, due, breaker_backlog.error_code_for(whose), WAITS_FOR_BREAKER)
        self.waits.add(BreakerWait(row.tenant_id, row.channel, row.is_sandbox, host))
        self.events[row.tenant_id, row.channel, "deferred"] += 1

    def _moved(self, row: Claimed, before: str, provider: LoadedProvider, reason: str) -> None:
        """Another provider takes it than the one whose turn it was."""
        release = breaker_rules.release() if reason == "breaker" else provider_routing.now.release
        self._line(row.id, "M", self._now(), record.word(before), record.word(provider.name), f"{reason}@{release}")

    def _done(self, outcome: Outcome) -> None:
        self.done.append(outcome)
        self.open.pop(outcome.id, None)

    def _deferred(self, row: Claimed, now: datetime, reason: str, delay_ms: int) -> None:
        """Tell the trace what puts a message off. That it was claimed for that is left out, so that such lines can be folded."""
        self.claims.pop(row.id, None)
        self._line(row.id, "X", now, Status.PENDING, reason, delay_ms)

    def _line(self, message_id: UUID, code: str, at: datetime, *words: object) -> None:
        told = self.lines[message_id]
        if claim := self.claims.pop(message_id, None):
            told.append(claim)
        told.append(record.line(code, message_id, at, *words))

    def _write(self) -> set[UUID]:
        """Write the outcomes and return the ids still held; retry while the database is away, as no other process knows them."""
        give_up = time.monotonic() + self.lease.total_seconds()
        tries = 0
        while True:
            try:
                return store.write_outcomes(self.done, claim_id=self.claim_id)
            except (OperationalError, InterfaceError) as error:
                connection.close()
                if tries == 0:
                    with suppress(ClaimLost):
                        self.journal.begin([], self.done[self.noted :])  # recovery of this claim will find them there
                    ids = [outcome.id for outcome in self.done]
                    log.warning("outcomes not written yet", error=type(error).__name__, rows=len(ids), **logs.traces(ids))
                tries += 1
                if time.monotonic() > give_up or stopping.is_set():
                    raise
                time.sleep(min(0.05 * 2**tries, 1.0))

    def _flush(self, *, last: bool = False) -> None:
        """Write the finished outcomes with one statement and one pipeline."""
        written = self._write()
        connection.close()
        if len(written) < len(self.done):
            lost = [outcome.id for outcome in self.done if outcome.id not in written]
            log.warning("results came too late", lost=len(lost), **logs.traces(lost))
        pipeline: Any = redis.client().pipeline(transaction=False)
        now = self._now()
        record.append(pipeline, self.lines, always=self.always_traced)
        record.count(pipeline, now, self.events)
        totals = Totals()
        totals.add(self.events)
        totals.took(self.channel, (done.latency_ms for done in self.done if done.latency_ms is not None and done.id in written))
        totals.publish(pipeline, now)
        latencies.publish(pipeline, self.called)
        self.called.clear()
        condition.note_refused(pipeline, self.refused)
        self.refused.clear()
        recording = breakers.recording(pipeline)
        for (name, epoch), tally in self.tallies.items():
            if epoch or breaker_rules.counts_calls(name):
                recording.add(name, tally, breaker_rules.rule(name), release=breaker_rules.release(), epoch=epoch)
        self.tallies.clear()
        if self.waits:
            breaker_backlog.note(pipeline, self.waits)
            self.waits.clear()
        if last:
            self.journal.close(pipeline)
        self.done, self.noted, self.events = [], 0, Counter()
        self.lines.clear()
        self.flushed_at = time.monotonic()
        try:
            recording.handle_answers(pipeline.execute())
        except redis.Unavailable:
            pass
