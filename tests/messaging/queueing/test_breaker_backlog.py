"""What waits for a breaker: put off for long, and due again as soon as a provider may be called."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from accounts.models import Tenant
from messaging.configuration import circuit_breakers, provider_routing
from messaging.configuration.breakers import BreakerRule
from messaging.delivery.deliver import deliver
from messaging.models import BatchStatus, Message, Status
from messaging.providers.breakers import of_host, of_provider
from messaging.providers.cache import provider_cache
from messaging.queueing import breaker_backlog, counting
from messaging.queueing.breaker_backlog import BreakerWait
from posthaste.lib import redis
from posthaste.lib.breaker import Phase, Rule, Tally, breakers
from posthaste.lib.ids import new_id
from tests.builders import make_batch, make_message, make_provider, make_tenant, poll
from tests.peers.gateway import Gateway
from tracing import selectors as traces
from tracing.services import record

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


def sms(tenant: Tenant) -> BreakerWait:
    return BreakerWait(tenant.pk, "sms", False)


def put_off(tenant: Tenant, whose: str = "only", **fields: Any) -> Message:
    """Make a message that waits for a breaker."""
    later = timezone.now() + timedelta(minutes=1)
    return make_message(tenant, status=Status.PENDING, **{"due_at": later, "error_code": breaker_backlog.error_code_for(whose), **fields})


def noted(*waits: BreakerWait) -> None:
    pipeline = redis.client().pipeline(transaction=False)
    breaker_backlog.note(pipeline, waits)
    pipeline.execute()


def notes() -> set[str]:
    found: Any = redis.client().smembers(redis.key("breakers", "waits"))
    return {text.decode() for text in found}


def due(*rows: Message) -> list[bool]:
    return [Message.objects.get(pk=row.pk).due_at <= timezone.now() for row in rows]


def look(now: datetime | None = None) -> int:
    """Take the clock's look with the states of this moment."""
    breakers._read_at = float("-inf")
    return breaker_backlog.bring_forward(now=now or timezone.now())


def forwarded(*rows: Message) -> list[list[str]]:
    """Return why each of the messages was brought forward, as its trace tells."""
    return [[event.words[0] for event in found if event.code == "F"] for found in traces.events_of([row.pk for row in rows])]


def open_it(name: str, *, seconds: float = 60, counts: str = "errors") -> None:
    """Have a breaker opened by what calls gave or receipts told."""
    rule = Rule(min_requests=1, open_seconds=seconds, trial_calls=3, counts=counts, receipt_seconds=60, max_open_seconds=60)
    report(name, rule, calls=1, errors=1)
    assert breakers.phase(name) in (Phase.OPEN, Phase.HALF_OPEN)


def report(name: str, rule: Rule, *, epoch: int = 0, **counts: Any) -> None:
    pipeline = redis.client().pipeline(transaction=False)
    recording = breakers.recording(pipeline)
    recording.add(name, Tally(**counts), rule, release=0, epoch=epoch)
    recording.handle_answers(pipeline.execute())


def test_all_that_waits_for_a_provider_is_due_when_its_breaker_has_closed_and_nothing_else_is(tenant: Tenant) -> None:
    name = of_provider(make_provider(tenant, name="only").pk)
    later = timezone.now() + timedelta(minutes=5)
    waits = [put_off(tenant) for _ in range(3)]
    others = [
        make_message(tenant, due_at=later),
        make_message(tenant, due_at=later, error_code="rule:quiet:night"),
        put_off(tenant, channel="email", recipient="ada@example.com"),
        put_off(make_tenant("Other")),
        put_off(tenant, is_sandbox=True),
    ]
    noted(sms(tenant))
    breakers.force(name, "open", by="test")
    assert (look(), due(*waits)) == (0, [False] * 3)
    breakers.force(name, "closed", by="test")
    assert (look(), due(*waits), due(*others)) == (3, [True] * 3, [False] * 5)
    assert notes() == set()


