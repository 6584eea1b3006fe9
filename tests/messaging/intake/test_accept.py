"""Accept with real commits: many requests at once, one group, one transaction."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import orjson
import pytest
from celery import current_app
from django.db import connection, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts.models import Tenant
from accounts.services.api_keys import Caller, recognise
from messaging.configuration import queues
from messaging.configuration.flow import FlowRule, Origin, Resource, flow_rules
from messaging.intake import accept, bodies, prepare, repeats
from messaging.intake.accept import Intake
from messaging.intake.repeats import Answer, KeyReused, Repeatable
from messaging.models import Batch, IdempotencyKey, Message, Status
from messaging.queueing import broker, publish
from messaging.scopes import SEND
from messaging.storage.store import NewRow
from posthaste.lib import outage, redis
from posthaste.lib.batching import Batcher, together
from posthaste.lib.flow.limiter import limiter
from posthaste.lib.ids import new_id
from posthaste.lib.problems import Invalid, Unavailable
from posthaste.lib.queues import DELAYED, declared
from tests import crowds
from tests.builders import RECIPIENTS, Api, close_committer, configure, json_of, make_batch, make_key, make_tenant, poll
from tracing.selectors import per_second

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
SMS = {"channel": "sms", "recipient": RECIPIENTS["sms"], "body": "Your parcel is here."}
AT_ONCE = 50


@pytest.fixture(autouse=True)
def _servers_are_clean() -> Iterator[None]:
    """Empty queues, and no measurement of another test."""
    broker.declare()
    with current_app.pool.acquire(block=True, timeout=5) as held:
        for queue in declared():
            queue.bind(held.default_channel).purge()
    redis.client().delete(redis.key("waiting"), redis.key("kick"))
    yield
    close_committer()


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def clear(tenant: Tenant) -> str:
    return make_key(tenant, SEND)[1]


@pytest.fixture
def caller(clear: str) -> Caller:
    return recognise(f"Bearer {clear}", ip="127.0.0.1", now=timezone.now())


def at_once(number: int, call: Callable[[int], Any]) -> list[Any]:
    """Call from so many threads at the same moment and return what they got, in order."""
    return crowds.at_once(*(partial(call, index) for index in range(number)))


def post(clear: str, body: Any, key: str = "") -> Any:
    return Api(clear).post("/api/messages/", body, headers={"Idempotency-Key": key} if key else {})


def row_for(caller: Caller, **changed: Any) -> NewRow:
    request = bodies.read_message(orjson.dumps(SMS | changed))
    return prepare.prepare_message(request, caller=caller, now=timezone.now())


def test_fifty_requests_at_once_are_all_stored(clear: str) -> None:
    answers = at_once(AT_ONCE, lambda n: post(clear, SMS | {"reference": str(n)}))
    assert {answer.status_code for answer in answers} == {202}
    by_id = dict(Message.objects.values_list("pk", "reference"))
    assert {str(pk): reference for pk, reference in by_id.items()} == {json_of(a)["id"]: str(n) for n, a in enumerate(answers)}


def test_fifty_requests_at_once_with_one_key_make_one_message_and_get_one_answer(clear: str) -> None:
    answers = at_once(AT_ONCE, lambda _n: post(clear, SMS, "the-same"))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert (Message.objects.count(), IdempotencyKey.objects.count()) == (1, 1)
    assert sum("Idempotent-Replayed" not in answer for answer in answers) == 1


def test_of_fifty_requests_at_once_only_those_are_stored_that_the_limit_lets_in(clear: str) -> None:
    rule = FlowRule(name="accept", resource=Resource.ACCEPT, origin=Origin.TENANT, in_window=20, window_seconds=60, at_once=50)
    with flow_rules.set(rules=[rule]):
        answers = at_once(AT_ONCE, lambda n: post(clear, SMS | {"reference": str(n)}))
    assert Counter(answer.status_code for answer in answers) == {202: 20, 429: AT_ONCE - 20}
    assert Message.objects.count() == 20
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert (json_of(refused)["limited_by"], json_of(refused)["layer"]) == ("accept", "window")
    assert all("RateLimit" in answer for answer in answers)
    assert not limiter._held, "a place was not given back"


def test_a_good_message_with_a_key_costs_no_look_up_beside_the_writers(clear: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(repeats, "find_answered", lambda **what: asked.append(what))
    assert [post(clear, SMS, "the-same").status_code for _ in range(2)] == [202, 202]
    assert post(clear, SMS | {"priority": 99}, "another").status_code == 422
    assert len(asked) == 1


def test_of_requests_at_once_with_one_key_and_different_bodies_one_wins(clear: str) -> None:
    answers = at_once(20, lambda n: post(clear, SMS | {"reference": str(n)}, "the-same"))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 19
    (won,) = (n for n, answer in enumerate(answers) if answer.status_code == 202)
    assert Message.objects.get().reference == str(won)


def test_fifty_batches_at_once_with_one_key_are_one_batch(clear: str) -> None:
    body = {"channel": "sms", "body": "Hi", "duplicates": "send", "recipients": [{"recipient": RECIPIENTS["sms"]}] * 3}
    answers = at_once(AT_ONCE, lambda _n: Api(clear).post("/api/messages/batch", body, headers={"Idempotency-Key": "the-same"}))
    assert {answer.status_code for answer in answers} == {202}
    assert all(json_of(answer) == json_of(answers[0]) for answer in answers)
    assert (Batch.objects.count(), Message.objects.count()) == (1, 3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("expires_at", datetime.fromisoformat("9999-12-31T23:59:59-14:00")),
        ("due_at", datetime.fromisoformat("0001-01-01T00:00:00+14:00")),
        ("body", "half a character: \ud800"),
    ],
)
def test_of_a_write_group_only_the_message_that_cannot_be_stored_is_refused(field: str, value: Any, caller: Caller) -> None:
    """As if a check had let it through."""
    rows = [row_for(caller, reference=str(n)) for n in range(40)]
    setattr(rows[17], field, value)
    outcomes = accept.write_apart([Intake(row) for row in rows])
    stored = {outcome.id for outcome in outcomes if isinstance(outcome, Answer)}
    kept = set(Message.objects.filter(reference__in=[str(n) for n in range(40) if n != 17]).values_list("pk", flat=True))
    assert stored >= {row.id for row in rows if row is not rows[17]}
    assert kept == {row.id for row in rows if row is not rows[17]}
    refused = outcomes[17]
    if not isinstance(refused, Answer):  # PostgreSQL stores the year 10000: it is set aside when it is read
        assert isinstance(refused, Invalid)
        assert refused.errors[0]["code"] == "unstorable"
        assert Message.objects.count() == 39


def test_two_processes_with_the_same_key_make_one_message(caller: Caller) -> None:
    """Each process has a committer of its own; only the database stands between them."""
    committers: list[Batcher[Intake, Answer]] = [
        Batcher(together(accept.write_apart), name=f"process-{n}", at_end=lambda: connection.close()) for n in range(4)
    ]
    try:
        same = Repeatable("the-same", b"d" * 32)
        rows = [row_for(caller) for _ in range(16)]
        answers = at_once(16, lambda n: committers[n % 4].submit(Intake(rows[n], same)))
        assert len({answer.id for answer in answers}) == 1
        assert Message.objects.count() == 1
    finally:
        for committer in committers:
            committer.close()


def test_what_waits_together_is_written_in_one_transaction(caller: Caller) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("transaction ids are PostgreSQL's")
    accept.write_group([Intake(row_for(caller, reference=str(n))) for n in range(20)])
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT xmin::text), count(*) FROM messaging_message")
        assert cursor.fetchone() == (1, 20)


def test_a_message_that_the_database_refuses_fails_alone(caller: Caller) -> None:
    good = [row_for(caller) for _ in range(5)]
    bad = row_for(caller)
    bad.priority = 99  # what no check lets through, the database refuses

    def submit(row: NewRow) -> Any:
        try:
            return accept.accept_message(row)
        except Exception as error:  # noqa: BLE001
            return error

    results = at_once(6, lambda n: submit([*good, bad][n]))
    assert [type(result).__name__ for result in results] == ["Answer"] * 5 + ["IntegrityError"]
    assert set(Message.objects.values_list("pk", flat=True)) == {row.id for row in good}


def test_a_group_with_a_reused_key_stores_the_others(caller: Caller) -> None:
    accept.write_group([Intake(row_for(caller), Repeatable("used", b"a" * 32))])
    rows = [row_for(caller) for _ in range(3)]
    outcomes = accept.write_group(
        [Intake(rows[0]), Intake(rows[1], Repeatable("used", b"b" * 32)), Intake(rows[2], Repeatable("new", b"c" * 32))]
    )
    assert isinstance(outcomes[1], KeyReused)
    assert Message.objects.filter(pk__in=[row.id for row in rows]).count() == 2
    assert not Message.objects.filter(pk=rows[1].id).exists()


def test_the_same_key_twice_in_one_group_makes_one_message(caller: Caller) -> None:
    rows = [row_for(caller) for _ in range(3)]
    outcomes = accept.write_group([Intake(row, Repeatable("the-same", b"a" * 32)) for row in rows])
    assert {outcome.id for outcome in outcomes if not isinstance(outcome, Exception)} == {Message.objects.get().pk}


def test_a_due_message_stands_in_the_broker_when_the_answer_comes(caller: Caller) -> None:
    accept.accept_message(row_for(caller))
    message = Message.objects.get()
    assert message.status == Status.QUEUED
    assert message.queued_at is not None
    poll(lambda: broker.depth("message.send") == 1, what="one task in message.send")


def test_a_scheduled_message_waits_in_the_database(caller: Caller) -> None:
    accept.accept_message(row_for(caller, send_at=timezone.now() + timedelta(hours=1)))
    Message.objects.filter(status=Status.PENDING, due_at__gt=timezone.now()).get()
    assert broker.depth("message.send") == 0


def test_while_the_broker_is_full_messages_wait_in_the_database_and_urgent_ones_do_not(caller: Caller) -> None:
    configure(queues, queue_capacity=100)
    make_batch(make_tenant("Other"), queued=100)
    accept.accept_message(row_for(caller))
    accept.accept_message(row_for(caller, priority=10))
    own = Message.objects.filter(tenant_id=caller.tenant_id)
    assert dict(own.values_list("priority", "status")) == {5: Status.PENDING, 10: Status.QUEUED}
    poll(lambda: broker.depth(DELAYED) >= 1, what="the feeder was called for the one that waits")


def test_while_the_broker_is_away_messages_are_accepted_and_wait(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish.watch, "is_up", False)
    assert accept.accept_message(row_for(caller))
    assert Message.objects.get().status == Status.PENDING


def test_what_a_broker_refuses_after_the_commit_goes_back_to_pending(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise OperationalError("cut off")

    monkeypatch.setattr(current_app, "send_task", refuse)
    assert accept.accept_message(row_for(caller))
    message = Message.objects.get()
    assert (message.status, message.queued_at) == (Status.PENDING, None)
    assert not publish.broker_is_up()


def test_nothing_is_published_before_the_callers_transaction_commits(caller: Caller) -> None:
    with transaction.atomic():
        accept.accept_message(row_for(caller))
        assert broker.depth("message.send") == 0
    poll(lambda: broker.depth("message.send") == 1, what="one task in message.send")


def test_a_rollback_of_the_callers_transaction_publishes_nothing(caller: Caller) -> None:
    with suppress(ZeroDivisionError), transaction.atomic():
        accept.accept_message(row_for(caller))
        raise ZeroDivisionError
    assert Message.objects.count() == 0
    accept.accept_message(row_for(caller))  # whatever was published before this one stands in front of it
    poll(lambda: broker.depth("message.send") == 1, what="only the second")


def test_urgent_messages_travel_alone_others_together(caller: Caller) -> None:
    accept.write_group([Intake(row_for(caller, priority=9)) for _ in range(3)] + [Intake(row_for(caller, priority=5)) for _ in range(3)])
    poll(lambda: broker.depth("message.send") == 4, what="three tasks of one and one of three")


def test_what_is_accepted_is_counted_in_the_live_figures(caller: Caller) -> None:
    def counted() -> int:
        soon = timezone.now() + timedelta(seconds=1)
        return sum(counts["accepted"] for _second, counts in per_second(tenant_id=caller.tenant_id, now=soon, seconds=60))

    before = counted()
    accept.accept_message(row_for(caller))
    poll(lambda: counted() == before + 1, what="one more")


def test_a_row_has_what_the_orm_would_have_given_it(caller: Caller) -> None:
    """The bulk writer names its columns itself: a new one with a default must not be forgotten there."""
    accept.accept_message(row_for(caller))
    copied = Message.objects.get()
    fields = [field for field in Message._meta.concrete_fields if not field.primary_key]
    by_orm = Message.objects.create(**{field.attname: getattr(copied, field.attname) for field in fields if not field.has_default()})
    by_orm.refresh_from_db()
    assert {field.attname for field in fields if getattr(by_orm, field.attname) != getattr(copied, field.attname)} == {"status"}


def test_ten_thousand_recipients_in_one_request_are_stored(clear: str) -> None:
    recipients = [{"recipient": f"+86138{n:08d}"} for n in range(10_000)]
    answer = Api(clear).post("/api/messages/batch", {"channel": "sms", "body": "Sale!", "recipients": recipients})
    assert answer.status_code == 202
    told = json_of(answer)
    assert (told["accepted"], told["rejected"], told["duplicates"]["dropped"]) == (10_000, [], 0)
    batch = Batch.objects.get(pk=json_of(answer)["batch_id"])
    assert Message.objects.filter(batch=batch, status=Status.PENDING).values("recipient").distinct().count() == 10_000
    assert batch.accepted == 10_000


def test_a_batch_waits_for_the_feeder_which_is_called_at_once(clear: str) -> None:
    Api(clear).post("/api/messages/batch", {"channel": "sms", "body": "Sale!", "recipients": [{"recipient": RECIPIENTS["sms"]}]})
    assert Message.objects.get().status == Status.PENDING
    poll(lambda: broker.depth(DELAYED) == 1, what="one round of feeding")


def test_a_connection_that_breaks_between_two_groups_is_replaced(caller: Caller) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no connection to break")
    accept.accept_message(row_for(caller))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def accepted() -> bool:
        try:
            return bool(accept.accept_message(row_for(caller, reference="after")))
        except Exception:  # noqa: BLE001 - told to the caller as 503
            return False

    poll(accepted, what="accepting goes on with a new connection")
    assert Message.objects.filter(reference="after").count() == 1


def test_whoever_stood_behind_a_group_that_waited_for_the_database_in_vain_is_told_at_once(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He would otherwise wait for a time-out of his own, after that of the group before."""
    away = outage.Outage(lambda: False, every_seconds=0.01)
    monkeypatch.setattr(outage, "database", away)
    away.mark_down()
    with pytest.raises(Unavailable):
        accept.accept_message(row_for(caller))
    assert not Message.objects.exists()
    away.mark_up()
    assert accept.accept_message(row_for(caller))


def test_ids_grow_in_the_order_of_acceptance() -> None:
    made = [new_id() for _ in range(1000)]
    assert made == sorted(made)
