"""Faults before anything leaves: final for the message or for the provider, never `unknown`, and no breaker counts them."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from accounts.models import Tenant
from messaging.channels.base import Accepted, CannotCompose, OutcomeUnknown, ProviderError, SendRequest
from messaging.channels.http import HttpAdapter
from messaging.channels.sandbox import SandboxAdapter
from messaging.configuration import circuit_breakers
from messaging.configuration.breakers import BreakerRule
from messaging.delivery import deliver as module
from messaging.delivery.deliver import deliver
from messaging.delivery.render import RenderedMessage, render_message
from messaging.models import Message, Provider, Status
from messaging.providers.breakers import of_provider
from messaging.storage.store import Claimed
from messaging.suppression import suppressions
from posthaste.lib import redis
from posthaste.lib.breaker import Phase, breakers
from tests.builders import Api, json_of, make_api, make_message, make_provider, make_template, make_tenant, published
from tests.peers.gateway import Gateway
from tests.peers.smtp import MailServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
RULE = BreakerRule(window_seconds=30, min_requests=5, open_seconds=60, trial_calls=2)
HEADS = ["Hi\u000bX-Foo: y", "Hi\u000cReply-To: evil@example.net", "Hi\u001cBcc: evil@example.net", "Hi\u2028X-Foo: y", "Hi\nX-Foo: y"]


@pytest.fixture(autouse=True)
def _rules() -> Iterator[None]:
    with circuit_breakers.set(providers=RULE, webhooks=RULE):
        yield


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running


@pytest.fixture
def login_server() -> Iterator[MailServer]:
    with MailServer(login=("shop", "pässword")) as running:
        yield running


def mail_provider(tenant: Tenant, server: MailServer, **config: Any) -> Provider:
    settings = {"host": "127.0.0.1", "port": server.port, "security": "none", "from_email": "shop@example.com"}
    return make_provider(tenant, channel="email", kind="email", config=settings | config, weight=config.pop("weight", 100))


def send(tenant: Tenant, count: int, **fields: Any) -> list[Message]:
    rows = [make_message(tenant, status=Status.QUEUED, **fields) for _ in range(count)]
    deliver([row.pk for row in rows])
    return list(Message.objects.filter(pk__in=[row.pk for row in rows]).order_by("pk"))


def calls_counted(provider: Provider) -> bool:
    return bool(breakers.history(of_provider(provider.pk))) or breakers.phase(of_provider(provider.pk)) != Phase.CLOSED


@pytest.mark.parametrize("subject", HEADS, ids=ascii)
def test_a_subject_that_no_mail_can_have_ends_its_message_and_no_other(subject: str, tenant: Tenant, server: MailServer) -> None:
    provider = mail_provider(tenant, server)
    bad = send(tenant, 25, channel="email", subject=subject)
    good = send(tenant, 3, channel="email", subject="Hello")
    assert {row.status for row in good} == {Status.SENT}
    assert not calls_counted(provider)
    for row in bad:
        if row.status != Status.SENT:  # a mail that could be composed holds no head line of the subject's
            assert (row.status, row.attempts) == (Status.FAILED, 1)
            assert row.error_code in ("bad_header", "bad_message")
    assert all("X-Foo" not in mail.message and "Bcc" not in mail.message for mail in server.messages)


def test_a_password_that_smtp_cannot_carry_moves_the_mail_to_the_next_provider(
    tenant: Tenant, login_server: MailServer, server: MailServer
) -> None:
    broken = mail_provider(tenant, login_server, username="shop", password="pässword")
    mail_provider(tenant, server)
    rows = send(tenant, 25, channel="email", subject="Hello")
    assert {row.status for row in rows} == {Status.SENT}
    assert len(server.messages) == 25
    assert not calls_counted(broken)


def test_without_another_provider_the_mail_is_tried_again_later(tenant: Tenant, login_server: MailServer) -> None:
    broken = mail_provider(tenant, login_server, username="shop", password="pässword")
    (row,) = send(tenant, 1, channel="email", subject="Hello")
    assert (row.status, row.error_code) == (Status.PENDING, "configuration")
    assert "password" in row.error_detail
    assert "pässword" not in row.error_detail
    assert not calls_counted(broken)


def test_the_test_button_blames_the_password_and_not_the_recipient(tenant: Tenant, login_server: MailServer) -> None:
    api: Api = make_api(tenant)
    provider = mail_provider(tenant, login_server, username="shop", password="pässword")
    answer = api.post(f"/api/providers/{provider.pk}/test/", {"recipient": "ada@example.com"})
    shown = json_of(answer)
    assert (answer.status_code, shown["ok"], shown["code"], shown["field"]) == (200, False, "configuration", "config.password")


def test_the_test_button_blames_a_configuration_that_became_invalid(tenant: Tenant) -> None:
    provider = make_provider(tenant, channel="webhook", kind="http", config={})
    Provider.objects.filter(pk=provider.pk).update(channel="sms")  # as an older release may have stored it
    answer = make_api(tenant).post(f"/api/providers/{provider.pk}/test/", {"recipient": "+8613812345678"})
    assert [error["field"] for error in json_of(answer)["errors"]] == ["config.url"]


def test_a_fault_while_composing_is_final_for_that_message(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    with Gateway() as gateway:
        provider = make_provider(tenant, kind="http", config={"url": gateway.url})
        good, bad = (make_message(tenant, status=Status.QUEUED, body=body) for body in ("fine", "breaks the adapter"))
        compose = HttpAdapter.compose

        def broken(self: HttpAdapter, request: SendRequest) -> Any:
            if request.body == bad.body:
                raise KeyError("a bug of ours")
            return compose(self, request)

        monkeypatch.setattr(HttpAdapter, "compose", broken)
        deliver([good.pk, bad.pk])
    found = dict(Message.objects.values_list("pk", "status"))
    assert found == {good.pk: Status.SENT, bad.pk: Status.FAILED}
    assert Message.objects.get(pk=bad.pk).error_code == "bad_message"
    assert not calls_counted(provider)


def test_a_fault_of_ours_during_the_call_is_unknown_and_no_fault_of_the_provider(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = make_provider(tenant, kind="http", config={"url": "https://gateway.example.com/"})

    def broken(self: HttpAdapter, composed: Any) -> Accepted:
        raise KeyError("a bug of ours")

    monkeypatch.setattr(HttpAdapter, "hand_over", broken)
    rows = send(tenant, 10)
    assert {(row.status, row.error_code) for row in rows} == {(Status.UNKNOWN, "adapter_error")}
    assert breakers.phase(of_provider(provider.pk)) == Phase.CLOSED


@pytest.mark.parametrize("error", [OutcomeUnknown("lost"), CannotCompose("bad")], ids=["may have left", "nothing left"])
def test_an_adapter_says_whether_something_may_have_left(error: ProviderError) -> None:
    assert not error.tries_another
    assert error.permanent is isinstance(error, CannotCompose)


def test_a_message_that_breaks_the_rendering_ends_alone_and_after_its_attempts(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, its whole chunk was put off again and again, for ever."""
    make_provider(tenant)
    rows = [make_message(tenant, status=Status.QUEUED) for _ in range(5)]
    render = render_message

    def broken(row: Claimed) -> RenderedMessage:
        if row.id == rows[2].pk:
            raise KeyError("a bug of ours")
        return render(row)

    monkeypatch.setattr(module, "render_message", broken)
    deliver([row.pk for row in rows])
    assert [Message.objects.get(pk=row.pk).status for row in rows] == [*[Status.SENT] * 2, Status.PENDING, *[Status.SENT] * 2]
    for _ in range(3):
        Message.objects.filter(status=Status.PENDING).update(status=Status.QUEUED)
        deliver([rows[2].pk])
    last = Message.objects.get(pk=rows[2].pk)
    assert (last.status, last.error_code, last.attempts) == (Status.FAILED, "internal", 4)