def test_while_it_is_half_open_as_many_are_due_as_there_are_trial_calls(tenant: Tenant) -> None:
    name = of_provider(make_provider(tenant, name="only").pk)
    waits = [put_off(tenant) for _ in range(10)]
    noted(sms(tenant))
    with circuit_breakers.set(providers=BreakerRule(trial_calls=2)):
        breakers.force(name, "open", by="test")
        breakers.force(name, "automatic", by="test")
        assert (look(), sum(due(*waits))) == (2, 2)
        assert (look(), sum(due(*waits))) == (2, 4), "should those have come to nothing"
    assert notes() == {str(sms(tenant))}


def test_trial_messages_are_those_that_have_used_the_fewest_attempts(tenant: Tenant) -> None:
    name = of_provider(make_provider(tenant, name="only").pk)
    tired, fresh, tried = put_off(tenant, attempts=3), put_off(tenant, attempts=0), put_off(tenant, attempts=1)
    noted(sms(tenant))
    with circuit_breakers.set(providers=BreakerRule(trial_calls=2)):
        breakers.force(name, "open", by="test")
        breakers.force(name, "automatic", by="test")
        look()
    assert due(tired, fresh, tried) == [False, True, True]


def test_no_more_trial_messages_come_while_receipts_of_those_that_were_taken_are_waited_for(tenant: Tenant) -> None:
    name = of_provider(make_provider(tenant, name="only").pk)
    put_off(tenant)
    noted(sms(tenant))
    rule = Rule(open_seconds=0.01, trial_calls=1, receipt_seconds=60)
    open_it(name, seconds=0.01, counts="receipts")
    _granted, epoch = poll(lambda: (answer := breakers.admit(name, rule))[0] and answer)
    report(name, rule, epoch=epoch, calls=1)
    assert (look(), breakers.phase(name)) == (0, Phase.HALF_OPEN)


def test_another_provider_that_may_be_called_brings_them_forward_too(tenant: Tenant) -> None:
    breakers.force(of_provider(make_provider(tenant, name="only").pk), "open", by="test")
    row = put_off(tenant)
    noted(sms(tenant))
    assert look() == 0
    make_provider(tenant, name="new")
    provider_cache.forget()
    assert (look(), due(row)) == (1, [True])


def test_without_fail_over_each_waits_for_its_own_provider(tenant: Tenant) -> None:
    _first, second = (make_provider(tenant, name=name) for name in ("first", "second"))
    breakers.force(of_provider(second.pk), "open", by="test")
    rows = [put_off(tenant, "first"), put_off(tenant, "second")]
    noted(sms(tenant))
    with provider_routing.set(fail_over=False):
        assert (look(), due(*rows)) == (1, [True, False])
        assert notes() == {str(sms(tenant))}
        breakers.force(of_provider(second.pk), "automatic", by="test")
        assert (look(), due(*rows)) == (1, [True, True])


def test_messages_to_a_host_wait_for_that_host_alone(tenant: Tenant) -> None:
    make_provider(tenant, channel="webhook", kind="http", config={})
    well, ill = (put_off(tenant, host, channel="webhook", recipient=f"https://{host}/in") for host in ("well.example", "ill.example"))
    noted(*(BreakerWait(tenant.pk, "webhook", False, host) for host in ("well.example", "ill.example")))
    open_it(of_host("ill.example"))
    assert (look(), due(well, ill)) == (1, [True, False])


def test_of_many_tenants_that_wait_for_one_host_one_tries_it_at_a_time() -> None:
    tenants = [make_tenant(f"Tenant {n}") for n in range(3)]
    rows = [put_off(tenant, "ill.example", channel="webhook", recipient="https://ill.example/in") for tenant in tenants]
    noted(*(BreakerWait(tenant.pk, "webhook", False, "ill.example") for tenant in tenants))
    breakers.force(of_host("ill.example"), "open", by="test")
    breakers.force(of_host("ill.example"), "automatic", by="test")
    assert (look(), sum(due(*rows))) == (1, 1)


