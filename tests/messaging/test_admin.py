"""The admin's working side: masked recipients, audited reveals, actions, batches, providers, templates; cheap lists."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, Member, Tenant, User
from accounts.roles import Role
from messaging.channels.base import SendRequest
from messaging.channels.sandbox import outbox
from messaging.content import editing
from messaging.models import Batch, BatchStatus, IdempotencyKey, Message, Provider, ReceiptEntry, Status, Template, TemplateVersion
from messaging.providers.editing import create_provider
from posthaste.lib import redis
from posthaste.lib.ids import new_id
from tests.builders import TESTER, config_inputs, make_delivery, make_endpoint, untraced
from tracing.services import record

pytestmark = pytest.mark.django_db
SMS = "+8613812345678"


def tenant(slug: str) -> Tenant:
    return Tenant.objects.get_or_create(slug=slug, defaults={"name": slug.title()})[0]


def staff(name: str, role: str, owner: Tenant) -> Client:
    user = User.objects.create(username=name, is_staff=True)
    Member.objects.create(user=user, tenant=owner, role=role)
    client = Client()
    client.force_login(user)
    return client


def message(owner: Tenant, status: str = Status.SENT, **values: Any) -> Message:
    now = timezone.now()
    return Message.objects.create(
        **{"tenant": owner, "channel": "sms", "recipient": SMS, "body": "Hello", "status": status, "created_at": now, "due_at": now}
        | values
    )


def provider(owner: Tenant, name: str = "Gateway", **config: Any) -> Provider:
    row = Provider(tenant=owner, name=name, channel="sms", kind="http")
    config = {"url": "https://gateway.example.com/send", "headers": {"X-Key": "very-secret"}, **config}
    with untraced() as by:
        return create_provider(provider=row, config=config, by=by)


def template(owner: Tenant, name: str = "code") -> Template:
    wording = {"subject": "", "body": "Your code is {{ code }}", "html": "", "variables": [{"name": "code", "example": "4711"}]}
    made = Template(tenant=owner, name=name, channel="sms")
    with untraced() as by:
        return editing.create_template(template=made, wording=wording, publish=True, by=by)


def page(client: Client, name: str, *args: Any, **query: Any) -> str:
    return client.get(reverse(f"admin:{name}", args=args), query).content.decode()


# --- messages -------------------------------------------------------------------------------------------------


def test_recipients_are_masked_and_revealing_is_audited() -> None:
    mine = tenant("mine")
    client = staff("op", Role.OPERATOR, mine)
    row = message(mine)
    for shown in (page(client, "messaging_message_changelist"), page(client, "messaging_message_change", row.pk)):
        assert SMS not in shown
        assert "+86 138****5678" in shown
    answer = client.post(reverse("admin:messaging_message_reveal", args=[row.pk]))
    assert SMS in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    entry = AuditEntry.objects.get(action="message.reveal")
    assert (entry.actor, entry.target, entry.tenant_id) == ("user:op", str(row.pk), mine.pk)
    assert SMS not in page(client, "messaging_message_change", row.pk)


def test_a_viewer_reveals_and_changes_nothing() -> None:
    mine = tenant("mine")
    client = staff("viewer", Role.VIEWER, mine)
    row = message(mine, Status.FAILED)
    assert client.post(reverse("admin:messaging_message_reveal", args=[row.pk])).status_code == 403
    assert client.post(reverse("admin:messaging_message_do", args=[row.pk, "retry"])).status_code == 403
    assert 'value="retry"' not in page(client, "messaging_message_changelist")
    client.post(reverse("admin:messaging_message_changelist"), {"action": "retry", "_selected_action": [row.pk], "confirmed": "1"})
    row.refresh_from_db()
    assert row.status == Status.FAILED
    assert not AuditEntry.objects.exists()


def test_a_get_reveals_nothing() -> None:
    mine = tenant("mine")
    client = staff("op", Role.OPERATOR, mine)
    assert client.get(reverse("admin:messaging_message_reveal", args=[message(mine).pk])).status_code == 405


def test_nothing_of_another_tenant_is_seen_or_touched() -> None:
    mine, other = tenant("mine"), tenant("other")
    client = staff("op", Role.OPERATOR, mine)
    foreign, gateway, text = (
        message(other, Status.FAILED, recipient="+8613900009999"),
        provider(other, "Foreign gateway"),
        template(other, "foreign-text"),
    )
    batch = Batch.objects.create(tenant=other, name="Foreign batch", channel="sms", created_at=timezone.now())
    receipt = ReceiptEntry.objects.create(provider=gateway, reported="delivered", outcome="unmatched", code="foreign-code")
    key = IdempotencyKey.objects.create(tenant=other, key="foreign-key", digest=b"1" * 32, target=foreign.pk, created_at=timezone.now())
    version = text.versions.get()
    rows = {
        "message": foreign,
        "provider": gateway,
        "template": text,
        "batch": batch,
        "receiptentry": receipt,
        "idempotencykey": key,
        "templateversion": version,
    }
    for name, row in rows.items():
        shown = page(client, f"messaging_{name}_changelist")
        assert "oreign" not in shown, name
        assert "9999" not in shown, name
        assert client.get(reverse(f"admin:messaging_{name}_change", args=[row.pk])).status_code in (302, 404), name
    posts: list[tuple[str, list[Any]]] = [
        ("messaging_message_reveal", [foreign.pk]),
        ("messaging_message_do", [foreign.pk, "retry"]),
        ("messaging_batch_do", [batch.pk, "pause"]),
        ("messaging_provider_secret", [gateway.pk]),
        ("messaging_provider_new_secret", [gateway.pk]),
        ("messaging_template_publish", [text.pk]),
    ]
    for name, args in posts:
        assert client.post(reverse(f"admin:{name}", args=args)).status_code == 404, name
    assert client.get(reverse("admin:messaging_provider_test", args=[gateway.pk])).status_code == 404
    client.post(reverse("admin:messaging_message_changelist"), {"action": "retry", "_selected_action": [foreign.pk], "confirmed": "1"})
    foreign.refresh_from_db()
    assert foreign.status == Status.FAILED
    assert str(foreign.pk)[:8] not in page(client, "messaging_message_changelist", q=str(foreign.pk)).split("result_list")[-1].replace(
        str(foreign.pk), ""
    )
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("term", ["hex", "dashes", "recipient", "spaces", "reference"])
def test_a_message_is_found_by_what_an_operator_has_at_hand(term: str) -> None:
    mine = tenant("mine")
    client = staff("viewer", Role.VIEWER, mine)
    row = message(mine, reference="order-42")
    message(mine, recipient="+8613911112222")
    asked = {"hex": row.pk.hex, "dashes": str(row.pk), "recipient": SMS, "spaces": "+86 138 1234 5678", "reference": "order-42"}[term]
    shown = page(client, "messaging_message_changelist", q=asked)
    assert "138****5678" in shown
    assert "139****2222" not in shown


def test_dead_letters_are_replayed_one_by_one_and_in_bulk() -> None:
    mine = tenant("mine")
    client = staff("op", Role.OPERATOR, mine)
    failed, unknown, sent = message(mine, Status.FAILED, error_code="refused"), message(mine, Status.UNKNOWN), message(mine, Status.SENT)
    listing = reverse("admin:messaging_message_changelist")
    shown = page(client, "messaging_message_changelist", state="dead")
    assert reverse("admin:messaging_message_do", args=[failed.pk, "retry"]) in shown
    assert str(sent.pk.hex) not in shown
    answer = client.post(reverse("admin:messaging_message_do", args=[failed.pk, "retry"]), {"next": f"{listing}?state=dead"})
    assert answer.headers["Location"] == f"{listing}?state=dead"
    chosen = {"action": "retry", "_selected_action": [unknown.pk, sent.pk]}
    asked = client.post(f"{listing}?state=dead", chosen | {"_selected_action": [unknown.pk]}).content.decode()
    assert "Send these messages again?" in asked
    client.post(listing, chosen | {"confirmed": "1"})
    assert {row.pk: row.status for row in Message.objects.all()} == {
        failed.pk: Status.PENDING,
        unknown.pk: Status.PENDING,
        sent.pk: Status.SENT,
    }
    assert sorted(AuditEntry.objects.values_list("action", "detail__count", "tenant_id"), key=str) == [
        ("message.retry", 1, mine.pk),
        ("message.retry", None, mine.pk),
    ]


def test_going_back_never_leaves_the_admin() -> None:
    mine = tenant("mine")
    client = staff("op", Role.OPERATOR, mine)
    row = message(mine, Status.FAILED)
    answer = client.post(reverse("admin:messaging_message_do", args=[row.pk, "retry"]), {"next": "https://evil.example.com/"})
    assert answer.headers["Location"] == reverse("admin:messaging_message_change", args=[row.pk])


def test_an_unknown_outcome_is_decided() -> None:
    mine = tenant("mine")
    client = staff("op", Role.OPERATOR, mine)
    one, two = message(mine, Status.UNKNOWN), message(mine, Status.UNKNOWN)
    client.post(reverse("admin:messaging_message_do", args=[one.pk, "settle_sent"]))
    client.post(reverse("admin:messaging_message_changelist"), {"action": "settle_failed", "_selected_action": [two.pk], "confirmed": "1"})
    one.refresh_from_db()
    two.refresh_from_db()
    assert (one.status, two.status) == (Status.SENT, Status.FAILED)
    assert client.post(reverse("admin:messaging_message_do", args=[one.pk, "settle_sent"]), follow=True).status_code == 200
    assert AuditEntry.objects.filter(action__startswith="message.settle").count() == 2


def test_a_wide_action_wants_its_number_typed() -> None:
    mine = tenant("mine")
    client = staff("op", Role.OPERATOR, mine)
    now = timezone.now()
    Message.objects.bulk_create(
        Message(id=new_id(), tenant=mine, channel="sms", recipient=SMS, created_at=now, due_at=now) for _ in range(60)
    )
    listing, everything = (
        reverse("admin:messaging_message_changelist"),
        {"action": "cancel", "select_across": "1", "_selected_action": [str(Message.objects.latest("id").pk)]},
    )
    asked = client.post(listing, everything).content.decode()
    assert "<strong>60</strong>" in asked
    client.post(listing, everything | {"confirmed": "1"})
    assert not Message.objects.filter(status=Status.CANCELLED).exists()
    client.post(listing, everything | {"confirmed": "1", "number": "60"})
    assert Message.objects.filter(status=Status.CANCELLED).count() == 60


def test_a_message_page_shows_trace_text_and_receipts() -> None:
    mine = tenant("mine")
    client = staff("viewer", Role.VIEWER, mine)
    version = template(mine).versions.get()
    now = timezone.now()
    row = message(
        mine,
        Status.DELIVERED,
        template_version=version,
        variables={"code": "123456"},
        body="",
        provider=provider(mine),
        claimed_at=now,
        sent_at=now + timedelta(milliseconds=850),
        finished_at=now + timedelta(seconds=1),
        attempts=1,
    )
    ReceiptEntry.objects.create(provider=Provider.objects.get(), message=row, reported="delivered", outcome="applied", code="ok-77")
    shown = page(client, "messaging_message_change", row.pk)
    for part in ("Queue", "Callback", "850 ms", "Your code is 123456", "ok-77", "Gateway"):
        assert part in shown, part
    assert "very-secret" not in shown


@pytest.mark.parametrize("name", ["message", "batch", "receiptentry", "idempotencykey", "templateversion"])
def test_history_is_neither_added_nor_deleted(name: str) -> None:
    user = User.objects.create(username="root", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    assert client.get(reverse(f"admin:messaging_{name}_add")).status_code == 403
    row = message(tenant("mine"))
    assert client.post(reverse("admin:messaging_message_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert client.post(reverse("admin:messaging_message_change", args=[row.pk]), {"recipient": "x", "status": "sent"}).status_code == 200
    row.refresh_from_db()
    assert row.recipient == SMS


# --- lists stay cheap -----------------------------------------------------------------------------------------


def fill(owner: Tenant, number: int) -> None:
    gateway, version = provider(owner, f"Gateway {number}"), template(owner, f"text-{number}").versions.get()
    for index in range(number):
        batch = Batch.objects.create(
            tenant=owner, name=f"Batch {index}", channel="sms", created_at=timezone.now(), template_version=version
        )
        row = message(owner, Status.FAILED, batch=batch, provider=gateway, template_version=version)
        ReceiptEntry.objects.create(provider=gateway, message=row, reported="failed", outcome="applied")
        IdempotencyKey.objects.create(tenant=owner, key=f"k{number}-{index}", digest=b"1" * 32, target=row.pk, created_at=timezone.now())
        provider(owner, f"More {number} {index}")
        template(owner, f"more-{number}-{index}")
        Member.objects.create(tenant=owner, user=User.objects.create(username=f"u{number}-{index}"))
        AuditEntry.objects.create(tenant=owner, actor="user:x", action="y")


def test_a_list_takes_as_many_queries_for_many_rows_as_for_few() -> None:
    mine = tenant("mine")
    User.objects.create(username="root", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(User.objects.get(username="root"))
    names = [
        "messaging_message",
        "messaging_batch",
        "messaging_receiptentry",
        "messaging_idempotencykey",
        "messaging_provider",
        "messaging_template",
        "messaging_templateversion",
        "accounts_member",
        "accounts_user",
        "accounts_tenant",
        "accounts_auditentry",
        "accounts_apikey",
    ]

    def count(name: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(reverse(f"admin:{name}_changelist")).status_code == 200
        return len(queries)

    fill(mine, 2)
    for name in names:
        count(name)  # what is remembered per process
    few = {name: count(name) for name in names}
    fill(mine, 9)
    many = {name: count(name) for name in names}
    assert many == few
    assert max(many.values()) <= 14, many


def test_a_big_list_is_not_counted_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.staff.lists.COUNT_UP_TO", 5)
    mine = tenant("mine")
    client = staff("viewer", Role.VIEWER, mine)
    for _ in range(8):
        message(mine)
    assert "5+ messages" in " ".join(page(client, "messaging_message_changelist").split())


# --- batches --------------------------------------------------------------------------------------------------


def test_a_batch_for_later_is_scheduled_on_every_page_until_its_time_comes() -> None:
    mine = tenant("mine")
    client, later = staff("op", Role.OPERATOR, mine), timezone.now() + timedelta(hours=3)
    batch = Batch.objects.create(tenant=mine, name="Promotion", channel="sms", accepted=1, send_at=later, created_at=timezone.now())
    message(mine, Status.PENDING, batch=batch)

    def states() -> set[str]:
        pages = (page(client, "messaging_batch_changelist"), page(client, "messaging_batch_change", batch.pk), page(client, "index"))
        found = [
            re.search(r'<span class="badge tone-\w+"><svg[^>]*>.*?</svg>((?:Running|Paused|Scheduled)[^<]*)', shown) for shown in pages
        ]
        return {match[1] if match else "" for match in found}

    assert states() == {"Scheduled for "}
    assert f'<time class="exact" datetime="{timezone.localtime(later).isoformat()}">' in page(client, "messaging_batch_changelist")
    assert "Scheduled" in client.get(reverse("search"), {"q": "Promotion"}).content.decode()
    Batch.objects.update(status=BatchStatus.PAUSED)
    assert states() == {"Paused"}
    Batch.objects.update(status=BatchStatus.RUNNING, send_at=timezone.now())
    assert states() == {"Running"}


def test_a_batch_is_paused_resumed_and_cancelled_with_its_books_shown() -> None:
    mine = tenant("mine")
    client = staff("op", Role.OPERATOR, mine)
    batch = Batch.objects.create(tenant=mine, name="Promotion", channel="sms", accepted=3, created_at=timezone.now())
    for status in (Status.PENDING, Status.QUEUED, Status.DELIVERED):
        message(mine, status, batch=batch)
    assert "33.3" in page(client, "messaging_batch_changelist")
    assert "33.3" in page(client, "messaging_batch_change", batch.pk)
    client.post(reverse("admin:messaging_batch_do", args=[batch.pk, "pause"]))
    batch.refresh_from_db()
    assert batch.status == BatchStatus.PAUSED
    assert Message.objects.filter(batch=batch, status=Status.PENDING).count() == 2
    client.post(reverse("admin:messaging_batch_changelist"), {"action": "resume", "_selected_action": [batch.pk]})
    batch.refresh_from_db()
    assert batch.status == BatchStatus.RUNNING
    listing, chosen = reverse("admin:messaging_batch_changelist"), {"action": "cancel", "_selected_action": [batch.pk]}
    assert "2 messages that have not started" in client.post(listing, chosen).content.decode()
    client.post(listing, chosen | {"confirmed": "1"})
    assert Message.objects.filter(batch=batch, status=Status.CANCELLED).count() == 2
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == ["batch.pause", "batch.resume", "batch.cancel"]


# --- providers ------------------------------------------------------------------------------------------------


def provider_form(owner: Tenant, **values: Any) -> dict[str, Any]:
    return {
        "tenant": owner.pk,
        "name": "Gateway",
        "channel": "sms",
        "kind": "http",
        "weight": "100",
        "max_per_second": "",
        "is_enabled": "on",
    } | values


def test_a_providers_secrets_stay_masked_and_survive_an_edit() -> None:
    mine = tenant("mine")
    client = staff("op", Role.OPERATOR, mine)
    row = provider(mine)
    change = reverse("admin:messaging_provider_change", args=[row.pk])
    shown = client.get(change).content.decode()
    assert "very-secret" not in shown
    assert "••••••" in shown
    assert str(row.receipt_secret) not in shown
    masked = config_inputs("http", url="https://gateway.example.com/v2", headers={"X-Key": "••••••"})
    answer = client.post(change, provider_form(mine, **masked))
    assert answer.status_code == 302, answer.content.decode()
    row.refresh_from_db()
    assert row.config["url"] == "https://gateway.example.com/v2"
    assert row.config["headers"] == {"X-Key": "very-secret"}
    assert AuditEntry.objects.filter(action="provider.change", target=str(row.pk), tenant_id=mine.pk).exists()


@pytest.mark.parametrize(
    ("config", "place", "said"),
    [
        ({"url": "ftp://nowhere"}, "id_configuration-http-url", "http"),
        ({"url": "https://x.example.com", "timeout_seconds": "99"}, "id_configuration-http-timeout_seconds", "at most 25"),
        ({"url": "https://x.example.com", "timeout_seconds": "soon"}, "id_configuration-http-timeout_seconds", "Must be a number"),
        ({"url": "https://x.example.com", "success_codes": "yes"}, "id_configuration-http-success_codes", "200-299, 409"),
    ],
)
def test_a_wrong_configuration_is_refused_under_its_input(config: dict[str, str], place: str, said: str) -> None:
    mine = tenant("mine")
    client = staff("op", Role.OPERATOR, mine)
    answer = client.post(reverse("admin:messaging_provider_add"), provider_form(mine, **config_inputs("http", **config)))
    assert answer.status_code == 200
    shown = answer.content.decode()
    entry = shown[shown.index(f'id="{place}"') :].partition('<div class="entry')[0]
    assert said in entry.partition("errorlist")[2]
    for value in config.values():
        assert value in shown  # nothing has to be typed again
    assert not Provider.objects.exists()


def test_a_mask_without_a_secret_behind_it_is_refused() -> None:
    mine = tenant("mine")
    client = staff("op", Role.OPERATOR, mine)
    masked = config_inputs("http", url="https://x.example.com", headers={"A": "••••••"})
    answer = client.post(reverse("admin:messaging_provider_add"), provider_form(mine, **masked))
    assert "No secret is stored behind this mask" in " ".join(answer.context["adminform"].form.errors["configuration"])


def test_entries_of_a_list_and_a_group_that_may_be_left_out_are_stored() -> None:
    mine = tenant("mine")
    client = staff("op", Role.OPERATOR, mine)
    config = config_inputs(
        "http",
        **{
            "url": "https://x.example.com",
            "error_codes[0].status": "404",
            "error_codes[0].code": "no_such_number",
            "error_codes[0].permanent": "on",
            "error_codes[1].status": "",
            "error_codes[1].code": "",
            "bulk.url": "https://x.example.com/bulk",
            "bulk.size": "50",
            "receipts.delivered_values": "ok\ndelivered",
        },
    )
    client.post(reverse("admin:messaging_provider_add"), provider_form(mine, **config))
    row = Provider.objects.get()
    assert [(error["status"], error["code"], error["permanent"]) for error in row.config["error_codes"]] == [(404, "no_such_number", True)]
    assert row.config.get("bulk") is None  # not ticked as used
    assert row.config["receipts"]["delivered_values"] == ["ok", "delivered"]
    change = reverse("admin:messaging_provider_change", args=[row.pk])
    used = {"configuration.http.bulk:on": "on", "configuration.http.error_codes[0]:remove": "on"}
    assert client.post(change, provider_form(mine, **config, **used)).status_code == 302
    row.refresh_from_db()
    assert (row.config["bulk"]["size"], row.config["error_codes"]) == (50, [])


def test_the_cap_at_once_is_explained_checked_and_stored() -> None:
    mine = tenant("mine")
    client = staff("op", Role.OPERATOR, mine)
    add, config = reverse("admin:messaging_provider_add"), config_inputs("http", url="https://gateway.example.com/")
    assert "across all workers" in client.get(add).content.decode()
    for wrong in ("0", "-1", "10001", "x"):
        answer = client.post(add, provider_form(mine, max_at_once=wrong, **config))
        assert set(answer.context["adminform"].form.errors) == {"max_at_once"}
    assert client.post(add, provider_form(mine, max_at_once="4", **config)).status_code == 302
    assert Provider.objects.get().max_at_once == 4


def test_a_provider_is_made_for_the_own_tenant_only() -> None:
    mine, other = tenant("mine"), tenant("other")
    client = staff("op", Role.OPERATOR, mine)
    wanted = provider_form(mine, **config_inputs("http", url="https://x.example.com"))
    client.post(reverse("admin:messaging_provider_add"), wanted | {"tenant": other.pk})
    assert not Provider.objects.exists()
    client.post(reverse("admin:messaging_provider_add"), wanted)
    assert Provider.objects.get().tenant == mine


def test_a_test_message_goes_out_and_is_audited_masked() -> None:
    mine = tenant("mine")
    client = staff("op", Role.OPERATOR, mine)
    row = create_provider(provider=Provider(tenant=mine, name="Sandbox", channel="sms", kind="sandbox"), config={}, by=TESTER)
    address = reverse("admin:messaging_provider_test", args=[row.pk])
    assert "Accepted by the provider" in client.post(address, {"recipient": SMS, "text": "Hi"}).content.decode()
    assert "sandbox_refused" in client.post(address, {"recipient": "+15005550001", "text": "Hi"}).content.decode()
    assert "errorlist" in client.post(address, {"recipient": "nobody", "text": "Hi"}).content.decode()
    assert [entry.detail["ok"] for entry in AuditEntry.objects.filter(action="provider.test").order_by("id")] == [True, False]
    assert SMS not in str(list(AuditEntry.objects.values_list("detail", flat=True)))


def test_a_receipt_secret_is_revealed_with_an_entry_and_replaced() -> None:
    mine = tenant("mine")
    client = staff("op", Role.OPERATOR, mine)
    row = provider(mine)
    before = str(row.receipt_secret)
    assert before in client.post(reverse("admin:messaging_provider_secret", args=[row.pk])).content.decode().replace("&#x3D;", "=")
    client.post(reverse("admin:messaging_provider_new_secret", args=[row.pk]))
    row.refresh_from_db()
    assert row.receipt_secret != before
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {"provider.reveal_receipt_secret", "provider.new_receipt_secret"}


# --- templates ------------------------------------------------------------------------------------------------


def template_form(owner: Tenant, **values: Any) -> dict[str, Any]:
    return {
        "tenant": owner.pk,
        "name": "welcome",
        "channel": "sms",
        "description": "",
        "subject": "",
        "body": "Hi {{ name }}",
        "html": "",
        "variables": '[{"name": "name", "example": "Ada"}]',
    } | values


def test_a_template_is_drafted_published_and_edited_into_the_next_version() -> None:
    mine = tenant("mine")
    client = staff("author", Role.AUTHOR, mine)
    client.post(reverse("admin:messaging_template_add"), template_form(mine) | {"_continue": "1"})
    made = Template.objects.get()
    assert [(v.number, v.state) for v in made.versions.all()] == [(1, "draft")]
    change = reverse("admin:messaging_template_change", args=[made.pk])
    client.post(reverse("admin:messaging_template_publish", args=[made.pk]))
    client.post(change, template_form(mine, body="Hello {{ name }}") | {"_publish": "1"})
    versions = list(TemplateVersion.objects.order_by("number").values_list("number", "state", "body"))
    assert versions == [(1, "retired", "Hi {{ name }}"), (2, "published", "Hello {{ name }}")]
    shown = page(client, "messaging_templateversion_change", made.versions.get(number=2).pk)
    assert "Hello Ada" in shown
    signs = [f"<span>{sign}</span><span>{body}</span>" for sign, body in (("-", "Hi {{ name }}"), ("+", "Hello {{ name }}"))]
    assert all(sign in shown for sign in signs)
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert actions.count("template.publish") == 2


@pytest.mark.parametrize(("before", "after"), [("a\n", "a\n"), ("a\n", "b\n"), ("a b\n", "a c\n")])
def test_versions_with_many_lines_are_compared_without_delay(before: str, after: str) -> None:
    mine = tenant("mine")
    made = Template.objects.create(tenant=mine, name="long", channel="sms")
    made.versions.create(number=1, body=before * 4_000, state="retired")
    second = made.versions.create(number=2, body=f"{after * 4_000}last")
    shown = page(staff("viewer", Role.VIEWER, mine), "messaging_templateversion_change", second.pk)
    assert "<span>+</span><span>" in shown


def test_a_draft_with_a_mistake_is_refused_at_its_field() -> None:
    mine = tenant("mine")
    client = staff("author", Role.AUTHOR, mine)
    answer = client.post(reverse("admin:messaging_template_add"), template_form(mine, body="Hi {{ stranger }}"))
    assert "not declared" in " ".join(answer.context["adminform"].form.errors["body"])
    assert not Template.objects.exists()


def test_what_is_being_written_is_previewed_without_being_stored() -> None:
    mine = tenant("mine")
    client = staff("author", Role.AUTHOR, mine)
    shown = client.post(reverse("admin:messaging_template_live_preview"), template_form(mine)).json()
    assert shown["body"] == "Hi Ada"
    assert "1 SMS segment ·" in shown["sms"]
    assert client.post(reverse("admin:messaging_template_live_preview"), template_form(mine, variables="[")).json()["problem"]
    assert not Template.objects.exists()


def test_html_by_authors_is_shown_in_a_document_that_can_do_nothing() -> None:
    mine = tenant("mine")
    client = staff("author", Role.AUTHOR, mine)
    form = template_form(mine, channel="email", html="<p>Hi {{ name }}</p><script>alert(1)</script>")
    answer = client.post(reverse("admin:messaging_template_live_html"), form)
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script" not in answer.content.decode()
    assert "<p>Hi Ada</p>" in answer.content.decode()


# --- overview, outbox -----------------------------------------------------------------------------------------


def test_the_overview_counts_the_own_tenants_messages_only() -> None:
    mine, other = tenant("mine"), tenant("other")
    client = staff("viewer", Role.VIEWER, mine)
    message(mine, Status.DELIVERED)
    message(mine, Status.FAILED)
    message(other, Status.FAILED)
    day = client.get(reverse("admin:index")).context["day"]
    assert (day["today"]["accepted"], day["today"]["success_rate"]) == (2, 50.0)
    assert client.get(reverse("admin:figures"), {"tenant": other.pk}).json()["today"]["accepted"] == 2


def test_the_outbox_shows_the_own_tenants_entries_masked() -> None:
    mine, other = tenant("mine"), tenant("other")
    client = staff("viewer", Role.VIEWER, mine)
    redis.client().delete(outbox.key(mine.pk), outbox.key(other.pk))
    outbox.write([SendRequest(id=new_id(), channel="sms", recipient=SMS, body="To see", tenant_id=mine.pk)])
    outbox.write([SendRequest(id=new_id(), channel="sms", recipient=SMS, body="Not to see", tenant_id=other.pk)])
    shown = page(client, "outbox")
    assert "To see" in shown
    assert SMS not in shown
    assert "Not to see" not in page(client, "outbox", tenant=other.pk)


def outbox_of(owner: Tenant, number: int, **fields: Any) -> None:
    redis.client().delete(outbox.key(owner.pk))
    values = {"channel": "sms", "recipient": SMS, "body": "Hello", "tenant_id": owner.pk, **fields}
    outbox.write([SendRequest(id=new_id(), **{**values, "body": f"{values['body']} {place}"}) for place in range(number)])


def test_the_outbox_is_searched_filtered_paged_and_taken_as_a_file() -> None:
    mine = tenant("mine")
    client = staff("viewer", Role.VIEWER, mine)
    outbox_of(mine, 120)
    letter = SendRequest(id=new_id(), channel="email", recipient="ada@example.com", subject="Order", body="On its way", tenant_id=mine.pk)
    outbox.write([letter])
    address = reverse("admin:outbox")

    def bodies(query: str) -> list[str]:
        return [row["body"] for row in client.get(address + query).context["rows"]]

    first = client.get(address).context
    assert len(first["rows"]) == 50
    assert first["newer"] == ""
    second = client.get(address + first["older"]).context
    third = client.get(address + second["older"]).context
    assert [len(page["rows"]) for page in (second, third)] == [50, 21]
    assert third["older"] == ""
    assert bodies(third["newer"]) == [row["body"] for row in second["rows"]]
    assert bodies("?channel=email") == ["On its way"]
    assert bodies("?q=ON+ITS") == ["On its way"]
    assert bodies("?q=ada%40example.com") == ["On its way"]
    assert bodies("?q=ada%40example") == []  # recipients are masked, so only a complete one finds
    assert bodies(f"?q={letter.id}") == ["On its way"]
    answer = client.get(address, {"csv": "1", "channel": "email"})
    shown = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert "On its way" in shown
    assert "ada@example.com" not in shown
    assert AuditEntry.objects.get(action="list.export").target == "outbox"


def test_a_row_of_the_outbox_leads_to_its_message_where_that_is_kept() -> None:
    mine = tenant("mine")
    row = message(mine)
    redis.client().delete(outbox.key(mine.pk))
    for identifier in (row.pk, new_id()):
        outbox.write([SendRequest(id=identifier, channel="sms", recipient=SMS, body="Hello", tenant_id=mine.pk)])
    shown = page(staff("viewer", Role.VIEWER, mine), "outbox")
    assert shown.count("/change/") == 1
    assert reverse("admin:messaging_message_change", args=[row.pk]) in shown


def test_the_trace_names_the_event_and_leads_to_the_request_that_carried_it() -> None:
    owner = tenant("acme")
    row = message(owner)
    endpoint = make_endpoint(owner, name="Shop backend")
    now = timezone.now()
    make_delivery(endpoint, at=now - timedelta(minutes=1))
    delivery = make_delivery(endpoint, at=now)
    make_delivery(endpoint, at=now + timedelta(minutes=1))
    told = record.line("W", row.pk, timezone.now(), 12, record.word(endpoint.name), "sent", "delivered")
    redis.client().set(record.trace_key(row.pk), told)
    shown = staff("ann", Role.VIEWER, owner).get(reverse("admin:messaging_message_change", args=[row.pk])).content.decode()
    link = reverse("admin:messaging_webhookdelivery_change", args=[delivery.pk])
    assert f'<code>message.sent</code> → <a href="{link}">Shop backend</a>' in shown
