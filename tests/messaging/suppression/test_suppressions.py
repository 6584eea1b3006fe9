"""The suppression list: over the API, in the admin, and filled by bounces."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, KeyKind, Member, User
from accounts.roles import Role
from messaging.channels.base import Receipt
from messaging.configuration import delivery_rules
from messaging.delivery.deliver import deliver
from messaging.models import Message, Status, Suppression, SuppressionReason
from messaging.providers.cache import provider_cache
from messaging.receipts import receive
from messaging.suppression import suppressions
from messaging.suppression.suppressions import Entry
from tests import crowds
from tests.builders import actor, close_committer, fields_of, json_of, make_api, make_message, make_provider, make_suppression, make_tenant
from tests.peers.smtp import MailServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


@pytest.fixture
def committer() -> Iterator[None]:
    """Let go of accept's writer when the test is over."""
    yield
    close_committer()


def recipients(tenant: Any) -> list[str]:
    return sorted(Suppression.objects.filter(tenant=tenant).values_list("recipient", flat=True))


# --- API -------------------------------------------------------------------------------------------------------------


def test_a_recipient_is_added_shown_masked_found_exactly_and_removed() -> None:
    tenant = make_tenant()
    api = make_api(tenant)
    made = api.post("/api/suppressions/", {"recipient": "Ada@Example.com", "channel": "email", "category": "marketing"})
    assert made.status_code == 201
    again = api.post("/api/suppressions/", {"recipient": "ada@example.com", "channel": "email", "category": "marketing"})
    assert (again.status_code, json_of(again)["id"]) == (200, json_of(made)["id"])
    (shown,) = json_of(api.get("/api/suppressions/"))["results"]
    assert (shown["recipient"], shown["reason"]) == ("a***@example.com", "api")
    assert len(json_of(api.get("/api/suppressions/", recipient="ADA@example.com"))["results"]) == 1
    assert json_of(api.get("/api/suppressions/", recipient="ada"))["results"] == []
    address = f"/api/suppressions/{shown['id']}/"
    assert json_of(api.get(address))["recipient"] == "ada@example.com"
    assert api.delete(address).status_code == 204
    assert api.delete(address).status_code == 404
    trail = list(AuditEntry.objects.filter(tenant=tenant, action__startswith="suppression.").order_by("id").values_list("action", "target"))
    assert trail == [("suppression.add", "a***@example.com")] * 2 + [("suppression.remove", "a***@example.com")]


def test_many_are_added_at_once_and_a_repeated_call_adds_none() -> None:
    tenant = make_tenant()
    api = make_api(tenant)
    body = {"recipients": [f"+8613812{n:06}" for n in range(1200)] + ["+8613812000000"], "channel": "sms"}
    assert json_of(api.post("/api/suppressions/bulk/", body)) == {"added": 1200, "present": 1}
    assert json_of(api.post("/api/suppressions/bulk/", body)) == {"added": 0, "present": 1201}
    assert Suppression.objects.filter(tenant=tenant).count() == 1200


def test_one_bad_recipient_is_named_and_nothing_is_added() -> None:
    tenant = make_tenant()
    answer = make_api(tenant).post("/api/suppressions/bulk/", {"recipients": ["+8613812345678", "12"], "channel": "sms"})
    assert fields_of(answer) == ["recipients[1]"]
    assert recipients(tenant) == []
    past = {"recipient": "+8613812345678", "expires_at": (timezone.now() - timedelta(hours=1)).isoformat()}
    assert fields_of(make_api(tenant).post("/api/suppressions/", past)) == ["expires_at"]
    assert fields_of(make_api(tenant).post("/api/suppressions/", {"recipient": "x", "channel": "pigeon"})) == ["channel"]


def test_a_sandbox_key_may_look_and_not_change_what_holds_back_real_messages() -> None:
    tenant = make_tenant()
    entry = make_suppression(tenant)
    api = make_api(tenant, kind=KeyKind.SANDBOX)
    assert api.get("/api/suppressions/").status_code == 200
    assert api.post("/api/suppressions/", {"recipient": "ada@example.com"}).status_code == 403
    assert api.delete(f"/api/suppressions/{entry.pk}/").status_code == 403


def test_for_all_channels_a_recipient_stands_in_the_form_that_messages_have() -> None:
    tenant = make_tenant()
    given = ["+86 138-1234-5678", "Ada@Example.COM", "HTTPS://Hooks.example.com", "room-7"]
    now = timezone.now()
    suppressions.add(
        tenant_id=tenant.pk, recipients=given, channel="", category="", reason=SuppressionReason.MANUAL, by=actor("user:a"), now=now
    )
    assert recipients(tenant) == sorted(["+8613812345678", "ada@example.com", "https://hooks.example.com/", "room-7"])


