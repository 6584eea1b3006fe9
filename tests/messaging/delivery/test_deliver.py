"""Delivering a chunk, against a real gateway."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from messaging.delivery import recover
from messaging.delivery.deliver import deliver
from messaging.models import Message, Status
from messaging.providers.cache import provider_cache
from posthaste.lib import redis
from tests import crowds
from tests.builders import make_message, make_provider, make_template, make_tenant, published
from tests.peers.gateway import Answer, Gateway, Received
from tests.peers.smtp import MailServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


def queued(tenant: Any, **fields: Any) -> Message:
    return make_message(tenant, channel="sms", status=Status.QUEUED, **fields)


def status_of(message: Message) -> str:
    return Message.objects.get(pk=message.pk).status


def test_a_chunk_delivered_twice_by_the_broker_is_sent_once(gateway: Gateway) -> None:
    tenant = make_tenant()
    make_provider(tenant, kind="http", config={"url": gateway.url})
    rows = [queued(tenant) for _ in range(5)]
    assert deliver([row.pk for row in rows]) == 5
    assert deliver([row.pk for row in rows]) == 0
    assert sorted(gateway.taken.values()) == [1] * 5


def test_what_was_cancelled_meanwhile_is_left_alone(gateway: Gateway) -> None:
    tenant = make_tenant()
    make_provider(tenant, kind="http", config={"url": gateway.url})
    kept, cancelled = queued(tenant), queued(tenant)
    Message.objects.filter(pk=cancelled.pk).update(status=Status.CANCELLED)
    deliver([kept.pk, cancelled.pk])
    assert set(gateway.taken) == {kept.pk.hex}


def test_a_message_whose_time_ran_out_in_the_queue_is_not_sent(gateway: Gateway) -> None:
    tenant = make_tenant()
    make_provider(tenant, kind="http", config={"url": gateway.url})
    late = queued(tenant, expires_at=timezone.now() - timedelta(seconds=1))
    deliver([late.pk])
    assert status_of(late) == Status.EXPIRED
    assert gateway.asked == {}


def test_a_pinned_version_is_sent_although_a_newer_one_is_published(gateway: Gateway) -> None:
    tenant = make_tenant()
    make_provider(tenant, kind="http", config={"url": gateway.url})
    template = make_template(tenant, body="Old {{ code }}")
    message = queued(tenant, body="", template_version=published(template), variables={"code": "42"})
    template.versions.update(state="retired")
    deliver([message.pk])
    assert gateway.records[0].text == "Old 42"


def test_without_a_provider_a_message_waits_for_a_retry_and_says_why() -> None:
    message = queued(make_tenant())
    deliver([message.pk])
    row = Message.objects.get(pk=message.pk)
    assert (row.status, row.error_code) == (Status.PENDING, "no_provider")
    assert row.due_at > timezone.now()


def test_a_retry_after_of_the_provider_is_obeyed(gateway: Gateway) -> None:
    tenant = make_tenant()
    make_provider(tenant, kind="http", config={"url": gateway.url})
    gateway.script(Answer(status=429, headers={"Retry-After": "3600"}))
    message = queued(tenant)
    deliver([message.pk])
    row = Message.objects.get(pk=message.pk)
    assert row.status == Status.PENDING
    assert row.due_at > timezone.now() + timedelta(minutes=59)


def test_after_the_journal_broke_nothing_that_was_begun_would_be_taken_for_untouched(gateway: Gateway) -> None:
    tenant = make_tenant()
    make_provider(tenant, kind="http", config={"url": gateway.url})
    rows = [queued(tenant) for _ in range(4)]
    seen: list[tuple[str, bool]] = []

    def look(received: Received) -> None:
        row = Message.objects.get(pk=received.id)
        assert row.claim is not None
        if not seen:  # while the first call is under way, the journal is gone
            redis.client().delete(redis.key("j", row.claim.hex))  # as a flush of Redis would
            seen.append((received.id, True))
        else:
            seen.append((received.id, redis.client().exists(redis.key("j", row.claim.hex)) > 0))
        connection.close()

    with crowds.pool(1) as thread:  # the gateway's own thread runs an event loop, where Django refuses to wait
        gateway.on_message = lambda received: thread.submit(look, received).result(10)
        deliver([row.pk for row in rows])
    assert [trusted for _id, trusted in seen[1:]] == [False, False, False], "a worker dying here would have a message sent twice"
    assert [status_of(row) for row in rows] == [Status.SENT] * 4
    assert sorted(gateway.taken.values()) == [1] * 4


def test_a_worker_that_was_stopped_past_its_lease_leaves_alone_what_was_given_to_others(gateway: Gateway) -> None:
    tenant = make_tenant()
    make_provider(tenant, kind="http", config={"url": gateway.url})
    rows = [queued(tenant) for _ in range(4)]

    def recovered_meanwhile(received: Received) -> None:
        if len(gateway.asked) == 1:  # while the first call is under way, as if the worker had been stopped there for a minute
            Message.objects.filter(status=Status.SENDING).update(lease_until=timezone.now() - timedelta(seconds=1))
            recover.recover_dead_claims(now=timezone.now())
        connection.close()

    with crowds.pool(1) as thread:
        gateway.on_message = lambda received: thread.submit(recovered_meanwhile, received).result(10)
        deliver([row.pk for row in rows])
    assert len(gateway.taken) == 1, "the rest was given to others, and sent twice"
    assert sorted(status_of(row) for row in rows) == [Status.PENDING, Status.PENDING, Status.PENDING, Status.SENT]


@pytest.mark.parametrize("subject", ["Hi\x0bX-Foo: y", "Hi\r\nBcc: evil@example.net", "Hi\u2028X-Foo: y"])
def test_a_subject_that_cannot_be_a_header_fails_for_good_and_holds_up_nothing(subject: str) -> None:
    tenant = make_tenant()
    with MailServer() as server:
        config = {"host": "127.0.0.1", "port": server.port, "security": "none", "from_email": "us@example.com"}
        make_provider(tenant, channel="email", kind="email", config=config)
        bad = make_message(tenant, channel="email", status=Status.QUEUED, recipient="ada@example.com", subject=subject)
        good = make_message(tenant, channel="email", status=Status.QUEUED, recipient="bob@example.com", subject="Hi")
        deliver([bad.pk, good.pk])
        row = Message.objects.get(pk=bad.pk)
        assert (row.status, row.error_code) == (Status.FAILED, "bad_header")
        assert [mail.recipients for mail in server.messages] == [["bob@example.com"]]
        provider_cache.forget()
        for _version, loaded_provider in provider_cache._made.values():
            loaded_provider.adapter.close()


def test_a_subject_template_filled_with_a_control_character_fails_for_good() -> None:
    tenant = make_tenant()
    template = make_template(
        tenant, channel="email", subject="For {{ name }}", body="Hello", variables=[{"name": "name", "example": "Ada"}]
    )
    variables = {"name": "Ada\x0bX-Foo: y"}
    row = make_message(
        tenant,
        channel="email",
        status=Status.QUEUED,
        recipient="ada@example.com",
        template_version=published(template),
        variables=variables,
    )
    deliver([row.pk])
    row.refresh_from_db()
    assert (row.status, row.error_code) == (Status.FAILED, "template")
    assert "U+000B" in row.error_detail


def test_a_template_that_renders_to_nothing_is_not_sent(gateway: Gateway) -> None:
    tenant = make_tenant()
    make_provider(tenant, kind="http", config={"url": gateway.url})
    row = queued(tenant, body="", template_version=published(make_template(tenant, body="{{ code }}")), variables={"code": " "})
    deliver([row.pk])
    row.refresh_from_db()
    assert (row.status, row.error_code) == (Status.FAILED, "template")
    assert gateway.records == []
