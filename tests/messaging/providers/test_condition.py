"""How providers are: credentials, certificates, receipts."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from messaging.channels.base import TlsServer
from messaging.channels.registry import make_adapter
from messaging.models import Provider, ReceiptEntry, Status
from messaging.providers import certificates, condition
from messaging.providers.breakers import of_host, of_provider
from posthaste.lib import redis
from posthaste.lib.ids import first_id_at
from tests.builders import make_message, make_provider, make_tenant
from tests.peers.certificate import make_certificate
from tests.peers.smtp import MailServer

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]


def refuse(*ids: Any) -> None:
    pipeline = redis.client().pipeline(transaction=False)
    condition.note_refused(pipeline, ids)
    pipeline.execute()


def test_providers_that_refused_our_credentials_are_named_for_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = make_tenant()
    provider, disabled = make_provider(tenant, name="gateway"), make_provider(tenant, name="old", is_enabled=False)
    refuse(provider.pk, disabled.pk)
    assert condition.refusing() == ["gateway"]
    monkeypatch.setattr(condition, "REFUSED_SECONDS", -1)
    assert condition.refusing() == []
    monkeypatch.undo()
    assert condition.refusing() == [], "what was old has been removed"


def test_breakers_are_called_as_on_pages_and_a_provider_that_is_gone_is_left_out() -> None:
    provider = make_provider(make_tenant(), name="gateway")
    names = [of_provider(provider.pk), of_host("hooks.example.com"), of_provider(first_id_at(timezone.now()))]
    assert condition.titles(names) == ["gateway", "hooks.example.com"]


def test_two_tenants_may_call_their_providers_the_same() -> None:
    first, second = make_provider(make_tenant("One"), name="gateway"), make_provider(make_tenant("Two"), name="gateway")
    refuse(first.pk, second.pk)
    assert len(set(condition.refusing())) == 2


@pytest.mark.parametrize(
    ("kind", "config", "server"),
    [
        ("http", {"url": "https://api.example.com/send"}, TlsServer("api.example.com", 443)),
        ("http", {"url": "http://api.example.com/send"}, None),
        ("http", {"url": "https://api.example.com:8443/{{ recipient }}"}, TlsServer("api.example.com", 8443)),
        ("email", {"host": "mail.example.com", "from_email": "a@example.com"}, TlsServer("mail.example.com", 587, starttls=True)),
        ("email", {"host": "mail.example.com", "from_email": "a@example.com", "security": "tls"}, TlsServer("mail.example.com", 465)),
        ("email", {"host": "mail.example.com", "from_email": "a@example.com", "security": "none"}, None),
        ("sandbox", {}, None),
    ],
)
def test_an_adapter_names_the_server_whose_certificate_matters(kind: str, config: dict[str, Any], server: TlsServer | None) -> None:
    assert make_adapter(kind, config).tls_server() == server


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_the_certificate_of_a_mail_server_is_looked_up_whoever_issued_it(tmp_path: Path, security: str) -> None:
    _path, context = make_certificate(tmp_path, "127.0.0.1")
    with MailServer(tls=context, implicit_tls=security == "tls") as mail:
        config = {"host": mail.host, "port": mail.port, "security": security, "from_email": "shop@example.com"}
        make_provider(make_tenant(), name="mail", channel="email", kind="email", config=config)
        assert certificates.look_at_certificates(now=timezone.now()) == 1
    days = condition.certificate_days(now=timezone.now())
    assert list(days) == ["mail"]
    assert 1.8 < days["mail"] <= 2.0


def test_a_server_that_does_not_answer_is_left_out() -> None:
    make_provider(make_tenant(), name="gone", kind="http", config={"url": "https://127.0.0.1:9/send"})
    assert certificates.look_at_certificates(now=timezone.now()) == 0
    assert condition.certificate_days(now=timezone.now()) == {}


def test_missing_receipts_are_judged_for_providers_that_usually_send_some() -> None:
    now, tenant = timezone.now(), make_tenant()
    then = now - timedelta(minutes=30)
    provider, silent = make_provider(tenant, name="gateway"), make_provider(tenant, name="silent")
    for owner in (provider, silent):
        for number in range(20):
            status = Status.DELIVERED if owner is provider and number < 5 else Status.SENT
            make_message(tenant, at=then, provider=owner, status=status)
    assert condition.receipts_missing(now=now) == {}, "neither has ever sent one"
    ReceiptEntry.objects.create(provider=provider, reported="delivered", outcome="applied")
    assert condition.receipts_missing(now=now) == {"gateway": 75.0}
    assert condition.receipts_missing(now=now - timedelta(hours=2)) == {}


def test_the_earliest_of_what_is_known_of_a_credential_counts(tmp_path: Path) -> None:
    now, tenant = timezone.now(), make_tenant()
    path, _context = make_certificate(tmp_path)
    headers = {"X-Certificate": " ".join(path.read_text().split("\n"))}
    day = (now + timedelta(days=300)).date().isoformat()
    url = "https://api.example.com/send"
    make_provider(tenant, name="both", kind="http", config={"url": url, "headers": headers, "credential_expires_on": day})
    make_provider(tenant, name="dated", kind="http", config={"url": url, "credential_expires_on": day})
    make_provider(tenant, name="silent", kind="http", config={"url": url})
    days = condition.credential_days(now=now)
    assert days.keys() == {"both", "dated"}
    assert 1.8 < days["both"] <= 2.0
    assert 300 <= days["dated"] <= 301


def test_a_credential_whose_configuration_cannot_be_decrypted_holds_up_no_other() -> None:
    now, tenant = timezone.now(), make_tenant()
    config = {"url": "https://api.example.com/send", "credential_expires_on": (now + timedelta(days=5)).date().isoformat()}
    lost = make_provider(tenant, name="lost", kind="http", config=config)
    make_provider(tenant, name="kept", kind="http", config=config)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {Provider._meta.db_table} SET config = 'gAAAA' WHERE name = %s", [lost.name])
    assert condition.credential_days(now=now).keys() == {"kept"}