@pytest.mark.parametrize("body", [{"recipient": "447400999777"}, {"recipient": "zhang@corp"}, {"recipient": "example.com/hook"}])
def test_what_could_be_a_number_or_an_address_is_refused_until_it_says_what_it_is(body: dict[str, Any]) -> None:
    tenant = make_tenant()
    api = make_api(tenant)
    refused = api.post("/api/suppressions/", body)
    assert fields_of(refused) == ["recipient"]
    assert "set kind to name" in json_of(refused)["errors"][0]["message"]
    assert fields_of(api.post("/api/suppressions/bulk/", {"recipients": ["room-7", body["recipient"]]})) == ["recipients[1]"]
    assert recipients(tenant) == []
    assert json_of(api.post("/api/suppressions/", body | {"kind": "name"}))["kind"] == "name"
    assert json_of(api.post("/api/suppressions/", body | {"channel": "chat"}))["channel"] == "chat"
    assert fields_of(api.post("/api/suppressions/", body | {"channel": "chat", "kind": "name"})) == ["kind"]


def test_no_caller_can_name_the_category_that_passes_by_an_unsubscription() -> None:
    api = make_api(make_tenant())
    body = {"channel": "email", "recipient": "ada@example.com", "subject": "s", "body": "b", "category": suppressions.ANSWER}
    assert fields_of(api.post("/api/messages/", body)) == ["category"]
    assert fields_of(api.post("/api/templates/", {"name": "a", "channel": "email", "category": suppressions.ANSWER})) == ["category"]


@pytest.mark.usefixtures("committer")
def test_a_number_as_people_write_it_holds_back_its_messages_however_they_are_addressed() -> None:
    tenant = make_tenant()
    api = make_api(tenant)
    make_provider(tenant)
    made = api.post("/api/suppressions/", {"recipient": "\uff0b44\u30007400\u2011999\u200b777"})
    assert (made.status_code, json_of(made)["recipient"], json_of(made)["kind"]) == (201, "+447400999777", "phone")
    sent = api.post("/api/messages/", {"channel": "sms", "recipient": "\u202a+44 7400 999\u2013777\u202c", "body": "x"})
    assert sent.status_code == 202
    Message.objects.update(status=Status.QUEUED)
    deliver([Message.objects.get().pk])
    assert Message.objects.get().error_code == "rule:suppressed:api"


@pytest.mark.parametrize("query", ["+447400999777", "%2B447400999777", "447400999777", "%2B44%207400-999-777", "%EF%BC%8B447400999777"])
@pytest.mark.parametrize("path", ["/api/suppressions/", "/api/messages/"])
def test_a_filter_by_a_number_finds_it_also_where_plus_became_a_blank(query: str, path: str) -> None:
    tenant = make_tenant()
    make_suppression(tenant, "+447400999777")
    make_suppression(tenant, "+447400999778")
    make_message(tenant, recipient="+447400999777")
    make_message(tenant, recipient="+447400999778")
    assert len(json_of(make_api(tenant).request("GET", f"{path}?recipient={query}"))["results"]) == 1


def test_an_entry_that_has_run_out_is_replaced_and_one_that_stands_is_left() -> None:
    tenant, now = make_tenant(), timezone.now()
    make_suppression(tenant, "a@example.com", expires_at=now - timedelta(days=1))
    make_suppression(tenant, "b@example.com", reason=SuppressionReason.MANUAL)
    entries = [Entry("a@example.com"), Entry("b@example.com")]
    assert suppressions.suppress(entries, tenant_id=tenant.pk, reason=SuppressionReason.HARD_BOUNCE, author="provider", now=now) == 1
    found = dict(Suppression.objects.filter(tenant=tenant).values_list("recipient", "reason"))
    assert found == {"a@example.com": "hard_bounce", "b@example.com": "manual"}


def test_two_who_add_the_same_at_once_leave_one_entry() -> None:
    tenant, now = make_tenant(), timezone.now()
    entries = [Entry(f"{n}@example.com") for n in range(50)]

    def add() -> None:
        suppressions.suppress(entries, tenant_id=tenant.pk, reason=SuppressionReason.API, author="key:x", now=now)

    crowds.at_once(*[add] * 4)
    assert len(recipients(tenant)) == 50


# --- bounces ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running
        for _version, loaded_provider in provider_cache._made.values():
            loaded_provider.adapter.close()


def mail_to(tenant: Any, recipient: str, **fields: Any) -> Message:
    return make_message(tenant, channel="email", status=Status.QUEUED, recipient=recipient, subject="Hi", **fields)


