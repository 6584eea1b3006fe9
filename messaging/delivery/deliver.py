"""Deliver: claim a chunk, render, check, hand over to providers, write what came of it.

No database connection is held while a provider is called. Results are written in one statement and one Redis pipeline,
at the end of the chunk or twice a second, whichever comes first.

What if the process dies: before a call, the message is sent by another; during a call, it becomes `unknown` unless the
provider knows repeated ids; after it, the journal or the row has the result. See `journal` and `recover`.
"""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import connection
from django.utils import timezone

from messaging.channels.base import Accepted, OutcomeUnknown, ProviderError
from messaging.configuration import provider_routing, retry_policy
from messaging.delivery.journal import ClaimLost
from messaging.delivery.provider_selection import Chooser
from messaging.delivery.render import Job, job_for
from messaging.delivery.rule_enforcement import Ruled
from messaging.models import Status
from messaging.providers import breakers as breaker_rules
from messaging.providers.latency import latencies
from messaging.providers.loaded import Carrier, book
from messaging.storage import store
from messaging.storage.store import Claimed
from messaging.suppression import suppressions
from posthaste.lib import flow, liquid
from posthaste.lib.breaker import breakers
from posthaste.lib.elastic import stopping
from posthaste.lib.flow.concurrency_leases import concurrency_leases
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
    """Send those of the messages that are still queued and return the number of rows it claimed."""
    return Delivery().run(ids)


