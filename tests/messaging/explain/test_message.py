"""The answer of a message: one sentence for each state and reason."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Tenant, User
from messaging import traces
from messaging.explain import facts
from messaging.explain.message import explain
from messaging.explain.sentences import Link, Sentence
from messaging.models import BatchStatus, Message, Status
from messaging.providers.breakers import force, of_provider
from messaging.queueing import operate, queue_statistics
from messaging.storage import unreadable
from posthaste.lib import redis
from posthaste.lib.breaker import breakers
from posthaste.lib.queues import SEND
from tests.builders import TESTER, make_batch, make_message, make_provider, make_tenant
from tracing.services import record

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


@pytest.fixture(autouse=True)
def _no_pools() -> None:
    redis.client().delete(redis.key("pools", SEND))


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def worker() -> Iterator[None]:
    queue_statistics.report_pool("worker-1", {"threads": 10, "active_count": 1}, alive_seconds=30)
    yield
    queue_statistics.forget_pool("worker-1")


def trace(message: Message, *lines: tuple[Any, ...]) -> None:
    """Write lines of a trace: letter, then words."""
    now = timezone.now()
    record.append_now({message.pk: [record.line(letter, message.pk, now, *words) for letter, *words in lines]})


def answer(message: Message) -> Sentence:
    row = Message.objects.select_related("batch", "provider").get(pk=message.pk)
    now = timezone.now()
    return explain(row, traces.read(row, now=now), now=now)


def links(sentence: Sentence) -> set[str]:
    return {part.kind for part in sentence.parts.values() if isinstance(part, Link)}


def waiting(tenant: Tenant, *, seconds: float = 3_600, **fields: Any) -> Message:
    return make_message(tenant, due_at=timezone.now() + timedelta(seconds=seconds), **fields)


# --- waits ------------------------------------------------------------------------------------------------------------


def test_a_scheduled_one_says_until_when(tenant: Tenant) -> None:
    message = waiting(tenant)
    found = answer(message)
    assert found.code == "scheduled"
    assert found.until == message.due_at
    assert str(found).startswith(f"Scheduled: it is sent at {message.due_at:%Y-%m-%d %H:%M:%S} UTC, in ")


def test_one_of_a_paused_batch_names_the_batch(tenant: Tenant) -> None:
    message = make_message(tenant, batch=make_batch(tenant, status=BatchStatus.PAUSED))
    found = answer(message)
    assert (found.code, links(found)) == ("batch_paused", {"batch"})
    assert str(found) == "Waits because its batch Spring sale is paused. It goes on when the batch is resumed."


def test_one_of_a_cancelled_batch_will_not_be_sent(tenant: Tenant) -> None:
    message = make_message(tenant, batch=make_batch(tenant, status=BatchStatus.CANCELLED))
    assert str(answer(message)) == "Will not be sent: its batch Spring sale was cancelled."


def test_without_a_worker_it_says_so(tenant: Tenant) -> None:
    for message in (make_message(tenant), make_message(tenant, status=Status.QUEUED)):
        found = answer(message)
        assert (found.code, found.tone, links(found)) == ("no_worker", "failed", {"workers"})
        assert "because no worker runs that sends messages" in str(found)


def test_one_that_is_due_waits_for_its_turn(tenant: Tenant, worker: None) -> None:
    message = make_message(tenant)
    redis.client().set(redis.key("waiting"), "0 41 0", ex=10)
    redis.client().delete(redis.key("drain"))
    assert answer(message).code == "due"
    queue_statistics.publish_drain(per_second=120.0, oldest_seconds=3.0, useful_threads=None)
    found = answer(message)
    assert found.code == "backlog"
    assert str(found).endswith("and waits for its turn: 41 messages are due and 120 leave each second.")
    redis.client().delete(redis.key("waiting"), redis.key("drain"))


def test_one_in_the_queue_is_taken_by_the_next_free_thread(tenant: Tenant, worker: None) -> None:
    found = answer(make_message(tenant, status=Status.QUEUED))
    assert found.code == "queued"
    assert str(found).startswith("In the queue for ")


def test_one_that_is_being_sent_says_for_how_long_and_at_which_attempt(tenant: Tenant) -> None:
    found = answer(make_message(tenant, status=Status.SENDING, attempts=2))
    assert (found.code, found.parts["n"]) == ("sending", 2)


def test_one_whose_worker_has_not_reported_says_so(tenant: Tenant) -> None:
    found = answer(make_message(tenant, status=Status.SENDING, lease_until=timezone.now() - timedelta(minutes=1)))
    assert (found.code, found.tone) == ("worker_lost", "unknown")


def test_one_that_is_tried_again_names_the_provider_and_its_code(tenant: Tenant) -> None:
    provider = make_provider(tenant, name="FCM gateway")
    message = waiting(tenant, seconds=100, attempts=2, error_code="http_503", provider=provider)
    found = answer(message)
    assert (found.code, links(found)) == ("retry_provider", {"provider"})
    assert str(found).endswith("FCM gateway answered attempt 2 with http_503.")
    message = waiting(tenant, seconds=100, attempts=1, error_code="internal")
    assert answer(message).code == "retry"


def test_without_a_provider_it_leads_to_where_one_is_added(tenant: Tenant) -> None:
    found = answer(waiting(tenant, seconds=100, attempts=1, error_code="no_provider"))
    assert (found.code, links(found)) == ("no_provider", {"providers"})


@pytest.mark.parametrize(
    ("code", "begins"),
    [
        ("rule:quiet:night", "Waits until {due} because of the quiet hours night (version 7)."),
        ("rule:window:office", "Waits until {due}, when the send window office opens (version 7)."),
        (
            "rule:frequency:daily",
            "Waits until {due} because the recipient has had as many messages as the frequency cap daily allows (version 7).",
        ),
    ],
)
def test_a_rule_is_named_with_the_version_that_decided(tenant: Tenant, code: str, begins: str) -> None:
    message = waiting(tenant, error_code=code)
    trace(message, ("X", "pending", f"{code}@7", 3_600_000))
    found = answer(message)
    assert (found.code, links(found)) == (f"rule_{code.split(':')[1]}", {"release"})
    assert str(found) == begins.format(due=f"{message.due_at:%Y-%m-%d %H:%M:%S} UTC")
    assert found.parts["release"] == Link("version 7", "release", ("delivery_rules", 7))


def test_default_rules_have_no_version_and_an_expired_trace_does_not_know_it(tenant: Tenant) -> None:
    message = waiting(tenant, error_code="rule:quiet:night")
    assert "(version not recorded)" in str(answer(message))
    trace(message, ("X", "pending", "rule:quiet:night@0", 3_600_000))
    assert "(default rules)" in str(answer(message))


def test_what_can_not_be_checked_while_redis_is_away_waits_and_says_so(tenant: Tenant) -> None:
    found = answer(waiting(tenant, error_code="rule:unchecked"))
    assert (found.code, found.tone) == ("rule_unchecked", "failed")


def test_a_cap_names_the_provider_that_is_at_its_limit(tenant: Tenant) -> None:
    make_provider(tenant, name="Main gateway")
    message = waiting(tenant, seconds=30)
    trace(message, ("X", "pending", f"cap:{record.word('Main gateway')}", 30_000))
    found = answer(message)
    assert (found.code, links(found)) == ("cap", {"provider"})
    assert str(found).startswith("Waits because Main gateway is at its limit; tried again in ")


def test_one_that_a_worker_gave_back_says_so(tenant: Tenant) -> None:
    message = waiting(tenant, seconds=5)
    trace(message, ("B", "turn"))
    assert answer(message).code == "given_back"


# --- breakers ---------------------------------------------------------------------------------------------------------


def test_an_open_breaker_is_named_with_since_when_until_when_and_how_many_wait_too(tenant: Tenant) -> None:
    provider = make_provider(tenant, name="FCM gateway")
    message = waiting(tenant, seconds=60, error_code="breaker:FCM gateway")
    for _ in range(3):
        waiting(tenant, seconds=60, error_code="breaker:FCM gateway")
    waiting(tenant, seconds=60)
    trace(message, ("X", "pending", f"breaker:{record.word('FCM gateway')}@4", 60_000))
    force(name=of_provider(provider.pk), to="open", by=TESTER)
    found = answer(message)
    assert (found.code, links(found)) == ("breaker_held", {"breaker", "release"})
    assert str(found).startswith("Waits for FCM gateway, whose breaker tester holds open since ")
    assert str(found).endswith("; 3 others wait too.")
    force(name=of_provider(provider.pk), to="automatic", by=TESTER)
    breakers.forget()
    found = answer(message)
    assert found.code in ("breaker_closed", "breaker_half_open")
    redis.client().delete(redis.key("breakers"))


def test_a_breaker_that_opened_by_itself_says_when_it_is_tried(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    message = waiting(tenant, seconds=60, error_code="breaker:FCM gateway")
    now = timezone.now()
    state = {"name": "provider:1", "state": "open", "since": now, "retry_at": now + timedelta(seconds=4), "forced": "", "forced_by": ""}
    monkeypatch.setattr(facts, "breaker_of", lambda _message, _whose: state)
    trace(message, ("X", "pending", f"breaker:{record.word('FCM gateway')}@4", 60_000))
    found = answer(message)
    since = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    assert found.code == "breaker_open"
    assert str(found) in {
        f"Waits for FCM gateway, whose breaker has been open since {since} (version 4); tried again in {wait}; "
        "no other message waits for it."
        for wait in ("4 s", "3 s")
    }


def test_a_breaker_whose_state_is_not_known_is_named_all_the_same(tenant: Tenant) -> None:
    found = answer(waiting(tenant, seconds=60, error_code="breaker:hooks.example.com", channel="webhook"))
    assert found.code == "breaker"
    assert "hooks.example.com" in str(found)


# --- ends -------------------------------------------------------------------------------------------------------------


def ended(tenant: Tenant, status: str, **fields: Any) -> Message:
    return make_message(tenant, status=status, **fields)


def test_a_delivered_one_says_by_whom_and_how_soon(tenant: Tenant) -> None:
    provider = make_provider(tenant, name="FCM gateway")
    message = ended(tenant, Status.DELIVERED, provider=provider)
    assert (answer(message).code, str(answer(message))) == ("delivered", "Delivered by FCM gateway, 0 ms after it was due.")
    Message.objects.update(attempts=3)
    assert (answer(message).code, answer(message).parts["n"]) == ("delivered_after_retries", 3)


def test_a_sent_one_says_that_no_receipt_has_come(tenant: Tenant) -> None:
    message = ended(tenant, Status.SENT, provider=make_provider(tenant, name="FCM gateway"))
    trace(message, ("S", 8, "FCM", "o"))
    assert str(answer(message)) == "Accepted by FCM gateway 100 ms after it was due; no receipt has come."


def test_what_an_operator_decided_names_the_operator(tenant: Tenant) -> None:
    for status, code in ((Status.SENT, "settled_sent"), (Status.FAILED, "settled_failed")):
        message = ended(tenant, Status.UNKNOWN)
        operate.settle_message(message=message, status=status, by=TESTER, now=timezone.now())
        assert (answer(message).code, answer(message).parts["who"]) == (code, "tester")
    message = make_message(tenant)
    operate.cancel_messages(ids=[message.pk], by=TESTER, now=timezone.now())
    assert (answer(message).code, answer(message).parts["who"]) == ("cancelled_by", "tester")


def test_an_unknown_one_says_why_it_is_not_known(tenant: Tenant) -> None:
    assert answer(ended(tenant, Status.UNKNOWN, error_code="worker_lost")).code == "unknown_worker_lost"
    found = answer(ended(tenant, Status.UNKNOWN, error_code="timeout"))
    assert (found.code, found.tone, found.parts["code"]) == ("unknown", "unknown", "timeout")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"attempts": 4, "error_code": "http_500"}, "failed_retries"),
        ({"attempts": 1, "error_code": "invalid_recipient"}, "failed_refused"),
        ({"attempts": 1, "error_code": "template", "error_detail": "Unknown filter"}, "failed_template"),
        ({"attempts": 4, "error_code": "no_provider"}, "failed_no_provider"),
        ({"attempts": 1, "error_code": "30005", "sent_at": timezone.now()}, "failed_receipt"),
        ({"attempts": 0, "error_code": unreadable.CODE, "error_detail": "x"}, "failed_unreadable"),
    ],
)
def test_a_failed_one_says_what_failed(tenant: Tenant, fields: dict[str, Any], code: str) -> None:
    found = answer(ended(tenant, Status.FAILED, provider=make_provider(tenant, name="FCM gateway"), **fields))
    assert (found.code, found.tone) == (code, "failed")
    assert str(found)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("rule:suppressed:hard_bounce", "suppressed_list"),
        ("rule:duplicate", "suppressed_duplicate"),
        ("rule:frequency:daily", "suppressed_frequency"),
        ("rule:quiet:night", "suppressed_hours"),
        ("rule:window:office", "suppressed_hours"),
        ("rule:other", "suppressed"),
    ],
)
def test_a_suppressed_one_names_the_rule_and_its_version(tenant: Tenant, error: str, code: str) -> None:
    message = ended(tenant, Status.SUPPRESSED, error_code=error)
    trace(message, ("X", "suppressed", f"{error}@12"))
    found = answer(message)
    assert (found.code, found.tone) == (code, "suppressed")
    assert code == "suppressed_list" or "(version 12)" in str(found)


def test_one_cancelled_with_its_batch_and_an_expired_one_say_so(tenant: Tenant) -> None:
    message = ended(tenant, Status.CANCELLED, batch=make_batch(tenant, status=BatchStatus.CANCELLED))
    assert (answer(message).code, links(answer(message))) == ("cancelled_batch", {"batch"})
    assert answer(ended(tenant, Status.CANCELLED)).code == "cancelled"
    assert answer(ended(tenant, Status.EXPIRED, expires_at=timezone.now())).code == "expired"


def test_every_state_has_a_sentence_in_which_every_placeholder_is_filled(tenant: Tenant, worker: None) -> None:
    for status in Status.values:
        for code in ("", "breaker:x", "rule:quiet:x", "rule:", "no_provider", "{odd}"):
            found = answer(waiting(tenant, status=status, error_code=code))
            assert str(found), (status, code)
            assert found.as_html(link=lambda link: link.text, moment=lambda at: str(at))  # type: ignore[arg-type,return-value]


def test_what_comes_from_outside_is_escaped_on_the_page(tenant: Tenant) -> None:
    message = waiting(tenant, seconds=60, attempts=1, error_code="<script>", provider=make_provider(tenant, name="<b>x</b>"))
    html = answer(message).as_html(link=lambda link: link.text, moment=lambda at: str(at))  # type: ignore[arg-type,return-value]
    assert "<script>" not in html
    assert "<b>" not in html


def test_one_that_was_accepted_after_several_attempts_says_so(tenant: Tenant) -> None:
    message = make_message(tenant, status=Status.SENT, attempts=2, latency_ms=31_300, provider=make_provider(tenant, name="Gateway"))
    found = answer(message)
    assert found.code == "sent_after_retries"
    assert str(found) == "Accepted by Gateway 31 s after it was due, at attempt 2; no receipt has come."


@pytest.mark.parametrize(
    "lines",
    [
        [("X", "pending", "rule:quiet:night@3", 28_800_000)],
        [("X", "pending", "breaker:Gateway@3", 60_000), ("F", record.BREAKER_CLOSED)],
        [("M", "Gateway", "Second", "breaker@3")],
        [("S", 8, "Gateway", "w@3")],
        [("E", 8, "Gateway", "http_503", "w@3"), ("R", 30_000)],
        [("V", "unknown", "worker_lost", 1, 20, 10)],
        [("O", "retry", "user:ada"), ("L", "accepted", "Gateway"), ("I",), ("D", 3), ("K", "delivered", "duplicate")],
    ],
    ids=lambda lines: "".join(line[0] for line in lines),
)
def test_the_page_shows_every_kind_of_event(tenant: Tenant, lines: list[tuple[Any, ...]]) -> None:
    message = waiting(tenant)
    trace(message, *lines)
    user = User.objects.create(username="root", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    shown = client.get(reverse("admin:messaging_message_change", args=[message.pk]))
    assert shown.status_code == 200
    if "@3" in str(lines):
        assert "rules of release 3" in shown.content.decode()
