"""Sends the events of an endpoint: one request at a time, in the order of their positions.

A sender claims the endpoint with a lease in its row. Before each request it writes which events the request carries, its webhook-id, and
that the call has begun; after it, in one transaction, what came of it, the cursor and an entry of the log.

What if the process dies: the lease runs out, and the next sender finds the call begun and without a result. It notes the outcome as
`unknown` and sends the same events with the same webhook-id. This, and a request whose answer did not come back, are the only cases in
which a receiver may see an event twice.

A request that fails is repeated after a pause that doubles, from five seconds to one hour. After `webhooks.max_attempt_hours` it is given
up, and the next events are sent; after `disable_after_hours` of failures the endpoint is disabled. An open breaker of the tenant at the
host, or too many requests at once to the host, only make the endpoint wait; so does a time in which many messages are sent (`pacing`).
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from accounts.services.audit import Actor
from messaging.configuration import webhooks
from messaging.models import DeliveryStatus, DisabledCode, Event, WebhookEndpoint
from messaging.providers import breakers as breaker_rules
from messaging.storage import store
from messaging.webhooks import composing, endpoints, figures, positions, request
from messaging.webhooks.composing import Load
from messaging.webhooks.pacing import pacing
from messaging.webhooks.places import places
from messaging.webhooks.reading import StoredEvent
from messaging.webhooks.request import Answer
from messaging.webhooks.retries import backoff, leave_out_idle_time
from posthaste.lib import logs, redis
from posthaste.lib.breaker import Phase, Tally, breakers
from posthaste.lib.elastic import stopping
from posthaste.lib.rows import is_kept
from tracing.services import record

log = structlog.get_logger(__name__)
MAX_BREAKER_SECONDS = 60.0  # an operator may release it earlier
TURN_SECONDS = 5.0  # then another endpoint may have the thread
LEASE_SLACK_SECONDS = 20.0  # beyond the time limit of a request
SYSTEM = Actor.system("webhooks")
CALLED = Q(is_enabled=True, tenant__is_active=True)  # which endpoints get events
NO_LINES: Mapping[UUID, list[str]] = {}


def due(*, now: datetime, limit: int) -> list[UUID]:
    """Return the endpoints that have events to send and are claimed by no sender, the one served longest ago first."""
    events_left = Event.objects.filter(tenant_id=OuterRef("tenant_id"), position__gt=OuterRef("cursor"))
    rows = WebhookEndpoint.objects.filter(Q(lease_until=None) | Q(lease_until__lte=now), CALLED, next_attempt_at__lte=now)
    rows = rows.filter(Exists(events_left)).order_by(F("lease_until").asc(nulls_first=True))
    return list(rows.values_list("pk", flat=True)[:limit])


class Sender:
    """One turn of an endpoint."""

    def __init__(self, endpoint_id: UUID) -> None:
        self.endpoint_id = endpoint_id
        self.token = uuid4()
        self.ahead = timedelta()  # the database's clock, of ours
        self._endpoint: WebhookEndpoint | None = None
        self._trial: tuple[str, int] | None = None  # a trial call that a half-open breaker granted, not reported yet: breaker and epoch
        self._is_done = False
        self.messages: Sequence[UUID] = ()  # that the present request tells of
        self.lease = timedelta(seconds=webhooks.value.timeout_seconds + LEASE_SLACK_SECONDS)

    def now(self) -> datetime:
        """Return the time by the database's clock, by which leases are counted."""
        return timezone.now() + self.ahead

    def serve(self) -> int:
        """Send what there is, for some seconds, and return the number of requests."""
        if not self._claim():
            return 0
        until, made = time.monotonic() + TURN_SECONDS, 0
        try:
            while not stopping.is_set() and time.monotonic() < until and not self._is_done and self._send_and_note():
                made += 1
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            self._note_fault(error)
            raise
        finally:
            self._release()
        return made

    @transaction.atomic
    def _note_fault(self, error: Exception) -> None:
        """Count an error of our own like a failure, so that the endpoint waits, and is disabled if it goes on."""
        row = self._held().select_for_update().filter(is_enabled=True).first()
        if row is None:
            return
        now = self.now()
        row.failures, row.failing_since = row.failures + 1, row.failing_since or now
        row.next_attempt_at = now + backoff(row.failures)
        row.save(update_fields=["failures", "failing_since", "next_attempt_at"])
        self._disable_if_failing(row, now, type(error).__name__)

    def _release(self) -> None:
        # When it was served last, as `due` takes endpoints in that order.
        self._held().update(lease_token=None, lease_until=self.now())

    def _held(self) -> Any:
        return WebhookEndpoint.objects.filter(pk=self.endpoint_id, lease_token=self.token)

    def _claim(self) -> bool:
        now = store.database_time()
        self.ahead = now - timezone.now()
        free = Q(lease_until=None) | Q(lease_until__lte=now)
        found = WebhookEndpoint.objects.filter(free, CALLED, pk=self.endpoint_id, next_attempt_at__lte=now)
        return bool(found.update(lease_token=self.token, lease_until=now + self.lease))

    def _send_and_note(self) -> bool:
        began = time.thread_time()
        try:
            return self._send_next()
        finally:
            if self._trial:
                self._report(*self._trial, Tally(unused=1))
            pacing.spent(time.thread_time() - began)

    def _send_next(self) -> bool:
        """Make one request, and return whether the endpoint may have more."""
        endpoint = self._current()
        self.messages = ()
        if endpoint is None:
            return False
        if endpoint.is_calling:
            self._note_unknown(endpoint)
        load = composing.load(endpoint)
        if load.rows and (yields := pacing.wait_seconds(oldest=load.rows[0].occurred_at, now=self.now())):
            connection.close()
            if stopping.wait(yields):
                return False
            load = load if len(load.rows) >= endpoint.max_events else composing.load(endpoint)
        if not load.rows:
            if not self._unchanged(endpoint).update(cursor=max(load.until, endpoint.cursor), **composing.NOTHING_IN_FLIGHT):
                return self._read_again()
            is_further = load.until > endpoint.cursor
            endpoint.cursor = max(load.until, endpoint.cursor)  # what the row holds now: the next search goes on from there
            composing.forget_request(endpoint)
            return is_further
        self.messages = [row.subject_id for row in load.rows if row.subject_id and row.type.startswith("message.")]
        host = request.host_of(endpoint)
        breaker = breaker_rules.of_endpoints(host, endpoint.tenant_id)
        waits, epoch = self._ask_breaker(breaker)
        if waits:
            is_noted = self._unchanged(endpoint).update(next_attempt_at=self.now() + timedelta(seconds=waits))
            return not is_noted and self._read_again()
        with logs.about(self.messages), places(host, breaker) as are_free:
            # Else its turn comes again, after that of others.
            return are_free and self._call(endpoint, load, breaker, epoch)

    def _current(self) -> WebhookEndpoint | None:
        """Return the endpoint; None if it was disabled, deleted or taken over. It is read again once it was changed."""
        if self._endpoint is None:
            self._endpoint = self._held().filter(CALLED).first()
        return self._endpoint

    def _unchanged(self, endpoint: WebhookEndpoint) -> Any:
        """Return the row while it is held and nothing of the endpoint was changed since it was read."""
        return self._held().filter(is_enabled=True, updated_at=endpoint.updated_at)

    def _read_again(self) -> bool:
        self._endpoint = None
        return self._current() is not None

    def _ask_breaker(self, name: str) -> tuple[float, int]:
        """Return the seconds to wait, or 0 and the epoch of a trial call."""
        phase = breaker_rules.phase(name)
        if phase == Phase.OPEN:
            return min(MAX_BREAKER_SECONDS, max(1.0, breakers.wait_seconds(name))), 0
        if phase == Phase.HALF_OPEN:
            granted, epoch = breakers.admit(name, breaker_rules.rule(name), release=breaker_rules.release())
            self._trial = (name, epoch) if granted and epoch else None
            return (0.0, epoch) if granted else (max(1.0, min(MAX_BREAKER_SECONDS, breakers.wait_seconds(name))), 0)
        return 0.0, 0

    def _call(self, endpoint: WebhookEndpoint, load: Load, breaker: str, epoch: int) -> bool:
        began = self.now()
        load = composing.compose(endpoint, load, began)
        leave_out_idle_time(endpoint, began)
        if endpoint.inflight_until is None:
            endpoint.inflight_id, endpoint.inflight_since = request.new_webhook_id(), began
            endpoint.attempts = 0
        endpoint.inflight_until, endpoint.inflight_positions = load.until, positions.encode(load.positions)
        endpoint.attempts += 1
        if not self._unchanged(endpoint).update(
            inflight_id=endpoint.inflight_id,
            inflight_since=endpoint.inflight_since,
            inflight_until=endpoint.inflight_until,
            inflight_positions=endpoint.inflight_positions,
            attempts=endpoint.attempts,
            attempted_at=began,
            failing_since=endpoint.failing_since,
            is_calling=True,
            lease_until=began + self.lease,
        ):
            return self._read_again()
        connection.close()  # a slow receiver must not hold one
        answer = request.post(endpoint, webhook_id=endpoint.inflight_id, events=load.seen, now=began)
        tally = Tally()
        breaker_rules.note_call(tally, breaker, [answer.as_result()], answer.duration_ms)
        is_done = answer.status == DeliveryStatus.DELIVERED
        status, lines = None, NO_LINES
        try:
            given_up = self._settle(endpoint, load, answer, began)
            status = DeliveryStatus.GIVEN_UP if given_up else answer.status
            lines = self._lines(endpoint, load.rows, answer, status) if is_done or given_up else NO_LINES
        finally:
            self._report(breaker, epoch, tally, status, lines)
        if is_done:  # what the row holds now, once it is committed: the next request goes on from there
            endpoint.cursor, endpoint.failures, endpoint.failing_since = load.until, 0, None
            composing.forget_request(endpoint)
        self._is_done = load.is_last
        return is_done

    def _settle(self, endpoint: WebhookEndpoint, load: Load, answer: Answer, began: datetime) -> bool:
        """Write what came of a request, and return whether it was given up; retry while the database is away.

        No other process knows the result: it would be sent again.
        """
        give_up_at, pause_seconds = time.monotonic() + self.lease.total_seconds(), 0.1
        while True:
            try:
                return self._write(endpoint, load, answer, began)
            except (OperationalError, InterfaceError) as error:
                connection.close()
                log.warning("webhook result not written yet", endpoint=str(endpoint.pk), error=type(error).__name__)
                if time.monotonic() > give_up_at or stopping.is_set():
                    raise
                time.sleep(pause_seconds)
                pause_seconds = min(1.0, 2 * pause_seconds)

    @transaction.atomic
    def _write(self, endpoint: WebhookEndpoint, load: Load, answer: Answer, began: datetime) -> bool:
        now = self.now()
        entry: dict[str, Any] = {
            "webhook_id": endpoint.inflight_id,
            "at": began,
            "carried": load.positions,
            "attempt": endpoint.attempts,
        }
        if answer.status == DeliveryStatus.DELIVERED:
            done = {"cursor": load.until, "failures": 0, "failing_since": None, "next_attempt_at": now, **composing.NOTHING_IN_FLIGHT}
            if self._held().update(**done):
                request.log(endpoint, answer, **entry)
            else:
                self._too_late(endpoint, answer, entry)
            return False
        row = self._held().select_for_update().first()
        if row is None:
            self._too_late(endpoint, answer, entry)
            return False
        if row.updated_at != endpoint.updated_at:
            # It was changed during the call: a failure of the old address or of before it was enabled says nothing of what is now.
            self._held().update(is_calling=False)
            request.log(endpoint, answer, **entry)
            return False
        settings, is_gone = webhooks.value, answer.http_status == request.GONE
        row.failures, row.failing_since = row.failures + 1, row.failing_since or began
        changes = {
            "is_calling": False,
            "failures": row.failures,
            "failing_since": row.failing_since,
            "next_attempt_at": now + backoff(row.failures, answer.retry_after),
        }
        given_up = not is_gone and now - (endpoint.inflight_since or began) >= timedelta(hours=settings.max_attempt_hours)
        if answer.http_status == composing.TOO_LARGE:
            changes |= composing.halved(load, now)
        if given_up:
            changes |= {"cursor": load.until, **composing.NOTHING_IN_FLIGHT}
        self._held().update(**changes)
        request.log(endpoint, answer, status=DeliveryStatus.GIVEN_UP if given_up else None, **entry)
        if is_gone:
            self._disable(row, DisabledCode.GONE)
        else:
            self._disable_if_failing(row, now, answer.error)
        return given_up

    def _disable_if_failing(self, endpoint: WebhookEndpoint, now: datetime, error: str) -> None:
        hours = webhooks.value.disable_after_hours
        if endpoint.failing_since and now - endpoint.failing_since >= timedelta(hours=hours):
            self._disable(endpoint, DisabledCode.FAILING, hours=f"{hours:g}", error=error)

    def _too_late(self, endpoint: WebhookEndpoint, answer: Answer, entry: dict[str, Any]) -> None:
        """Note what came of a request in the log alone: another sender has the endpoint. Of one that was deleted there is no log."""
        log.warning("webhook result came too late", endpoint=str(endpoint.pk), webhook_id=endpoint.inflight_id)
        self._endpoint = None
        if is_kept(endpoint):
            request.log(endpoint, answer, **entry)

    def _disable(self, endpoint: WebhookEndpoint, code: DisabledCode, **told: str) -> None:
        log.error("webhook endpoint disabled", endpoint=str(endpoint.pk), tenant_id=endpoint.tenant_id, code=code.value, **told)
        endpoints.disable(endpoint=endpoint, code=code, figures=told, by=SYSTEM, now=self.now())

    @transaction.atomic
    def _note_unknown(self, endpoint: WebhookEndpoint) -> None:
        """Note a call whose process has died."""
        endpoint.is_calling = False
        if not self._held().update(is_calling=False):
            return
        answer = Answer(DeliveryStatus.UNKNOWN, None, 0, "sender_lost", "The process that sent it ended before the answer was written.")
        request.log(
            endpoint,
            answer,
            webhook_id=endpoint.inflight_id,
            at=self.now(),
            carried=positions.decode(endpoint.inflight_positions),
            attempt=endpoint.attempts,
        )

    def _lines(self, endpoint: WebhookEndpoint, rows: Sequence[StoredEvent], answer: Answer, word: DeliveryStatus) -> dict[UUID, list[str]]:
        at, name = self.now(), record.word(endpoint.name)
        lines: dict[UUID, list[str]] = {}
        for row in rows:
            if row.subject_id and row.type.startswith("message."):
                line = record.line("W", row.subject_id, at, answer.duration_ms, name, row.type.partition(".")[2], word.value)
                lines.setdefault(row.subject_id, []).append(line)
        return lines

    def _report(
        self, name: str, epoch: int, tally: Tally, status: DeliveryStatus | None = None, lines: Mapping[UUID, list[str]] = NO_LINES
    ) -> None:
        """Report to the breaker, the metrics and the traces, in one pipeline."""
        self._trial = None
        pipeline: Any = redis.client().pipeline(transaction=False)
        recording = breakers.recording(pipeline)
        if epoch or breaker_rules.counts_calls(name):
            recording.add(name, tally, breaker_rules.rule(name), release=breaker_rules.release(), epoch=epoch)
        record.append(pipeline, lines)
        if status:
            figures.count_delivery(pipeline, status)
        try:
            recording.handle_answers(pipeline.execute())
        except redis.Unavailable:
            pass
