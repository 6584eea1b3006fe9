"""Credentials that a provider refuses, or that are about to expire: from the real answer to the built-in alarm."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from messaging.delivery.deliver import deliver
from messaging.models import Provider, Status
from messaging.providers import condition, editing
from monitor import figures
from monitor.alarms.evaluator import Evaluator
from monitor.alarms.lease import Place
from monitor.alarms.states import AlarmState
from monitor.models import Alarm
from posthaste.lib import metrics, redis
from tests.builders import TESTER, make_message, make_provider, make_tenant
from tests.peers.gateway import Answer, Gateway
from tests.peers.smtp import MailServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
WATCHED = {"up", "processes", "refused_credentials", "credential_days", "certificate_days"}
Make = Callable[[Gateway, MailServer], Provider]


@pytest.fixture(autouse=True)
def _only_what_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_metrics", {name: one for name, one in metrics._metrics.items() if name in WATCHED})
    redis.client().delete(condition._refused_key(), condition._certificates_key())


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """Start a mail server that wants a login."""
    with MailServer(login=("shop", "right")) as running:
        yield running


def series(rule: str) -> set[str]:
    """Take a turn, and return what a built-in alarm is raised for."""
    figures.forget()
    Evaluator().turn(Place.REDIS, now=timezone.now())
    return {alarm.series for alarm in Alarm.objects.filter(rule=rule, state=AlarmState.FIRING)}


def by_http(status: int) -> Make:
    def make(gateway: Gateway, _mail: MailServer) -> Provider:
        gateway.script(Answer(status=status), times=5)
        return make_provider(make_tenant(), name="gateway", kind="http", config={"url": gateway.url})

    return make


def by_apprise(status: int) -> Make:
    def make(gateway: Gateway, _mail: MailServer) -> Provider:
        gateway.script(Answer(status=status), times=5)
        config = {"url": f"json://127.0.0.1:{gateway.port}/hook"}
        return make_provider(make_tenant(), name="gateway", channel="chat", kind="apprise", config=config)

    return make


def by_mail(**login: str) -> Make:
    def make(_gateway: Gateway, mail: MailServer) -> Provider:
        config = {"host": mail.host, "port": mail.port, "security": "none", "from_email": "shop@example.com", **login}
        return make_provider(make_tenant(), name="gateway", channel="email", kind="email", config=config)

    return make


def mapped(gateway: Gateway, _mail: MailServer) -> Provider:
    """Make a provider that says 200 and refuses the login in its answer."""
    gateway.script(Answer(body={"error": "bad key"}), times=5)
    mapping = {"path": "error", "value": "bad key", "code": "provider_auth"}
    return make_provider(make_tenant(), name="gateway", kind="http", config={"url": gateway.url, "error_codes": [mapping]})


@pytest.mark.parametrize(
    "make",
    [by_http(401), by_http(403), by_apprise(401), by_apprise(403), by_mail(username="shop", password="wrong"), by_mail(), mapped],
    ids=["http 401", "http 403", "apprise 401", "apprise 403", "smtp 535", "smtp 530", "mapped"],
)
def test_a_provider_that_refuses_our_credentials_raises_an_alarm_until_they_are_others(
    gateway: Gateway, mail: MailServer, make: Make
) -> None:
    provider = make(gateway, mail)
    assert series("credential-refused") == set()
    message = make_message(provider.tenant, channel=provider.channel, status=Status.QUEUED)
    deliver([message.pk])
    message.refresh_from_db()
    assert (message.status, message.error_code) == (Status.PENDING, "provider_auth")
    assert series("credential-refused") == {"provider=gateway"}
    editing.change_provider(provider=provider, config=provider.config, fields=["config"], by=TESTER)
    assert condition.refusing() == []


@pytest.mark.parametrize(("reply", "is_login"), [("454 4.7.0 Temporary authentication failure", False), ("535 5.7.8 Bad", True)])
def test_a_login_that_fails_for_the_moment_is_no_refusal(reply: str, is_login: bool) -> None:
    with MailServer() as mail:
        mail.script("mail", reply)
        config = {"host": mail.host, "port": mail.port, "security": "none", "from_email": "shop@example.com"}
        provider = make_provider(make_tenant(), name="mail", channel="email", kind="email", config=config)
        deliver([make_message(provider.tenant, channel="email", status=Status.QUEUED).pk])
    assert condition.refusing() == (["mail"] if is_login else [])


def test_a_credential_about_to_expire_raises_an_alarm_until_it_is_renewed(gateway: Gateway) -> None:
    def config(days: int) -> dict[str, Any]:
        return {"url": gateway.url, "credential_expires_on": (timezone.now() + timedelta(days=days)).date().isoformat()}

    provider = make_provider(make_tenant(), name="gateway", kind="http", config=config(30))
    disabled = make_provider(provider.tenant, name="old", kind="http", config=config(3), is_enabled=False)
    assert series("credential-expiring") == set()
    provider = editing.change_provider(provider=provider, config=config(3), fields=["config"], by=TESTER)
    assert series("credential-expiring") == {"provider=gateway"}
    assert condition.credential_days(now=timezone.now()).keys() == {"gateway"}, disabled.name
    editing.change_provider(provider=provider, config=config(60), fields=["config"], by=TESTER)
    assert 60 <= condition.credential_days(now=timezone.now())["gateway"] <= 61


def test_other_refusals_are_none_of_our_credentials(gateway: Gateway) -> None:
    provider = make_provider(make_tenant(), name="gateway", kind="http", config={"url": gateway.url})
    for status in (400, 404, 429, 500):
        gateway.script(Answer(status=status))
        deliver([make_message(provider.tenant, status=Status.QUEUED).pk])
    assert condition.refusing() == []