class Delivery(Ruled):
    """The delivery of one chunk."""

    def __init__(self) -> None:
        super().__init__(claim_id=new_id(), lease=timedelta(seconds=retry_policy.value.lease_seconds))
        self.calling: set[UUID] = set()  # of what is open, what a provider may be taking at this moment
        self.unjournaled = False
        self.gives_way_at = time.monotonic() + LONGEST_TASK_SECONDS

    def run(self, ids: Sequence[UUID]) -> int:
        """Deliver the chunk."""
        now = timezone.now()
        rows = store.claim(ids, claim_id=self.claim_id, now=now, lease=self.lease)
        if rows and abs(rows[0].claimed_at - now) > SAME_TIME:
            self.ahead = rows[0].claimed_at - now
        self.renew_at = time.monotonic() + self.lease.total_seconds() / 3
        self.open = {row.id: row for row in rows}
        self.always_traced = {row.id for row in rows if row.priority >= tracing.value.always_from_priority}
        try:
            listed = suppressions.listed(rows, now=now)
            jobs = [job for row in rows if (job := self._prepare(row, now))]
            connection.close()  # given back to the pool: nothing below holds one while it waits for a provider
            jobs = self._allowed(jobs, listed)
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

    # --- one message -----------------------------------------------------------------------------------------

    def _prepare(self, row: Claimed, now: datetime) -> Job | None:
        self._line(row.id, "C", now, row.attempts)
        if row.expires_at and row.expires_at <= now:
            self._end(row, Status.EXPIRED, "expired", "Its time had run out before it could be sent.")
            return None
        try:
            return job_for(row)
        except liquid.TemplateProblem as problem:
            self._end(row, Status.FAILED, "template", str(problem))
            return None

    def _round(self, jobs: list[Job]) -> list[Job]:
        """Gives each message to one provider; those whose provider could not be reached come back for the next one."""
        again: list[Job] = []
        by_carrier: dict[int, tuple[Carrier, list[Job]]] = {}
        self.chooser = Chooser()
        for job in jobs:
            if carrier := self._carrier_for(job):
                by_carrier.setdefault(id(carrier), (carrier, []))[1].append(job)
        connection.close()
        for carrier, group in by_carrier.values():
            # Held for all calls of the chunk: threads that wait for a connection one call long would mostly change turns.
            if carrier.slots is not None and not carrier.slots.acquire(timeout=max(0.0, self.gives_way_at - time.monotonic())):
                for job in group:
                    self._put_back(job.row, self._now() + NO_SLOT_PAUSE)
                continue
            try:
                again += self._calls(carrier, group)
            finally:
                if carrier.slots is not None:
                    carrier.slots.release()
        for trial in self.chooser.not_made():
            self.tallies[trial].unused += 1
        return again

    def _calls(self, carrier: Carrier, jobs: list[Job]) -> list[Job]:
        """The calls of a chunk to one provider, one after the other, in one of the provider's places where it has a cap at once."""
        place = None
        if carrier.max_at_once:
            longest = self.gives_way_at - time.monotonic()
            place = concurrency_leases.take(f"provider:{carrier.provider_id}", at_once=carrier.max_at_once, longest_wait_seconds=longest)
            if place is None:
                now = self._now()
                for job in jobs:
                    self._put_off_by_cap(job, carrier, now, now + NO_SLOT_PAUSE)
                return []
        try:
            again: list[Job] = []
            size = max(1, carrier.adapter.bulk_size)
            for start in range(0, len(jobs), size):
                again += self._call(carrier, jobs[start : start + size])
            return again
        finally:
            if place is not None:
                concurrency_leases.leave(place)

    def _put_off_by_cap(self, job: Job, carrier: Carrier, now: datetime, due: datetime) -> None:
        self._line(job.row.id, "X", now, Status.PENDING, f"cap:{record.word(carrier.name)}")
        self._put_back(job.row, due)

    def _carrier_for(self, job: Job) -> Carrier | None:
        """Who takes a message now; None: nobody, and what becomes of it is noted."""
        row = job.row
        carriers = book.for_message(tenant_id=row.tenant_id, channel=row.channel, is_sandbox=row.is_sandbox)
        choice = self.chooser.choose(carriers, tenant_id=row.tenant_id, channel=row.channel, without=job.tried)
        carrier = choice.carrier
        if carrier is None:
            if choice.wait_seconds is None or job.error or choice.instead_of is None:
                self._not_taken(job, job.error or ProviderError("no_provider", "No provider is enabled for this channel."), None, 0)
            else:
                self._wait_for_breaker(row, choice.instead_of.name, choice.wait_seconds)
            return None
        host = carrier.adapter.host_of(job.request)
        if host and (wait_seconds := self.chooser.host_waits(host)) is not None:
            self._wait_for_breaker(row, host, wait_seconds, host=host)
            return None
        if choice.instead_of:
            self._moved(row, choice.instead_of.name, carrier, "breaker")
        elif job.left:
            self._moved(row, job.left, carrier, "unreachable")
        return carrier

    @staticmethod
    def _breaker_of(carrier: Carrier, jobs: list[Job]) -> str | None:
        """Whose breaker a call counts for: the host's where the recipient names it, else the provider's."""
        host = carrier.adapter.host_of(jobs[0].request)
        return breaker_rules.of_host(host) if host else carrier.breaker

    def _call(self, carrier: Carrier, jobs: list[Job]) -> list[Job]:
        """One call to a provider."""
        if stopping.is_set() or time.monotonic() > self.gives_way_at:
            for job in jobs:
                self._put_back(job.row, self._now())
            return []
        breaker = self._breaker_of(carrier, jobs)
        if breaker and self.chooser.has_opened(breaker):
            return jobs  # while they waited for their turn in this chunk: chosen anew
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
        if breaker:
            breaker_rules.note_call(self.tallies[breaker, self.chooser.made(breaker)], breaker, results, took * 1000)
        again = []
        for job, result in zip(jobs, results, strict=True):
            if isinstance(result, Accepted):
                self._taken(job.row, result, carrier, took_ms)
            elif result.unreachable and not isinstance(result, OutcomeUnknown) and provider_routing.of(job.row.tenant_id).fail_over:
                if carrier.breaker:
                    breakers.rest(carrier.breaker, provider_routing.value.rest_seconds)
                job.tried.add(carrier.provider_id)
                job.error, job.left = result, carrier.name
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
        wait_ms = flow.wait_for_turn(
            f"provider:{carrier.provider_id}", count=len(jobs), per_second=carrier.max_per_second, longest_wait_ms=LONGEST_PACE_MS
        )
        if wait_ms < 0:
            now = self._now()
            due = now + timedelta(milliseconds=-wait_ms - 1)
            for job in jobs:
                self._put_off_by_cap(job, carrier, now, due)
            return False
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

    def _expired(self, row: Claimed) -> bool:
        if row.expires_at and row.expires_at <= self._now():
            self._end(row, Status.EXPIRED, "expired", "Its time had run out before it could be sent.")
            return True
        return False
