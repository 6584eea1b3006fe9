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
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from django.utils.translation import gettext_noop

from messaging.channels.base import Accepted, ProviderError, adapter_fault
from messaging.configuration import provider_routing, retry_policy
from messaging.delivery.journal import ClaimLost
from messaging.delivery.provider_selection import ProviderSelection
from messaging.delivery.render import RenderedMessage, render_message
from messaging.delivery.rule_enforcement import RuleEnforcement
from messaging.models import Status
from messaging.providers import breakers as breaker_rules
from messaging.providers import condition
from messaging.providers.cache import LoadedProvider, provider_cache
from messaging.providers.latency import latencies
from messaging.storage import store
from messaging.storage.store import Claimed
from messaging.suppression import suppressions
from posthaste.lib import flow, liquid, logs, redis
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
MAX_TASK_SECONDS = 1.0  # what a chunk has left then is put back, so that the thread is free for what is more urgent
NO_SLOT_PAUSE = timedelta(seconds=0.5)  # all connections to the provider are in use
MAX_CAP_WAIT_MS = 1_000  # a longer wait for a provider's cap gives the thread free and the message back


def deliver(ids: Sequence[UUID]) -> int:
    """Send those of the messages that are still queued and return the number of rows it claimed."""
    return Delivery().run(ids)