def with_server(server: MailServer) -> Any:
    tenant = make_tenant()
    config = {"host": "127.0.0.1", "port": server.port, "security": "none", "from_email": "us@example.com"}
    make_provider(tenant, channel="email", kind="email", config=config)
    return tenant


@pytest.mark.parametrize(
    ("reply", "listed"),
    [
        ("550 No such user", True),
        ("550 5.1.1 User unknown", True),
        ("553 5.1.3 Bad address", True),
        ("550 5.7.1 Looks like spam", False),
        ("552 5.2.2 Mailbox full", False),
        ("550 sorry, no mailbox here by that name. (#5.1.1)", True),
        ("550 5.2.1 Mailbox disabled", True),
        ("550 relay not permitted", False),
        ("553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", False),
        ("550 Client host [203.0.113.7] blocked using zen.spamhaus.org", False),
        ("550 5.7.23 SPF check failed", False),
        ("550 5.7.26 Rejected due to the DMARC policy of example.com", False),
        ("550 Requested action not taken: mailbox unavailable", False),
        ("451 Try again later", False),
    ],
)
def test_a_refused_mailbox_goes_on_the_list_and_a_refused_text_does_not(server: MailServer, reply: str, listed: bool) -> None:
    tenant = with_server(server)
    server.refused["gone@example.com"] = reply
    message = mail_to(tenant, "gone@example.com")
    deliver([message.pk])
    assert recipients(tenant) == (["gone@example.com"] if listed else [])
    if listed:
        entry = Suppression.objects.get(tenant=tenant)
        assert (entry.reason, entry.message_id, entry.channel) == ("hard_bounce", message.pk, "email")
        second = mail_to(tenant, "Gone@example.com")
        deliver([second.pk])
        assert Message.objects.get(pk=second.pk).error_code == "rule:suppressed:hard_bounce"


def test_whether_a_disabled_mailbox_is_listed_is_configuration(server: MailServer) -> None:
    tenant = with_server(server)
    server.refused["away@example.com"] = "550 5.2.1 Mailbox disabled"
    with delivery_rules.set(bounce_codes=["hard_bounce"]):
        message = mail_to(tenant, "away@example.com")
        deliver([message.pk])
    assert recipients(tenant) == []
    row = Message.objects.get(pk=message.pk)
    assert (row.status, row.error_code) == (Status.FAILED, "mailbox_disabled")


@pytest.mark.parametrize(
    ("reply", "alone"),
    [
        ("550 relay not permitted", (Status.PENDING, "sender_refused")),  # retried: an administrator can put it right
        ("550 Requested action not taken: mailbox unavailable", (Status.FAILED, "smtp_550")),
    ],
)
def test_what_may_be_about_us_is_tried_with_another_provider(server: MailServer, reply: str, alone: tuple[str, str]) -> None:
    tenant = with_server(server)
    server.refused["ada@example.com"] = reply
    first = mail_to(tenant, "ada@example.com")
    deliver([first.pk])
    row = Message.objects.get(pk=first.pk)
    assert (row.status, row.error_code) == alone
    with MailServer() as other:
        config = {"host": "127.0.0.1", "port": other.port, "security": "none", "from_email": "us@example.com"}
        make_provider(tenant, channel="email", kind="email", config=config)
        second, unharmed = mail_to(tenant, "ada@example.com"), mail_to(tenant, "bob@example.com")
        server.refused["bob@example.com"] = reply
        deliver([second.pk, unharmed.pk])
        assert {mail.recipients[0] for mail in other.messages} == {"ada@example.com", "bob@example.com"}
        assert set(Message.objects.filter(pk__in=(second.pk, unharmed.pk)).values_list("status", flat=True)) == {Status.SENT}
        for _version, loaded_provider in provider_cache._made.values():
            loaded_provider.adapter.close()


def test_a_refusal_of_one_recipient_leaves_the_provider_in_use(server: MailServer) -> None:
    tenant = with_server(server)
    server.refused["ada@example.com"] = "550 5.7.1 relay not permitted"
    rows = [mail_to(tenant, name) for name in ("ada@example.com", "bob@example.com", "cleo@example.com")]
    deliver([rows[0].pk])
    deliver([row.pk for row in rows[1:]])
    assert [mail.recipients[0] for mail in server.messages] == ["bob@example.com", "cleo@example.com"]


