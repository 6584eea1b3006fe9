"""Deliver: claim a chunk, render, check, hand over to providers, write what came of it.

No database connection is held while a provider is called. Results are written in one statement and one Redis pipeline,
at the end of the chunk or twice a second, whichever comes first.

What if the process dies: before a call, the message is sent by another; during a call, it becomes `unknown` unless the
provider knows repeated ids; after it, the journal or the row has the result. See `journal` and `recover`.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from messaging.channels.base import Accepted, OutcomeUnknown, ProviderError
from messaging.configuration import retry_policy
from messaging.models import Status
from messaging.services import retry, store
from messaging.services.journal import ClaimLost, Journal
from messaging.services.latency import latencies
from messaging.services.outgoing import Job, request_for
from messaging.services.providers import Carrier, book, choose
from messaging.services.store import Claimed, Outcome
from posthaste.lib import flow, liquid, redis
from posthaste.lib.elastic import stopping
from posthaste.lib.ids import new_id
from tracing.configuration import tracing
from tracing.services import record

log = structlog.get_logger(__name__)
FLUSH_SECONDS = 0.5
FAULT_PAUSE = timedelta(seconds=10)
SAME_TIME = timedelta(seconds=5)  # clocks that differ by less are taken to agree: a claim may have to wait for its connection
LONGEST_TASK_SECONDS = 1.0  # what a chunk has left then is put back, so that the thread is free for what is more urgent
NO_SLOT_PAUSE = timedelta(seconds=0.5)  # all connections to the provider are in use
LONGEST_PACE_MS = 1_000  # a longer wait for a provider's cap gives the thread free and the message back


def deliver(ids: Sequence[UUID]) -> int:
    """This function will send those of the messages that are still queued and give the number of rows it claimed."""
    return Delivery().run(ids)


class Delivery:
    """The delivery of one chunk."""

    def __init__(self) -> None:
        self.claim_id = new_id()
        self.lease = timedelta(seconds=retry_policy.value.lease_seconds)
        self.done: list[Outcome] = []
        self.noted = 0  # of those, the first so many stand in the journal
        self.lines: dict[UUID, list[str]] = defaultdict(list)
        self.events: Counter[tuple[int, str]] = Counter()
        self.open: dict[UUID, Claimed] = {}  # claimed, and nothing known yet of what became of them
        self.calling: set[UUID] = set()  # of those, the ones a provider may be taking at this moment
        self.flushed_at = time.monotonic()
        self.unjournaled = False
        self.ahead = timedelta()  # the database's clock, of ours
        self.gives_way_at = time.monotonic() + LONGEST_TASK_SECONDS
        self.called: set[UUID] = set()  # providers

    def run(self, ids: Sequence[UUID]) -> int:
        """This function will deliver the chunk."""
        now = timezone.now()
        self.journal = Journal(self.claim_id)
        rows = store.claim(ids, claim_id=self.claim_id, now=now, lease=self.lease)
        if rows and abs(rows[0].claimed_at - now) > SAME_TIME:
            self.ahead = rows[0].claimed_at - now
        self.renew_at = time.monotonic() + self.lease.total_seconds() / 3
        self.open = {row.id: row for row in rows}
        self.always_traced = {row.id for row in rows if row.priority >= tracing.value.always_from_priority}
        try:
            jobs = [job for row in rows if (job := self._prepare(row, now))]
            connection.close()  # given back to the pool: nothing below holds one while it waits for a provider
            while jobs:
                jobs = self._round(jobs)
        except Exception:
            # A fault of ours before the provider was called: what is left is put off, not left to the lease.
            log.exception("delivery failed", claim=str(self.claim_id), left=len(self.open))
            for row in list(self.open.values()):
                if row.id in self.calling:
                    self._end(row, Status.UNKNOWN, "internal", "A fault of ours while the provider was called: it may have been sent.")
                else:
                    self._put_back(row, self._now() + FAULT_PAUSE)
        self._flush(last=True)
        return len(rows)

    def _now(self) -> datetime:
        """The time by the database's clock: what is put back here is due there, where others look for it."""
        return timezone.now() + self.ahead

    # --- one message -----------------------------------------------------------------------------------------

    def _prepare(self, row: Claimed, now: datetime) -> Job | None:
        self._line(row.id, "C", now, row.attempts)
        if row.expires_at and row.expires_at <= now:
            self._end(row, Status.EXPIRED, "expired", "Its time had run out before it could be sent.")
            return None
        try:
            return Job(row, request_for(row))
        except liquid.TemplateProblem as problem:
            self._end(row, Status.FAILED, "template", str(problem))
            return None

    def _round(self, jobs: list[Job]) -> list[Job]:
        """Gives each message to one provider; those whose provider could not be reached come back for the next one."""
        again: list[Job] = []
        by_carrier: dict[int, tuple[Carrier, list[Job]]] = {}
        for job in jobs:
            carriers = book.for_message(tenant_id=job.row.tenant_id, channel=job.row.channel, is_sandbox=job.row.is_sandbox)
            carrier = choose(carriers, without=job.tried)
            if carrier is None:
                self._not_taken(job, job.error or ProviderError("no_provider", "No provider is enabled for this channel."), None, 0)
            else:
                by_carrier.setdefault(id(carrier), (carrier, []))[1].append(job)
        connection.close()
        for carrier, group in by_carrier.values():
            # Held for all calls of the chunk: threads that wait for a connection one call long would mostly change turns.
            if carrier.slots is not None and not carrier.slots.acquire(timeout=max(0.0, self.gives_way_at - time.monotonic())):
                for job in group:
                    self._put_back(job.row, self._now() + NO_SLOT_PAUSE)
                continue
            try:
                size = max(1, carrier.adapter.bulk_size)
                for start in range(0, len(group), size):
                    again += self._call(carrier, group[start : start + size])
            finally:
                if carrier.slots is not None:
                    carrier.slots.release()
        return again

    def _call(self, carrier: Carrier, jobs: list[Job]) -> list[Job]:
        """One call to a provider."""
        if stopping.is_set() or time.monotonic() > self.gives_way_at:
            for job in jobs:
                self._put_back(job.row, self._now())
            return []
        jobs = [job for job in jobs if not self._expired(job.row)]
        if not jobs or not self._may_go(carrier, jobs) or not self._keep_lease():
            return []
        if not carrier.adapter.idempotent and not self._begin(jobs):
            return []
        self.calling = {job.row.id for job in jobs}
        began = time.monotonic()
        results: Sequence[Accepted | ProviderError]
        try:
            results = carrier.adapter.send_many([job.request for job in jobs])
        except Exception as error:
            log.exception("adapter failed", provider=carrier.name)
            results = [OutcomeUnknown("adapter_error", type(error).__name__)] * len(jobs)
        took = time.monotonic() - began
        took_ms = int(took * 1000)
        if carrier.provider_id:
            latencies.observe(carrier.provider_id, took * 1000)
            self.called.add(carrier.provider_id)
        again = []
        for job, result in zip(jobs, results, strict=True):
            if isinstance(result, Accepted):
                self._taken(job.row, result, carrier, took_ms)
            elif result.unreachable and not isinstance(result, OutcomeUnknown):
                carrier.rest()
                job.tried.add(carrier.provider_id)
                job.error = result
                self._line(job.row.id, "E", self._now(), took_ms, record.word(carrier.name), record.word(result.code))
                again.append(job)
            else:
                self._not_taken(job, result, carrier, took_ms)
        self.calling = set()
        if self.journal.broken or time.monotonic() - self.flushed_at > FLUSH_SECONDS:
            self._flush()
        return again

    def _begin(self, jobs: list[Job]) -> bool:
        """Notes in the journal what is about to be handed over; False if it belongs to others by now."""
        try:
            self.journal.begin([job.row.id for job in jobs], self.done[self.noted :])
            self.noted = len(self.done)
        except ClaimLost:
            log.warning("claim lost", claim=str(self.claim_id))
            return False
        if not self.journal.broken or self.unjournaled:
            return True
        # A journal with a gap would call untouched what was begun: the rest goes on under a claim that has none.
        # Should this worker die, all of it is in doubt, which is the truth.
        self._flush()
        renamed = new_id()
        held = store.reclaim(claim_id=self.claim_id, new_claim_id=renamed)
        connection.close()
        self.claim_id, self.unjournaled = renamed, True
        return held > 0

    def _may_go(self, carrier: Carrier, jobs: list[Job]) -> bool:
        """Waits for the provider's cap, or puts the messages off when the wait would be long."""
        if not carrier.max_per_second:
            return True
        try:
            wait_ms = flow.reserve(
                f"provider:{carrier.provider_id}", count=len(jobs), per_second=carrier.max_per_second, longest_wait_ms=LONGEST_PACE_MS
            )
        except redis.Unavailable:
            wait_ms = 1000 * len(jobs) // carrier.max_per_second  # this thread alone keeps to it
        if wait_ms < 0:
            now = self._now()
            due = now + timedelta(milliseconds=-wait_ms - 1)
            for job in jobs:
                self._line(job.row.id, "X", now, Status.PENDING, f"cap:{record.word(carrier.name)}")
                self._put_back(job.row, due)
            return False
        if wait_ms:
            time.sleep(wait_ms / 1000)
        return True

    def _keep_lease(self) -> bool:
        """Prolongs the lease in time; False if the messages were taken away meanwhile."""
        if time.monotonic() < self.renew_at:
            return True
        self._flush()
        held = store.renew(claim_id=self.claim_id, lease=self.lease)
        connection.close()
        self.renew_at = time.monotonic() + self.lease.total_seconds() / 3
        if not held:
            log.warning("lease lost", claim=str(self.claim_id))
        return held > 0

    # --- what came of it -------------------------------------------------------------------------------------

    def _taken(self, row: Claimed, result: Accepted, carrier: Carrier, took_ms: int) -> None:
        now = self._now()
        start = max(row.due_at, row.created_at)
        self._line(row.id, "S", now, took_ms, record.word(carrier.name))
        self._done(
            Outcome(
                id=row.id,
                status=Status.SENT.value,
                attempts=row.attempts,
                sent_at=now,
                finished_at=now,
                latency_ms=max(0, int((now - start).total_seconds() * 1000)),
                provider_id=carrier.provider_id,
                provider_message_id=result.provider_message_id[:200],
            )
        )
        self.events[row.tenant_id, "sent"] += 1

    def _not_taken(self, job: Job, error: ProviderError, carrier: Carrier | None, took_ms: int) -> None:
        row, now = job.row, self._now()
        provider_id = carrier.provider_id if carrier else None
        if carrier:
            self._line(row.id, "E", now, took_ms, record.word(carrier.name), record.word(error.code))
        if isinstance(error, OutcomeUnknown):
            self._end(row, Status.UNKNOWN, error.code, error.detail, provider_id)
            return
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
        self.events[row.tenant_id, "retried"] += 1

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
        self.events[row.tenant_id, status.value] += 1

    def _expired(self, row: Claimed) -> bool:
        if row.expires_at and row.expires_at <= self._now():
            self._end(row, Status.EXPIRED, "expired", "Its time had run out before it could be sent.")
            return True
        return False

    def _put_back(self, row: Claimed, due: datetime) -> None:
        """Not an attempt: the message never reached a provider."""
        self._done(Outcome(id=row.id, status=Status.PENDING.value, attempts=row.attempts - 1, due_at=due))

    def _done(self, outcome: Outcome) -> None:
        self.done.append(outcome)
        self.open.pop(outcome.id, None)

    def _line(self, message_id: UUID, code: str, at: datetime, *words: object) -> None:
        self.lines[message_id].append(record.line(code, message_id, at, *words))

    def _write(self) -> set[UUID]:
        """Writes the outcomes, and goes on trying while the database is away: they are known to nobody else."""
        give_up = time.monotonic() + self.lease.total_seconds()
        tries = 0
        while True:
            try:
                return store.write_outcomes(self.done, claim_id=self.claim_id)
            except (OperationalError, InterfaceError) as error:
                connection.close()
                if tries == 0:
                    with suppress(ClaimLost):
                        self.journal.begin([], self.done[self.noted :])  # whoever recovers this claim will find them there
                    log.warning("outcomes not written yet", error=type(error).__name__, rows=len(self.done))
                tries += 1
                if time.monotonic() > give_up or stopping.is_set():
                    raise
                time.sleep(min(0.05 * 2**tries, 1.0))

    def _flush(self, *, last: bool = False) -> None:
        """Writes what is done: one statement, one pipeline."""
        written = self._write()
        connection.close()
        if len(written) < len(self.done):
            log.warning("results came too late", lost=len(self.done) - len(written))
        pipeline: Any = redis.client().pipeline(transaction=False)
        now = self._now()
        record.append(pipeline, self.lines, always=self.always_traced)
        for (tenant_id, event), number in self.events.items():
            record.count(pipeline, now, tenant_id, event, number)
        latencies.tell(pipeline, self.called)
        self.called.clear()
        if last:
            self.journal.close(pipeline)
        self.done, self.noted, self.events = [], 0, Counter()
        self.lines.clear()
        self.flushed_at = time.monotonic()
        try:
            pipeline.execute()
        except redis.Unavailable:
            pass
