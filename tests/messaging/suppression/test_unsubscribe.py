"""Unsubscribing with one click (RFC 8058): the headers of a mail on the wire, the public page, and what they change."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry
from messaging.configuration import delivery_rules
from messaging.content.templates import Wording
from messaging.delivery.deliver import deliver
from messaging.models import Message, Status, Suppression
from messaging.providers.cache import provider_cache
from messaging.suppression import unsubscribe
from messaging.suppression.unsubscribe import Link
from posthaste import env
from posthaste.lib.crypto import cipher
from posthaste.lib.ids import new_id
from tests.builders import (
    close_committer,
    json_of,
    make_api,
    make_message,
    make_provider,
    make_suppression,
    make_template,
    make_tenant,
    published,
)
from tests.peers.smtp import MailServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running
        for _version, loaded_provider in provider_cache._made.values():
            loaded_provider.adapter.close()


@pytest.fixture(autouse=True)
def _reached_over_https(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env.load(), "public_url", "https://mail.example.com/")


def send(server: MailServer, tenant: Any, **fields: Any) -> Any:
    """Send one mail over SMTP and return it as it arrived."""
    config = {"host": "127.0.0.1", "port": server.port, "security": "none", "from_email": "us@example.com"}
    make_provider(tenant, channel="email", kind="email", config=config)
    message = make_message(tenant, **{"channel": "email", "status": Status.QUEUED, "subject": "Sale", "category": "marketing", **fields})
    deliver([message.pk])
    assert Message.objects.get(pk=message.pk).status == Status.SENT
    return server.messages[-1].message


def link_of(tenant: Any, recipient: str = "Ada@example.com", category: str = "marketing") -> tuple[Link, str]:
    link = Link(tenant.pk, recipient, category, new_id())
    return link, f"/u/{unsubscribe.token_for(link)}/"


def test_a_marketing_mail_carries_both_headers_and_its_link_takes_the_recipient_off_with_one_click(server: MailServer) -> None:
    tenant = make_tenant()
    mail = send(server, tenant)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = mail["List-Unsubscribe"].strip("<>")
    assert url.startswith("https://mail.example.com/u/")
    assert "ada" not in url
    # As a mail program does it: no cookie, no referrer, the body that the RFC prescribes, and no redirect.
    answer = Client(enforce_csrf_checks=True).post(url.removeprefix("https://mail.example.com"), ONE_CLICK)
    assert answer.status_code == 200
    entry = Suppression.objects.get(tenant=tenant)
    assert (entry.recipient, entry.channel, entry.category, entry.reason) == ("ada@example.com", "email", "marketing", "unsubscribe")
    assert entry.message_id == Message.objects.get(tenant=tenant).pk
    second = make_message(tenant, channel="email", status=Status.QUEUED, category="marketing", subject="Sale")
    notice = make_message(tenant, channel="email", status=Status.QUEUED, category="notice", subject="Your order")
    deliver([second.pk, notice.pk])
    assert [Message.objects.get(pk=row.pk).status for row in (second, notice)] == [Status.SUPPRESSED, Status.SENT]


@pytest.mark.parametrize("category", ["", "code", "notice"])
def test_mails_of_other_categories_have_no_such_headers(server: MailServer, category: str) -> None:
    assert send(server, make_tenant(), category=category)["List-Unsubscribe"] is None


def test_without_https_there_are_no_headers_as_the_rfc_takes_no_other_address(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env.load(), "public_url", "http://localhost:8000")
    assert send(server, make_tenant())["List-Unsubscribe"] is None


def test_looking_at_the_page_changes_nothing_and_shows_no_clear_address() -> None:
    tenant = make_tenant()
    _link, path = link_of(tenant)
    answer = Client().get(path)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert "Acme" in page
    assert "A***@example.com" in page
    assert "Ada@example.com" not in page
    assert Client().head(path).status_code == 200
    assert Suppression.objects.count() == 0
    assert (answer["Referrer-Policy"], answer["X-Robots-Tag"]) == ("no-referrer", "noindex, nofollow")
    assert "no-store" in answer["Cache-Control"]


def test_clicking_twice_is_as_good_as_once_and_can_be_undone_on_the_page() -> None:
    tenant = make_tenant()
    link, path = link_of(tenant)
    for _click in range(2):
        assert "You are unsubscribed" in Client().post(path, ONE_CLICK).content.decode()
    assert Suppression.objects.count() == 1
    assert "Undone" in Client().post(path, {"undo": "1"}).content.decode()
    assert not unsubscribe.is_listed(link, now=timezone.now())
    assert Client().post(path, {"undo": "1"}).status_code == 200
    trail = list(AuditEntry.objects.filter(tenant=tenant).order_by("id").values_list("action", "actor", "target"))
    assert trail == [
        ("suppression.unsubscribe", "recipient", "A***@example.com"),
        ("suppression.undo", "recipient", "A***@example.com"),
    ]


def test_undoing_takes_away_nothing_that_others_entered() -> None:
    tenant = make_tenant()
    link, path = link_of(tenant)
    make_suppression(tenant, "ada@example.com", reason="manual")
    Client().post(path, ONE_CLICK)
    Client().post(path, {"undo": "1"})
    assert list(Suppression.objects.values_list("reason", flat=True)) == ["manual"]
    assert unsubscribe.is_listed(link, now=timezone.now())


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_page_speaks_the_readers_language(language: str) -> None:
    _link, path = link_of(make_tenant())
    page = Client().get(path, headers={"Accept-Language": language}).content.decode()
    assert f'lang="{language}"' in page


def test_a_made_up_a_changed_or_a_foreign_token_opens_nothing() -> None:
    tenant = make_tenant()
    link, path = link_of(tenant)
    foreign = cipher().encrypt(b'["something else", 1, "a@example.com", "", "00"]').decode()
    broken = path[:20] + ("A" if path[20] != "A" else "B") + path[21:]
    for wrong in ("/u/x/", broken, f"/u/{foreign}/", f"/u/{'A' * 5000}/", "/u/%00/", "/u/ä/"):
        for method in ("get", "post"):
            assert getattr(Client(), method)(wrong).status_code == 404, wrong
    assert Suppression.objects.count() == 0
    assert Client().put(path).status_code == 405
    tenant.delete()
    assert Client().post(path, ONE_CLICK).status_code == 404
    assert unsubscribe.read(unsubscribe.token_for(link)) == link


def test_a_link_works_also_when_its_message_was_deleted_long_since() -> None:
    link, path = link_of(make_tenant())
    assert not Message.objects.filter(pk=link.message_id).exists()
    assert Client().post(path, ONE_CLICK).status_code == 200
    assert unsubscribe.is_listed(link, now=timezone.now())


# --- {{ unsubscribe_url }} in the text -------------------------------------------------------------------------------

LINKED = {"body": "Sale! No more of these: {{ unsubscribe_url }}", "html": '<p>Sale! <a href="{{ unsubscribe_url }}">No more</a></p>'}
GUARDED = "Sale!{% if unsubscribe_url %} No more: {{ unsubscribe_url }}{% endif %}"


def template_for(tenant: Any, **fields: Any) -> Any:
    return make_template(tenant, channel="email", variables=[], **(fields or LINKED))


def texts_of(mail: Any) -> tuple[str, str]:
    return mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()


def test_the_link_in_the_text_opens_the_page_and_takes_the_recipient_off(server: MailServer) -> None:
    tenant = make_tenant()
    mail = send(server, tenant, template_version=published(template_for(tenant)), subject="", body="")
    url = mail["List-Unsubscribe"].strip("<>")
    text, html = texts_of(mail)
    assert f"No more of these: {url}" in text
    assert f'href="{url}"' in html
    page, path = Client(), url.removeprefix("https://mail.example.com")
    assert "Unsubscribe" in page.get(path).content.decode()
    assert Suppression.objects.count() == 0
    assert "You are unsubscribed" in page.post(path).content.decode()
    assert Suppression.objects.get(tenant=tenant).category == "marketing"


def test_the_link_in_the_text_needs_no_https_and_each_recipient_has_their_own(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env.load(), "public_url", "http://localhost:8000")
    tenant = make_tenant()
    version = published(template_for(tenant))
    found = []
    for recipient in ("ada@example.com", "bob@example.com"):
        mail = send(server, tenant, template_version=version, recipient=recipient)
        assert mail["List-Unsubscribe"] is None
        found.append(unsubscribe.read(unsubscribe.token_in(texts_of(mail)[0].strip())))
    assert [link.recipient for link in found if link] == ["ada@example.com", "bob@example.com"]


def test_a_message_whose_category_has_no_link_is_refused_unless_its_template_can_do_without(server: MailServer) -> None:
    tenant = make_tenant()
    api = make_api(tenant)
    body = {"channel": "email", "recipient": "ada@example.com", "category": "notice"}
    for address, extra in (("/api/messages/", {}), ("/api/messages/batch", {"recipients": [{"recipient": "ada@example.com"}]})):
        sent = {**body, "template": template_for(tenant).name, **extra}
        if extra:
            del sent["recipient"]
        answer = api.post(address, sent)
        assert answer.status_code == 422
        assert [(error["field"], error["code"]) for error in json_of(answer)["errors"]] == [("category", "no_unsubscribe_link")]
    assert Message.objects.count() == 0
    guarded = template_for(tenant, body=GUARDED)
    assert api.post("/api/messages/", body | {"template": guarded.name}).status_code == 202
    close_committer()
    mail = send(server, tenant, template_version=published(guarded), category="notice", recipient="bob@example.com")
    assert mail.get_content().strip() == "Sale!"


def test_an_address_that_the_caller_makes_up_is_refused(server: MailServer) -> None:
    tenant = make_tenant()
    body = {"channel": "email", "recipient": "ada@example.com", "category": "marketing", "template": template_for(tenant).name}
    answer = make_api(tenant).post("/api/messages/", body | {"variables": {"unsubscribe_url": "https://evil.example"}})
    assert [(error["field"], error["code"]) for error in json_of(answer)["errors"]] == [("variables.unsubscribe_url", "reserved")]


def test_previews_sandbox_mails_and_the_admin_show_a_sample_that_takes_nobody_off(admin_client: Client) -> None:
    tenant = make_tenant()
    template = template_for(tenant, body=GUARDED)
    sample = "https://mail.example.com/u/sample/"
    preview, api = f"/api/templates/{template.name}/preview/", make_api(tenant)
    assert json_of(api.post(preview, {}))["body"] == f"Sale! No more: {sample}"
    assert json_of(api.post(preview, {"variables": {"unsubscribe_url": None}}))["body"] == "Sale!"
    fields: dict[str, Any] = {"channel": "email", "category": "marketing", "template_version": published(template)}
    tried = make_message(tenant, status=Status.QUEUED, is_sandbox=True, **fields)
    deliver([tried.pk])
    assert [entry["body"] for entry in json_of(api.get("/api/sandbox/outbox/"))] == [f"Sale! No more: {sample}"]
    page = admin_client.get(f"/admin/messaging/message/{make_message(tenant, **fields).pk}/change/").content.decode()
    assert sample in page
    assert page.count("/u/") == 1
    answer = Client().get("/u/sample/")
    assert answer.status_code == 404
    assert "sample link from a preview" in answer.content.decode()


def test_the_same_text_with_another_link_is_still_a_duplicate(server: MailServer) -> None:
    tenant = make_tenant()
    version = published(template_for(tenant))
    with delivery_rules.set(duplicates={"is_enabled": True}):
        send(server, tenant, template_version=version)
        twin = make_message(tenant, channel="email", status=Status.QUEUED, category="marketing", template_version=version)
        deliver([twin.pk])
    assert Message.objects.get(pk=twin.pk).error_code == "rule:duplicate"


@pytest.mark.parametrize(
    ("draft", "field", "code"),
    [
        ({"channel": "sms", "body": "Sale! {{ unsubscribe_url }}"}, "body", "not_allowed"),
        ({"channel": "email", "subject": "{{ unsubscribe_url }}", "body": "Sale!"}, "subject", "not_allowed"),
        (
            {"channel": "email", "subject": "Sale", "body": "Sale!", "variables": [{"name": "unsubscribe_url"}]},
            "variables[0].name",
            "reserved",
        ),
    ],
)
def test_a_draft_that_can_never_have_a_link_or_names_one_itself_is_refused(draft: dict[str, Any], field: str, code: str) -> None:
    api = make_api(make_tenant())
    answer = api.post("/api/templates/", {"name": "sale", **draft})
    assert answer.status_code == 422
    assert [(error["field"], error["code"]) for error in json_of(answer)["errors"]] == [(field, code)]


def test_a_version_of_earlier_that_declared_this_name_keeps_what_its_callers_give() -> None:
    tenant = make_tenant()
    version = published(template_for(tenant))
    version.variables = [{"name": "unsubscribe_url"}]
    wording = Wording.of(version)
    assert not wording.links_to_unsubscribe
    assert "https://shop.example/off" in wording.render({"unsubscribe_url": "https://shop.example/off"}).body


def test_a_template_without_the_link_makes_no_address(monkeypatch: pytest.MonkeyPatch, server: MailServer) -> None:
    monkeypatch.setattr(env.load(), "public_url", "http://localhost:8000")
    made: list[Link] = []
    real = unsubscribe.token_for

    def noted(link: Link) -> str:
        made.append(link)
        return real(link)

    monkeypatch.setattr(unsubscribe, "token_for", noted)
    tenant = make_tenant()
    send(server, tenant, template_version=published(template_for(tenant, body="Sale!")))
    assert made == []
    send(server, tenant, template_version=published(template_for(tenant)))
    assert len(made) == 1