def test_a_receipt_of_a_hard_bounce_puts_the_recipient_on_the_list() -> None:
    tenant = make_tenant()
    provider = make_provider(tenant, kind="http", config={"url": "https://gateway.example.com/"})
    rows = [make_message(tenant, status=Status.SENT, recipient=f"+861381234567{n}", provider=provider) for n in range(5)]
    tried = make_message(tenant, status=Status.SENT, recipient="+8613812345677", provider=provider, is_sandbox=True)
    said = [
        Receipt("failed", rows[0].pk, hard_bounce=True),
        Receipt("failed", rows[1].pk, code="unknown_subscriber"),
        Receipt("failed", rows[2].pk, code="expired"),
        Receipt("delivered", rows[3].pk),
        Receipt("failed", tried.pk, hard_bounce=True),
    ]
    receive.apply_all(provider=provider, receipts=said, now=timezone.now())
    receive.apply_all(provider=provider, receipts=said, now=timezone.now())
    assert recipients(tenant) == ["+8613812345670", "+8613812345671"]
    with delivery_rules.set(bounce_codes=["dead"]):
        receive.apply_all(provider=provider, receipts=[Receipt("failed", rows[4].pk, code="dead")], now=timezone.now())
    assert len(recipients(tenant)) == 3


def test_a_callback_names_a_hard_bounce_in_its_own_words() -> None:
    tenant = make_tenant()
    provider = make_provider(
        tenant, kind="http", config={"url": "https://gateway.example.com/", "receipts": {"bounce_field": "kind", "hard_values": ["HARD"]}}
    )
    row = make_message(tenant, status=Status.SENT, provider=provider)
    body = b'{"receipts": [{"message_id": "%s", "status": "failed", "kind": "hard"}]}' % str(row.pk).encode()
    receive.apply_receipts(provider=provider, body=body, headers={}, now=timezone.now())
    assert recipients(tenant) == ["+8613812345678"]


# --- admin -----------------------------------------------------------------------------------------------------------


def signed_in(tenant: Any, role: Role) -> Client:
    user = User.objects.create_user(f"u{tenant.pk}{role}", password="long-enough-9", is_staff=True)
    Member.objects.create(tenant=tenant, user=user, role=role)
    client = Client()
    client.force_login(user)
    return client


LIST = "/admin/messaging/suppression/"


def test_an_operator_adds_finds_and_takes_off_and_the_list_is_masked() -> None:
    tenant = make_tenant()
    client = signed_in(tenant, Role.OPERATOR)
    form = {"tenant": tenant.pk, "recipients": "+86 138 1234 5678\nada@example.com\n", "reason": "manual"}
    assert client.post(f"{LIST}add/", form).status_code == 302
    page = client.get(LIST).content.decode()
    assert "138****5678" in page
    assert "ada@example.com" not in page
    assert "a***@example.com" in client.get(LIST, {"q": "ADA@example.com"}).content.decode()
    assert "a***@example.com" not in client.get(LIST, {"q": "example.com"}).content.decode()
    entry = Suppression.objects.get(tenant=tenant, recipient="ada@example.com")
    assert client.get(f"{LIST}{entry.pk}/change/").status_code == 200
    chosen = {"action": "take_off", "_selected_action": [str(entry.pk)]}
    assert "Remove these recipients from the list?" in client.post(LIST, chosen).content.decode()
    assert client.post(LIST, {**chosen, "confirmed": "1"}).status_code == 302
    assert recipients(tenant) == ["+8613812345678"]
    assert AuditEntry.objects.filter(tenant=tenant, action="suppression.remove").count() == 1


def test_a_bad_line_is_named_and_nothing_is_added() -> None:
    tenant = make_tenant()
    client = signed_in(tenant, Role.OPERATOR)
    answer = client.post(
        f"{LIST}add/", {"tenant": tenant.pk, "recipients": "ada@example.com\nnobody", "channel": "email", "reason": "manual"}
    )
    assert answer.status_code == 422
    assert "Line 2" in answer.content.decode()
    assert recipients(tenant) == []


def test_the_form_asks_what_a_number_without_plus_is() -> None:
    tenant = make_tenant()
    client = signed_in(tenant, Role.OPERATOR)
    form = {"tenant": tenant.pk, "recipients": "room-7\n447400999777", "reason": "manual"}
    answer = client.post(f"{LIST}add/", form)
    assert answer.status_code == 422
    assert "Line 2: This could be a phone number or a name." in answer.content.decode()
    assert recipients(tenant) == []
    assert client.post(f"{LIST}add/", form | {"kind": "name"}).status_code == 302
    assert recipients(tenant) == ["447400999777", "room-7"]


def test_a_viewer_looks_and_does_not_add_or_see_other_tenants() -> None:
    tenant = make_tenant()
    make_suppression(make_tenant("Other"), "theirs@example.com")
    client = signed_in(tenant, Role.VIEWER)
    page = client.get(LIST)
    assert page.status_code == 200
    assert "***@example.com" not in page.content.decode()
    assert client.get(f"{LIST}add/").status_code == 403