def test_a_batch_that_is_paused_gives_no_trial_messages_but_is_not_forgotten(tenant: Tenant) -> None:
    name = of_provider(make_provider(tenant, name="only").pk)
    row = put_off(tenant, batch=make_batch(tenant, status=BatchStatus.PAUSED))
    noted(sms(tenant))
    breakers.force(name, "open", by="test")
    breakers.force(name, "automatic", by="test")
    assert (look(), notes()) == (0, {str(sms(tenant))})
    breakers.force(name, "closed", by="test")
    assert (look(), due(row)) == (1, [True])


def test_where_nothing_waits_any_more_nobody_looks_again(tenant: Tenant) -> None:
    name = of_provider(make_provider(tenant, name="only").pk)
    noted(sms(tenant))
    breakers.force(name, "open", by="test")
    breakers.force(name, "automatic", by="test")
    assert (look(), notes()) == (0, set())


def test_more_than_one_look_can_move_is_gone_on_with_at_the_next_and_the_urgent_come_first(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_provider(tenant, name="only")
    usual, urgent = [put_off(tenant) for _ in range(4)], put_off(tenant, priority=9)
    noted(sms(tenant))
    monkeypatch.setattr(breaker_backlog, "MAX_PER_STATEMENT", 2)
    monkeypatch.setattr(breaker_backlog, "MAX_PER_LOOK", 3)
    assert (look(), due(urgent), sum(due(*usual))) == (3, [True], 2)
    assert (look(), sum(due(*usual)), notes()) == (2, 4, set())


def test_a_message_that_finds_all_open_is_put_off_for_a_minute_and_sent_by_the_clock_when_it_closes(
    tenant: Tenant, gateway: Gateway
) -> None:
    only = make_provider(tenant, kind="http", config={"url": gateway.url}, name="only")
    breakers.force(of_provider(only.pk), "open", by="test")
    row = make_message(tenant, status=Status.QUEUED)
    deliver([row.pk])
    row.refresh_from_db()
    assert (row.status, row.attempts, row.error_code) == (Status.PENDING, 0, "breaker:only")
    assert timedelta(seconds=250) < row.due_at - timezone.now() < timedelta(seconds=340), "held until it is let go"
    breakers.force(of_provider(only.pk), "closed", by="test")
    assert notes() == {str(sms(tenant))}
    counting.tick(now=timezone.now())
    assert due(row) == [True]
    Message.objects.filter(pk=row.pk).update(status=Status.QUEUED)
    deliver([row.pk])
    row.refresh_from_db()
    assert (row.status, row.error_code) == (Status.SENT, "")


def test_it_is_never_put_off_beyond_its_expiry(tenant: Tenant) -> None:
    breakers.force(of_provider(make_provider(tenant, name="only").pk), "open", by="test")
    expires = timezone.now() + timedelta(seconds=20)
    row = make_message(tenant, status=Status.QUEUED, expires_at=expires)
    deliver([row.pk])
    row.refresh_from_db()
    assert (row.status, row.due_at) == (Status.PENDING, row.expires_at)


def test_while_redis_is_away_nobody_could_bring_it_forward_so_it_waits_for_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert breaker_backlog.seconds(10) >= breaker_backlog.MIN_SECONDS
    assert breaker_backlog.seconds(float("inf")) <= 1.1 * breaker_backlog.MAX_SECONDS
    nobody = Redis(port=1, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(redis, "client", lambda: nobody)
    breakers.phase(f"test:{new_id().hex}")
    assert breaker_backlog.seconds(float("inf")) <= breaker_backlog.AWAY_SECONDS + breaker_backlog.SPREAD_SECONDS
    assert breaker_backlog.bring_forward(now=timezone.now()) == 0


def test_the_trace_tells_that_a_message_was_brought_forward_and_only_of_those_that_were(tenant: Tenant) -> None:
    make_provider(tenant, name="only")
    waiting, other = put_off(tenant), put_off(tenant)
    Message.objects.filter(pk=other.pk).update(error_code="rule:quiet:night")
    noted(sms(tenant))
    assert look() == 1
    assert forwarded(waiting, other) == [[record.BREAKER_CLOSED], []]