def test_a_message_whose_template_is_gone_takes_no_other_along(tenant: Tenant) -> None:
    make_provider(tenant)
    template = make_template(tenant, body="Hi {{ code }}")
    good = [make_message(tenant, status=Status.QUEUED) for _ in range(3)]
    bad = make_message(tenant, status=Status.QUEUED, body="", template_version=published(template), variables={"code": "1"})
    Message.objects.filter(pk=bad.pk).update(template_version=10**6)
    deliver([*(row.pk for row in good), bad.pk])
    assert {Message.objects.get(pk=row.pk).status for row in good} == {Status.SENT}
    assert Message.objects.get(pk=bad.pk).error_code == "internal"


def test_a_call_of_the_sandbox_that_fails_whole_says_so_for_each(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    make_provider(tenant)

    def broken(self: SandboxAdapter, requests: Sequence[SendRequest]) -> list[Any]:
        raise KeyError("a bug of ours")

    monkeypatch.setattr(SandboxAdapter, "send_many", broken)
    assert {row.error_code for row in send(tenant, 3)} == {"adapter_error"}


def test_while_redis_is_away_nothing_of_this_is_taken_for_a_messages_fault(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    make_provider(tenant)

    def away(*_args: Any, **_kwargs: Any) -> Any:
        raise redis.Unavailable

    monkeypatch.setattr(suppressions, "listed", away)
    rows = send(tenant, 3)
    assert {(row.status, row.attempts) for row in rows} == {(Status.PENDING, 0)}