class Delivery(RuleEnforcement):
    """The delivery of one chunk."""

    def __init__(self) -> None:
        super().__init__(claim_id=new_id(), lease=timedelta(seconds=retry_policy.value.lease_seconds))
        self.calling: set[UUID] = set()  # of what is open, what a provider may be taking at this moment
        self.unjournaled = False
        self.gives_way_at = time.monotonic() + MAX_TASK_SECONDS

    def run(self, ids: Sequence[UUID]) -> int:
        """Deliver the chunk."""
        now = timezone.now()
        rows = store.claim(ids, claim_id=self.claim_id, now=now, lease=self.lease)
        if rows and abs(rows[0].claimed_at - now) > SAME_TIME:
            self.ahead = rows[0].claimed_at - now
        self.renew_at = time.monotonic() + self.lease.total_seconds() / 3
        self.open = {row.id: row for row in rows}
        self.channel = rows[0].channel if rows else ""
        self.always_traced = {row.id for row in rows if row.priority >= tracing.value.always_from_priority}
        for row in rows:
            queued = () if row.queued_at is None else (record.offset_ms(row.id, row.queued_at),)
            self.claims[row.id] = record.line("C", row.id, now, row.attempts, *queued)
        self._deliver(rows, now)
        self._flush(last=True)
        return len(rows)

    def _deliver(self, rows: Sequence[Claimed], now: datetime) -> None:
        """Deliver rows together; after a fault of ours deliver each alone, so that the one which causes it holds up no other."""
        with logs.about((row.id for row in rows), recipients=(row.recipient for row in rows)):
            self._deliver_together(rows, now)

    def _deliver_together(self, rows: Sequence[Claimed], now: datetime) -> None:
        try:
            listed = suppressions.listed(rows, now=now)
            messages = [message for row in rows if (message := self._prepare(row, now))]
            connection.close()  # given back to the pool: nothing below holds one while it waits for a provider
            messages = self._allowed(messages, listed)
            while messages:
                messages = self._round(messages)
        except Exception as error:
            log.exception("delivery failed", claim=str(self.claim_id), left=len(self.open))
            left = [row for row in rows if row.id in self.open]
            for row in left:
                if row.id in self.calling:
                    self._end(row, Status.UNKNOWN, "internal", "A fault of ours while the provider was called: it may have been sent.")
            self.calling = set()
            self._after_a_fault([row for row in left if row.id in self.open], error, now, alone=len(rows) == 1)

    def _after_a_fault(self, left: Sequence[Claimed], error: Exception, now: datetime, *, alone: bool) -> None:
        """Deal with messages that no provider was called for: the faults of a service pass, those of a message don't."""
        if stopping.is_set() or isinstance(error, OperationalError | InterfaceError | redis.Unavailable):
            for row in left:
                self._give_back(row, self._now() + FAULT_PAUSE, "stopping" if stopping.is_set() else "fault")
        elif alone:
            fault = ProviderError("internal", f"A fault of ours before a provider was called: {type(error).__name__}.")
            for row in left:
                self._retry_or_fail(row, fault)  # an attempt, so that it ends some day
        else:
            for row in left:
                self._deliver([row], now)

    # --- one message -----------------------------------------------------------------------------------------

    def _prepare(self, row: Claimed, now: datetime) -> RenderedMessage | None:
        if row.expires_at and row.expires_at <= now:
            self._end(row, Status.EXPIRED, "expired", "Its time had run out before it could be sent.")
            return None
        try:
            message = render_message(row)
        except liquid.TemplateProblem as problem:
            self._end(row, Status.FAILED, "template", str(problem))
            return None
        if row.template_version_id and row.id in self.claims:
            self.claims[row.id] += record.line("G", row.id, self._now())
        return message

    def _round(self, messages: list[RenderedMessage]) -> list[RenderedMessage]:
        """Give each message to one provider and return those whose provider could not be reached, for the next round."""
        again: list[RenderedMessage] = []
        by_provider: dict[int, tuple[LoadedProvider, list[RenderedMessage]]] = {}
        self.selection = ProviderSelection()
        for message in messages:
            if provider := self._provider_for(message):
                by_provider.setdefault(id(provider), (provider, []))[1].append(message)
        connection.close()
        for provider, group in by_provider.values():
            # Held for all calls of the chunk: threads that wait for a connection one call long would mostly change turns.
            if provider.slots is not None and not provider.slots.acquire(timeout=max(0.0, self.gives_way_at - time.monotonic())):
                for message in group:
                    self._give_back(message.row, self._now() + NO_SLOT_PAUSE, f"slots:{record.word(provider.name)}")
                continue
            try:
                again += self._calls(provider, group)
            finally:
                if provider.slots is not None:
                    provider.slots.release()
        for trial in self.selection.not_made():
            self.tallies[trial].unused += 1
        return again

    def _calls(self, provider: LoadedProvider, messages: list[RenderedMessage]) -> list[RenderedMessage]:
        """Call one provider for a chunk, one call after the other, holding a concurrency lease where the provider has a cap."""
        lease = None
        if provider.max_at_once:
            longest = self.gives_way_at - time.monotonic()
            lease = concurrency_leases.take(f"provider:{provider.provider_id}", at_once=provider.max_at_once, max_wait_seconds=longest)
            if lease is None:
                now = self._now()
                for message in messages:
                    self._put_off_by_cap(message, provider, now, now + NO_SLOT_PAUSE)
                return []
        try:
            again: list[RenderedMessage] = []
            size = max(1, provider.adapter.bulk_size)
            for start in range(0, len(messages), size):
                again += self._call(provider, messages[start : start + size])
            return again
        finally:
            if lease is not None:
                concurrency_leases.leave(lease)

    def _put_off_by_cap(self, message: RenderedMessage, provider: LoadedProvider, now: datetime, due: datetime) -> None:
        self._deferred(message.row, now, f"cap:{record.word(provider.name)}", max(0, int((due - now).total_seconds() * 1000)))
        self._put_back(message.row, due)

    def _provider_for(self, message: RenderedMessage) -> LoadedProvider | None:
        """Return the provider that takes a message now; None if there is none, with the outcome recorded."""
        row = message.row
        providers = provider_cache.for_message(tenant_id=row.tenant_id, channel=row.channel, is_sandbox=row.is_sandbox)
        choice = self.selection.select(providers, tenant_id=row.tenant_id, channel=row.channel, without=message.tried)
        provider = choice.provider
        if provider is None:
            if choice.wait_seconds is None or message.error or choice.instead_of is None:
                self._not_taken(
                    message,
                    message.error or ProviderError("no_provider", gettext_noop("No provider is enabled for this channel.")),
                    None,
                    0,
                )
            else:
                self._wait_for_breaker(row, choice.instead_of.name, choice.wait_seconds)
            return None
        message.choice = choice.reason
        host = provider.adapter.host_of(message.request)
        if host and (wait_seconds := self.selection.host_waits(host)) is not None:
            self._wait_for_breaker(row, host, wait_seconds, host=host)
            return None
        if choice.instead_of:
            self._moved(row, choice.instead_of.name, provider, "breaker")
        elif message.left:
            self._moved(row, message.left, provider, "unreachable")
        return provider

    @staticmethod
    def _breaker_of(provider: LoadedProvider, messages: list[RenderedMessage]) -> str | None:
        """Whose breaker a call counts for: the host's where the recipient names it, else the provider's."""
        host = provider.adapter.host_of(messages[0].request)
        return breaker_rules.of_host(host) if host else provider.breaker

    def _call(self, provider: LoadedProvider, messages: list[RenderedMessage]) -> list[RenderedMessage]:
        """One call to a provider."""
        if stopping.is_set() or time.monotonic() > self.gives_way_at:
            for message in messages:
                self._give_back(message.row, self._now(), "stopping" if stopping.is_set() else "turn")
            return []
        breaker = self._breaker_of(provider, messages)
        if breaker and self.selection.has_opened(breaker):
            return messages  # while they waited for their turn in this chunk: chosen anew
        messages = [message for message in messages if not self._expired(message.row)]
        if not messages or not self._may_go(provider, messages) or not self._keep_lease():
            return []
        if not provider.adapter.idempotent and not self._begin(messages):
            return []
        self.calling = {message.row.id for message in messages}
        began = time.monotonic()
        results: Sequence[Accepted | ProviderError]
        try:
            with logs.about(message.row.id for message in messages):
                results = provider.adapter.send_many([message.request for message in messages])
        except Exception as error:
            log.exception("adapter failed", provider=provider.name, **logs.traces(self.calling))
            results = [adapter_fault(error)] * len(messages)
        took = time.monotonic() - began
        took_ms = int(took * 1000)
        if answered := [result for result in results if isinstance(result, Accepted) or not result.ours]:  # else no call was made
            if provider.provider_id:
                latencies.observe(provider.provider_id, took * 1000)
                self.called.add(provider.provider_id)
            if breaker:
                breaker_rules.note_call(self.tallies[breaker, self.selection.made(breaker)], breaker, answered, took * 1000)
        again = []
        for message, result in zip(messages, results, strict=True):
            if isinstance(result, Accepted):
                self._taken(message, result, provider, took_ms)
            elif result.tries_another and provider_routing.of(message.row.tenant_id).fail_over:
                if provider.breaker and result.unreachable:
                    breakers.rest(provider.breaker, provider_routing.value.rest_seconds)
                message.tried.add(provider.provider_id)
                message.error, message.left = result, provider.name
                names = record.word(provider.name), record.word(result.code)
                self._line(message.row.id, "E", self._now(), took_ms, *names, message.choice)
                again.append(message)
            else:
                self._not_taken(message, result, provider, took_ms)
            if not isinstance(result, Accepted) and result.code == condition.REFUSED and provider.provider_id:
                self.refused.add(provider.provider_id)
        self.calling = set()
        if self.journal.broken or time.monotonic() - self.flushed_at > FLUSH_SECONDS:
            self._flush()
        return again

    def _begin(self, messages: list[RenderedMessage]) -> bool:
        """Record in the journal what is about to be handed over; return False if another worker holds the claim by now."""
        try:
            self.journal.begin([message.row.id for message in messages], self.done[self.noted :])
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

    def _may_go(self, provider: LoadedProvider, messages: list[RenderedMessage]) -> bool:
        """Wait for the provider's rate cap and return True, or postpone the messages if the wait would be long."""
        if not provider.max_per_second:
            return True
        wait_ms = flow.wait_for_turn(
            f"provider:{provider.provider_id}", count=len(messages), per_second=provider.max_per_second, max_wait_ms=MAX_CAP_WAIT_MS
        )
        if wait_ms < 0:
            now = self._now()
            due = now + timedelta(milliseconds=-wait_ms - 1)
            for message in messages:
                self._put_off_by_cap(message, provider, now, due)
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
